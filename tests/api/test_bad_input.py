"""Bad input: never a 5xx, always a code, the place named, nothing stored, and the server goes on."""

import json
from typing import Any

import httpx
import pytest

from tests.api.paths import JSON, SPEC, WORKSPACES, faults, made, models, projects, prompts

DEEP = 900
BODIES: list[tuple[str, bytes, str, tuple[Any, ...]]] = [
    ("empty", b"", "missing", ("body",)),
    ("blank", b" \n\t ", "missing", ("body",)),
    ("not JSON", b"{", "json_invalid", ("body", 1)),
    ("two values", b"{} {}", "json_invalid", ("body", 3)),
    ("single quotes", b"{'a':1}", "json_invalid", ("body", 1)),
    ("a comment", b"{}//", "json_invalid", ("body", 2)),
    ("a byte order mark", b"\xef\xbb\xbf{}", "json_invalid", ("body", 0)),
    ("not UTF-8", b'{"description":"\xff"}', "json_invalid", ("body", 16)),
    ("UTF-16", '{"description":"a"}'.encode("utf-16"), "json_invalid", ("body", 0)),
    ("a raw control character", b'{"description":"a\x01"}', "json_invalid", ("body", 17)),
    ("an array", b"[]", "model_attributes_type", ("body",)),
    ("a string", b'"x"', "model_attributes_type", ("body",)),
    ("a number", b"5", "model_attributes_type", ("body",)),
    ("null", b"null", "model_attributes_type", ("body",)),
    ("a key twice", b'{"description":"a","description":"b"}', "duplicate_key", ("body",)),
    ("a key twice, deeper", b'{"custom_fields":{"x":{"a":1,"a":1}}}', "duplicate_key", ("body",)),
    ("NaN", b'{"custom_fields":{"a":NaN}}', "finite_number", ("body",)),
    ("Infinity", b'{"custom_fields":{"a":[-Infinity]}}', "finite_number", ("body",)),
    ("an overflow", b'{"custom_fields":{"a":1e999}}', "finite_number", ("body",)),
    ("an integer beyond 64 bits", b'{"custom_fields":{"a":9223372036854775808}}', "int_too_large", ("body",)),
    ("a million digits", b'{"custom_fields":{"a":' + b"9" * 1_000_000 + b"}}", "int_too_large", ("body",)),
    ("half a pair", b'{"custom_fields":{"a":"\\ud800"}}', "string_unicode", ("body", "custom_fields", "a")),
    ("half a pair in a key", b'{"custom_fields":{"\\udfff":1}}', "string_unicode", ("body", "custom_fields")),
    ("NUL", b'{"description":"a\\u0000b"}', "string_nul", ("body", "description")),
    ("900 deep", b'{"custom_fields":' + b'{"a":' * DEEP + b"1" + b"}" * (DEEP + 1), "too_deep", ()),
    ("900 arrays", b"[" * DEEP + b"]" * DEEP, "too_deep", ()),
    ("100,000 deep", b"[" * 100_000 + b"]" * 100_000, "too_deep", ()),
]


@pytest.mark.parametrize(("body", "type", "place"), [row[1:] for row in BODIES], ids=[row[0] for row in BODIES])
def test_a_body_that_is_not_the_json_we_take(
    http: httpx.Client, workspace: str, body: bytes, type: str, place: tuple[Any, ...]
) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    for method, path in (("PATCH", item), ("PATCH", f"{item}?verbose=0"), ("POST", models(workspace))):
        answer = http.request(method, path, content=body, headers=JSON)
        found_place, found_type = faults(answer)[0]
        assert answer.json()["code"] in {"broken_json", "invalid_input"}
        assert (found_type, found_place[: len(place)]) == (type, place)
    assert http.get(item).json()["revision"] == 1


def test_the_depth_that_passes_is_64(http: httpx.Client, workspace: str) -> None:
    def nested(levels: int) -> bytes:
        return b'{"custom_fields":' + b'{"a":' * (levels - 1) + b"1" + b"}" * levels

    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    assert http.patch(item, content=nested(64), headers=JSON).status_code == 200
    assert http.get(item).status_code == 200
    assert faults(http.patch(item, content=nested(65), headers=JSON))[0][1] == "too_deep"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_has_a_limit(http: httpx.Client, workspace: str, chunked: bool) -> None:
    made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"

    def sized(size: int) -> Any:
        body = b'{"custom_fields":{"a":"' + b"x" * (size - 26) + b'"}}'
        return iter([body[:1000], body[1000:]]) if chunked else body

    assert http.patch(item, content=sized(1_048_576), headers=JSON).status_code == 200
    for size in (1_048_600, 2_000_000):
        answer = http.patch(item, content=sized(size), headers=JSON)
        assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (413, "too_large", 1_048_576)
    assert http.get(item).json()["revision"] == 2


