"""What each type of field takes."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from steelyard.records.filters import FilterField, FilterFields

Said = Callable[..., dict[str, Any]]
Refusal = Callable[..., str]


def as_json(name: str, value: object) -> str:
    return json.dumps({name: value})


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("2026-01-31", "2026-01-31T00:00:00.000000Z"),
        ("2026-01-31T12:30", "2026-01-31T12:30:00.000000Z"),
        ("2026-01-31 12:30:05", "2026-01-31T12:30:05.000000Z"),
        ("2026-01-31t12:30:05z", "2026-01-31T12:30:05.000000Z"),
        ("2026-01-31T12:30:05.1", "2026-01-31T12:30:05.100000Z"),
        ("2026-01-31T12:30:05.123456789Z", "2026-01-31T12:30:05.123456Z"),
        ("2026-01-01T01:00:00+02:00", "2025-12-31T23:00:00.000000Z"),
        ("2025-12-31T20:00:00-0530", "2026-01-01T01:30:00.000000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000000Z"),
    ],
)
def test_times_are_compared_in_the_stored_form(said: Said, written: str, stored: str) -> None:
    assert said(as_json("created_at", {"$gte": written})) == {"created_at": {"$gte": stored}}
    assert said(("filter[updated_at]", written)) == {"updated_at": {"$eq": stored}}


@pytest.mark.parametrize(
    "written",
    ["", "yesterday", "2026", "2026-13-01", "2026-02-30", "2026-1-1", "20260101", "2026-W01-1", "2026-01-01T",
     "2026-01-01T24:00", "2026-01-01T12:60", "2026-01-01T12:00:60", "2026-01-01T12", "٢٠٢٦-01-01",
     "2026-01-01\n",
     "0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00", "2026-01-01T00:00+99:00", "2026-01-01Z"],
)  # fmt: skip
def test_what_is_no_time_is_refused(refusal: Refusal, written: str) -> None:
    assert "'created_at' takes a date or time such as 2026-01-31" in refusal(("filter[created_at][gt]", written))


def test_a_plus_that_became_a_blank_is_explained(refusal: Refusal) -> None:
    assert "a + in a URL is written %2B" in refusal(("filter[created_at]", "2026-01-01T00:00:00 02:00"))


def test_times_are_not_searched(refusal: Refusal) -> None:
    message = refusal(("filter[created_at][like]", "2026"))
    assert message == (
        "Operator $like cannot be used on filter field 'created_at'; "
        "it takes $eq, $lt, $lte, $gt, $gte, $in, $nin, $exists"
    )
    assert "takes a date or time" in refusal(as_json("created_at", 5).replace("5", '"5"'))
    assert "takes a string, not 5" in refusal(as_json("created_at", 5))


def test_an_enum_takes_its_values_and_asks_with_a_bool(said: Said, refusal: Refusal) -> None:
    assert said(("filter[finetuning_type]", "lora")) == {"finetuning_type": {"$eq": "lora"}}
    assert said(("filter[finetuning_type]", "true")) == {"finetuning_type": {"$exists": True}}
    assert said(as_json("finetuning_type", False)) == {"finetuning_type": {"$exists": False}}
    assert said(as_json("finetuning_type", None)) == {"finetuning_type": {"$eq": None}}
    assert said('finetuning_type~"lor"') == {"finetuning_type": {"$like": "lor"}}
    assert refusal(("filter[finetuning_type][in]", "lora,lara")) == (
        "\"lara\" is not a value of filter field 'finetuning_type'; did you mean 'lora'? "
        "Valid values: lora, lora_merged, grpo, or true and false for any and none"
    )
    assert "cannot be used" in refusal('finetuning_type>"lora"')


def test_a_presence_takes_only_a_bool(said: Said, refusal: Refusal) -> None:
    assert said(("filter[prompt]", "false")) == {"prompt": {"$exists": False}}
    assert said("prompt:true") == said('{"prompt":{"$exists":true}}') == {"prompt": {"$exists": True}}
    assert said("prompt:null") == {"prompt": {"$exists": False}}
    assert refusal(("filter[prompt]", "x")) == "Filter field 'prompt' takes true or false, not \"x\""
    assert "cannot be used on filter field 'prompt'; it takes $eq, $exists" in refusal("prompt IN [true]")
    assert 'takes true or false, not "true"' in refusal('{"prompt":"true"}')


def test_a_text_takes_only_strings(said: Said, refusal: Refusal) -> None:
    assert said(("filter[description]", "true")) == {"description": {"$eq": "true"}}
    assert said(("filter[description]", "null")) == {"description": {"$eq": "null"}}
    assert said(("filter[description]", "")) == {"description": {"$eq": ""}}
    assert "takes a string, not true" in refusal(as_json("description", True))
    assert "takes a string, not an object" in refusal(as_json("description", {"$eq": {}}))


def test_a_text_or_presence_asks_with_a_bool(said: Said, refusal: Refusal) -> None:
    assert said(("filter[owner]", "true")) == said("owner:true") == {"owner": {"$exists": True}}
    assert said(("filter[owner]", "me")) == {"owner": {"$eq": "me"}}
    assert said('owner:"true"') == {"owner": {"$eq": "true"}}
    assert said(("filter[owner][like]", "true")) == {"owner": {"$like": "true"}}
    assert "takes a string, not true" in refusal("owner IN [true]")


def test_a_bare_reference_is_in_the_workspace_of_the_list(said: Said) -> None:
    assert said(("filter[fileset]", "a")) == {"fileset": {"$eq": "here/a"}}
    assert said(("filter[fileset]", "there/a")) == {"fileset": {"$eq": "there/a"}}
    assert said(("filter[project]", "p")) == {"project": {"$eq": "here/p"}}
    assert said('fileset IN ["a","there/b",null]') == {"fileset": {"$in": ["here/a", "there/b", None]}}
    assert said(("filter[fileset]", "false")) == {"fileset": {"$exists": False}}
    assert said('fileset~"a"') == {"fileset": {"$like": "a"}}


def test_a_bare_reference_over_all_workspaces_is_in_any(said: Said) -> None:
    assert said(("filter[fileset]", "a"), home="-") == {"fileset.name": {"$eq": "a"}}
    assert said(("filter[fileset]", "w/a"), home="-") == {"fileset": {"$eq": "w/a"}}
    assert said('fileset IN ["a","w/b"]', home="-") == {
        "$or": [{"fileset": {"$in": ["w/b"]}}, {"fileset.name": {"$in": ["a"]}}]
    }
    assert said('fileset NOT IN ["a","w/b"]', home="-") == {
        "fileset": {"$nin": ["w/b"]},
        "fileset.name": {"$nin": ["a"]},
    }
    assert said("fileset IN []", home="-") == {"fileset": {"$in": []}}


@pytest.mark.parametrize("written", ["", "/", "a/", "/a", "a/b/c"])
def test_what_is_no_reference_is_refused(refusal: Refusal, written: str) -> None:
    for home in ("here", "-"):
        assert "takes a reference, 'name' or 'workspace/name'" in refusal(("filter[fileset]", written), home=home)


def test_a_flag_takes_true_and_false(said: Said, refusal: Refusal) -> None:
    assert said(("filter[trust_remote_code]", "false"))["trust_remote_code"]["$eq"] is False
    assert said("trust_remote_code:true")["trust_remote_code"]["$eq"] is True
    assert said(("filter[trust_remote_code][in]", "true,false")) == {"trust_remote_code": {"$in": [True, False]}}
    assert said("trust_remote_code:null") == {"trust_remote_code": {"$eq": None}}
    assert 'takes true or false, not "yes"' in refusal(("filter[trust_remote_code]", "yes"))
    assert "takes true or false, not 1" in refusal("trust_remote_code:1")
    assert "cannot be used" in refusal("trust_remote_code>false")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("x", {"$eq": "x"}),
        ("5", {"$in": ["5", 5]}),
        ("1.0", {"$in": ["1.0", 1.0]}),
        ("true", {"$in": ["true", True]}),
        ("null", {"$in": ["null", None]}),
        ('"x"', {"$eq": '"x"'}),
        ("[1]", {"$eq": "[1]"}),
        ("NaN", {"$eq": "NaN"}),
        ("1e999", {"$eq": "1e999"}),
        ("[" * 5000, {"$eq": "[" * 5000}),
    ],
)
def test_data_in_brackets_means_the_string_and_what_it_reads_as(said: Said, written: str, meant: Any) -> None:
    assert repr(said(("filter[data.x]", written))) == repr({"data.x": meant})


def test_data_in_brackets_with_operators(said: Said) -> None:
    assert said(("filter[data.x][gt]", "5")) == {"$or": [{"data.x": {"$gt": "5"}}, {"data.x": {"$gt": 5}}]}
    assert said(("filter[data.x][gt]", "true")) == {"data.x": {"$gt": "true"}}
    assert said(("filter[data.x][like]", "5")) == {"data.x": {"$like": "5"}}
    assert said(("filter[data.x][nin]", "5,a")) == {"data.x": {"$nin": ["5", 5, "a"]}}
    assert said(("filter[data.x][exists]", "false")) == {"data.x": {"$exists": False}}


def test_data_elsewhere_is_compared_as_it_is_written(said: Said) -> None:
    assert repr(said('{"data.x":"5"}')) == repr({"data.x": {"$eq": "5"}})
    assert repr(said("data.x:1.0")) == repr({"data.x": {"$eq": 1.0}})


def test_integers_past_64_bits_are_compared_as_doubles(said: Said, refusal: Refusal) -> None:
    assert repr(said(f"data.x:{2**63 - 1}")) == repr({"data.x": {"$eq": 2**63 - 1}})
    assert repr(said(f"data.x:{-(2**63)}")) == repr({"data.x": {"$eq": -(2**63)}})
    assert repr(said(f"data.x:{2**63}")) == repr({"data.x": {"$eq": 2.0**63}})
    assert "too large" in refusal("data.x:" + "9" * 400)


@pytest.mark.parametrize("path", ["a..b", "a b", "", "é", 'a"b', "$", "a[0]", ".".join("a" * 17)])
def test_data_paths_are_plain(refusal: Refusal, path: str) -> None:
    assert "path" in refusal(as_json(f"data.{path}", 1))


def test_a_data_path_has_up_to_16_segments(said: Said) -> None:
    assert said(f"data.{'.'.join('a' * 16)}:1")


@pytest.mark.parametrize(
    "given",
    [
        'data.api_endpoint.api_key:"x"',
        "data.api_endpoint.api_key:*",
        'data.api_endpoint.api_key.deeper:"x"',
        '{"data":{"api_endpoint":{"api_key":{"$like":"x"}}}}',
        '{"$not":{"data.api_endpoint.api_key":null}}',
        ("filter[data][api_endpoint][api_key]", "x"),
    ],
)
def test_secrets_cannot_be_asked_for(refusal: Refusal, given: Any) -> None:
    assert "is secret" in refusal(given)


def test_what_stands_beside_or_above_a_secret_can(said: Said) -> None:
    assert said("data.api_endpoint:*") == {"data.api_endpoint": {"$exists": True}}
    assert said('data.api_endpoint.url:"x"') == {"data.api_endpoint.url": {"$eq": "x"}}
    assert said('data.api_endpoint.api_keys:"x"') == {"data.api_endpoint.api_keys": {"$eq": "x"}}
    assert said('data.api_key:"x"') == {"data.api_key": {"$eq": "x"}}


def test_a_field_that_reads_a_secret_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="'key' would read a secret"):
        FilterFields("k", (FilterField.text("key", path=("api", "key")),), ("api",))


def test_a_relation_in_a_relation_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="'a' holds another relation"):
        FilterField.relation("a", "b", (FilterField.relation("c", "d", ()),))


def test_children_have_the_common_fields_and_no_data_paths(said: Said, refusal: Refusal) -> None:
    assert said('adapters:(name:"x" created_at>"2026-01-01")')
    assert "Unknown filter field 'data' of adapter" in refusal("adapters:(data.x:1)")


def test_an_own_field_goes_before_the_common_one() -> None:
    own = FilterField.enum("workspace", ("a",))
    fields = FilterFields("k", (own,))
    assert fields["workspace"] == own
    assert list(fields) == ["workspace", "id", "name", "project", "entity_type", "created_at", "updated_at"]
    assert len(fields) == 7