FIELDS: list[tuple[dict[str, Any], tuple[Any, ...], str]] = [
    ({"description": 5}, ("description",), "string_type"),
    ({"description": "x" * 1001}, ("description",), "string_too_long"),
    ({"spec": {}}, ("spec", "checkpoint_model_name"), "missing"),
    ({"spec": 5}, ("spec",), "model_attributes_type"),
    ({"spec": {**SPEC, "num_layers": -1}}, ("spec", "num_layers"), "greater_than_equal"),
    ({"spec": {**SPEC, "num_layers": 1.5}}, ("spec", "num_layers"), "int_from_float"),
    ({"spec": {**SPEC, "linear_layers": [{"name": "q"}]}}, ("spec", "linear_layers", 0, "in_features"), "missing"),
    ({"spec": {**SPEC, "num_layer": 1}}, ("spec", "num_layer"), "unknown_field"),
    ({"finetuning_type": "lorra"}, ("finetuning_type",), "enum"),
    ({"finetuning_type": ""}, ("finetuning_type",), "enum"),
    ({"backend_format": ""}, ("backend_format",), "enum"),
    ({"trust_remote_code": ""}, ("trust_remote_code",), "bool_parsing"),
    ({"trust_remote_code": []}, ("trust_remote_code",), "bool_type"),
    ({"base_model": "x" * 512}, ("base_model",), "string_too_long"),
    ({"base_model": 1}, ("base_model",), "string_type"),
    ({"api_endpoint": {"url": "file:///etc/passwd"}}, ("api_endpoint", "url"), "url"),
    ({"api_endpoint": {"url": "https://user:pw@host"}}, ("api_endpoint", "url"), "url"),
    ({"api_endpoint": {"url": "https://host:99999"}}, ("api_endpoint", "url"), "url"),
    ({"api_endpoint": {"url": "https://a b"}}, ("api_endpoint", "url"), "url"),
    ({"api_endpoint": {"url": ""}}, ("api_endpoint", "url"), "string_too_short"),
    ({"prompt": {"inference_params": {"top_p": 2}}}, ("prompt", "inference_params", "top_p"), "less_than_equal"),
    (
        {"prompt": {"inference_params": {"max_tokens": 0}}},
        ("prompt", "inference_params", "max_tokens"),
        "greater_than_equal",
    ),
    ({"prompt": "Be brief"}, ("prompt",), "model_attributes_type"),
    ({"custom_fields": []}, ("custom_fields",), "dict_type"),
    ({"ownership": "me"}, ("ownership",), "dict_type"),
    ({"model_providers": "p"}, ("model_providers",), "list_type"),
    ({"model_providers": [1]}, ("model_providers", 0), "string_type"),
    ({"project": 1}, ("project",), "string_type"),
]


@pytest.mark.parametrize(("body", "place", "type"), FIELDS, ids=[json.dumps(row[0])[:50] for row in FIELDS])
def test_a_value_that_its_field_does_not_take(
    http: httpx.Client, workspace: str, body: dict[str, Any], place: tuple[Any, ...], type: str
) -> None:
    made(http, models(workspace), name="m", description="kept")
    item = f"{models(workspace)}/m"
    before = http.get(item).json()
    for answer in (
        http.patch(item, json={"custom_fields": {"not": "stored"}, **body}),
        http.post(models(workspace), json={"name": "n", **body}),
    ):
        found = faults(answer)
        assert found[0][0] == ("body", *place)
        assert found[0][1] == type
        assert answer.json()["code"] == "invalid_input"
        for internal in ("Request", "ModelSpec", "ApiEndpoint", "PromptData", "steelyard", "Traceback", "<class"):
            assert internal not in answer.text
    assert http.get(item).json() == before
    assert http.get(f"{models(workspace)}/n").status_code == 404


@pytest.mark.parametrize(
    ("body", "nearest"),
    [
        ({"descripton": "x"}, "did you mean 'description'"),
        ({"base_models": "x"}, "did you mean 'base_model'"),
        ({"zzz": 1}, "valid fields: "),
        ({"api_endpoint": {"apikey": "x"}}, "did you mean 'api_key'"),
        ({"spec": {**SPEC, "vocabsize": 1}}, "did you mean 'vocab_size'"),
    ],
)
def test_an_unknown_field_is_told_with_the_nearest(
    http: httpx.Client, workspace: str, body: dict[str, Any], nearest: str
) -> None:
    made(http, models(workspace), name="m")
    for answer in (
        http.patch(f"{models(workspace)}/m", json=body),
        http.post(models(workspace), json={"name": "n", **body}),
    ):
        [fault] = answer.json()["detail"]
        assert fault["type"] == "unknown_field"
        assert nearest in fault["msg"]


def test_read_only_fields_may_come_back_as_they_are(http: httpx.Client, workspace: str) -> None:
    model = made(http, models(workspace), name="m")
    item = f"{models(workspace)}/m"
    for key in ("id", "name", "workspace", "created_at", "updated_at", "revision", "adapters"):
        for same in (model[key], None):
            answer = http.patch(item, json={key: same})
            assert (answer.status_code, answer.json()["revision"]) == (200, 1)
        other = 7 if key == "revision" else [{}] if key == "adapters" else "other"
        assert faults(http.patch(item, json={key: other, "description": "no"})) == [(("body", key), "read_only")]
    assert http.get(item).json() == model


@pytest.mark.parametrize("path", [models, prompts, projects])
def test_records_cannot_be_made_with_what_the_server_writes(http: httpx.Client, workspace: str, path: Any) -> None:
    answer = http.post(path(workspace), json={"name": "nn", "id": "x", "created_at": "2026-01-01", "revision": 5})
    assert {place[1] for place, _ in faults(answer)} == {"id", "created_at", "revision"}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=", "page"),
        ("page=1.5", "page"),
        ("page=99999999999999999999999", "page"),
        ("page_size=0", "page_size"),
        ("page_size=1001", "page_size"),
        ("page_size=-5", "page_size"),
        ("sort=bogus", "sort"),
        ("sort=", "sort"),
        ("sort=name,created_at", "sort"),
        ("sort=--name", "sort"),
    ],
)
def test_parameters_of_lists(http: httpx.Client, workspace: str, query: str, name: str) -> None:
    for path in (models(workspace), prompts(workspace), projects(workspace), WORKSPACES):
        answer = http.get(f"{path}?{query}")
        assert [place for place, _ in faults(answer)] == [("query", name)]
        assert answer.json()["code"] == "invalid_parameters"


def test_a_page_far_past_the_end_is_empty(http: httpx.Client, workspace: str) -> None:
    answer = http.get(models(workspace), params={"page": 2**31, "page_size": 1000})
    assert (answer.status_code, answer.json()["data"]) == (200, [])


@pytest.mark.parametrize(
    "query",
    [
        "filter=",
        "filter=%7B",
        "filter=%7B%7D",
        "filter=name~",
        'filter={"bogus":1}',
        'filter={"name":{"$bogus":1}}',
        'filter={"created_at":{"$gte":"yesterday"}}',
        'filter={"created_at":{"$gte":5}}',
        'filter={"name":"\\ud800"}',
        "filter=" + "(" * 500,
        "filter=" + '{"$not":' * 300 + '{"name":"a"}' + "}" * 300,
        "filter[created_at][gte]=2026-13-45",
        "filter[bogus]=1",
        "filter[name][bogus]=1",
        "filter[name=1",
        "filter[finetuning_type]=bogus",
        "filter[adapters]=maybe",
        "filter[data]=1",
        "filter[data.a%00b]=1",
        "filter[data.a'b]=1",
    ],
)
def test_filters_that_cannot_be_understood(http: httpx.Client, workspace: str, query: str) -> None:
    answer = http.get(f"{models(workspace)}?{query.replace(' ', '%20')}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter"), answer.text
    assert answer.json()["parameter"] == "filter"
    assert isinstance(answer.json()["detail"], str)


@pytest.mark.parametrize(
    "body",
    [
        {f"unknown-{number}": 1 for number in range(50_000)},
        {"spec": {"linear_layers": [1] * 300_000}},
        {"model_providers": [f"p{number}" for number in range(90_000)] + ["p0"]},
        {"custom_fields": {"a": [[]] * 300_000}, "description": 1},
    ],
    ids=["unknown fields", "wrong items", "a provider twice", "brackets"],
)
def test_a_body_with_very_many_faults_is_answered_short(
    http: httpx.Client, workspace: str, body: dict[str, Any]
) -> None:
    """The client's timeout (30 s) is the limit of time: wording all of these took minutes."""
    made(http, models(workspace), name="m")
    answer = http.patch(f"{models(workspace)}/m", json=body)
    assert 1 <= len(faults(answer)) <= 100
    assert len(answer.content) < 100_000
