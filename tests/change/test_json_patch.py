"""JSON Patch (RFC 6902): what it can do, what it may not, and what it must not become."""

import copy
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import InvalidInput, PreconditionFailed, SteelyardError
from steelyard.records.dialects import json_patch
from steelyard.records.diff import same
from steelyard.records.patch import Said
from tests.api.paths import LAYERS, SPEC
from tests.change.records import MODELS, SORTS, PureRecord, ServedRecord, Sort
from tests.change.values import json_values, objects

LIMIT = 1_048_576


@pytest.fixture
def record(http: httpx.Client, workspace: str) -> ServedRecord:
    """A model with something in it."""
    body = {
        "description": "First",
        "custom_fields": {"list": [1, 2], "a": {"b": 1}},
        "spec": {**SPEC, "linear_layers": LAYERS},
    }
    return ServedRecord(http, workspace, MODELS, body)


def patched(record: ServedRecord, *operations: dict[str, Any], **query: str) -> httpx.Response:
    return record.send(Said(list(operations), "json_patch"), **query)


def test_all_six_operations_in_order(record: ServedRecord) -> None:
    answer = patched(
        record,
        {"op": "test", "path": "/description", "value": "First"},
        {"op": "add", "path": "/custom_fields/list/-", "value": 3},
        {"op": "remove", "path": "/custom_fields/list/0"},
        {"op": "replace", "path": "/description", "value": "Second"},
        {"op": "copy", "from": "/custom_fields/a", "path": "/custom_fields/c"},
        {"op": "move", "from": "/custom_fields/a", "path": "/custom_fields/d"},
        {"op": "remove", "path": "/spec/linear_layers"},
    )
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["custom_fields"] == {"list": [2, 3], "c": {"b": 1}, "d": {"b": 1}}
    assert (found["description"], found["revision"], found["spec"]["linear_layers"]) == ("Second", 2, None)


def test_a_test_that_fails_is_412_and_says_which(record: ServedRecord) -> None:
    before = record.get()
    change = {"op": "replace", "path": "/description", "value": "x"}
    answer = patched(record, change, {"op": "test", "path": "/description", "value": "First"}, change)
    assert (answer.status_code, answer.json()["code"], answer.json()["operation"]) == (412, "precondition_failed", 1)
    assert record.get() == before


@pytest.mark.parametrize(
    ("there", "asked", "holds"),
    [
        (1, True, False),
        (True, 1, False),
        (0, False, False),
        ([1], [True], False),
        ({"a": 1}, {"a": True}, False),
        (1, 1.0, True),  # RFC 6902, 4.6: numbers are equal if their values are numerically equal
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ([1, 2], [2, 1], False),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_what_a_test_takes_for_equal(there: Any, asked: Any, holds: bool) -> None:
    transform = json_patch([{"op": "test", "path": "/x", "value": asked}], LIMIT)
    if holds:
        assert transform({"x": there}) == {"x": there}
    else:
        with pytest.raises(PreconditionFailed):
            transform({"x": there})


@pytest.mark.parametrize(
    "body",
    [
        {},
        "text",
        [1],
        [{}],
        [{"op": "add"}],
        [{"op": "sum", "path": "/description", "value": 1}],
        [{"op": "add", "path": "/description"}],
        [{"op": "test", "path": "/description"}],
        [{"op": "add", "path": 7, "value": 1}],
        [{"op": "add", "path": "description", "value": "no slash"}],
        [{"op": "add", "path": "/custom_fields/~2", "value": 1}],
        [{"op": "copy", "path": "/description"}],
        [{"op": "remove", "path": "/nothing"}],
        [{"op": "remove", "path": "/custom_fields/list/9"}],
        [{"op": "remove", "path": "/custom_fields/list/-"}],
        [{"op": "add", "path": "/custom_fields/list/x", "value": 1}],
        [{"op": "add", "path": "/custom_fields/list/-1", "value": 1}],
        [{"op": "replace", "path": "/description/deep", "value": 1}],
        [{"op": "move", "from": "/custom_fields", "path": "/custom_fields/a"}],
        [{"op": "replace", "path": "", "value": [1]}],
        [{"op": "remove", "path": ""}],
        [{"op": "add", "path": "/nothing", "value": 1}],
        [{"op": "add", "path": "/spec/nothing", "value": 1}],
        [{"op": "replace", "path": "/name", "value": "other"}],
        [{"op": "remove", "path": "/revision"}],
        [{"op": "replace", "path": "/id", "value": "model-x"}],
        [{"op": "remove", "path": "/trust_remote_code"}],
        [{"op": "remove", "path": "/spec/family"}],
    ],
)
def test_what_is_no_patch_or_does_not_apply_is_422_and_changes_nothing(record: ServedRecord, body: Any) -> None:
    before = record.get()
    answer = record.send(Said(body, "json_patch"))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), answer.text
    assert record.get() == before


@pytest.mark.parametrize("sort", SORTS, ids=repr)
def test_every_kind_takes_one(http: httpx.Client, workspace: str, sort: Sort) -> None:
    record = ServedRecord(http, workspace, sort, {"description": "a"})
    assert patched(record, {"op": "replace", "path": "/description", "value": "b"}).json()["description"] == "b"
    assert patched(record, {"op": "remove", "path": "/description"}).json()["description"] is None


def test_a_thousand_operations_are_taken_and_one_more_is_not(record: ServedRecord) -> None:
    grow = [{"op": "add", "path": "/custom_fields/list/-", "value": number} for number in range(1000)]
    answer = record.send(Said(grow, "json_patch"))
    assert answer.status_code == 200
    assert answer.json()["custom_fields"]["list"] == [1, 2, *range(1000)]
    assert record.send(Said([*grow, grow[0]], "json_patch")).status_code == 422
    assert record.get()["revision"] == 2


@pytest.mark.parametrize("path", ["/custom_fields/x{}", "/custom_fields/a/x{}", "/custom_fields/list/-"])
def test_a_patch_cannot_make_much_out_of_little(record: ServedRecord, path: str) -> None:
    start = {"op": "add", "path": "/custom_fields/a", "value": {"text": "x" * 1000}}
    bomb = [{"op": "copy", "from": "/custom_fields", "path": path.format(number)} for number in range(60)]
    before = record.get()
    answer = patched(record, start, *bomb)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["type"] == "too_large"
    assert record.get() == before


_POINTERS = st.lists(st.sampled_from(["a", "b", "c", "0", "1", "-", "", "~0", "~1"]), max_size=3).map(
    lambda steps: "".join(f"/{step}" for step in steps)
)
_OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]), "path": _POINTERS},
        optional={"value": json_values, "from": _POINTERS},
    ),
    max_size=6,
)


@settings(max_examples=400, deadline=None)
@given(objects, _OPERATIONS)
def test_any_patch_makes_an_object_or_is_refused(document: dict[str, Any], operations: list[Any]) -> None:
    start, said = copy.deepcopy(document), copy.deepcopy(operations)
    try:
        transform = json_patch(operations, LIMIT)
        made = transform(document)
    except SteelyardError as error:
        assert isinstance(error, InvalidInput | PreconditionFailed)
    else:
        assert isinstance(made, dict)
        assert same(transform(copy.deepcopy(start)), made), "the same patch again does the same"
    assert same([document, operations], [start, said]), "neither the document nor the patch is touched"


def test_a_patch_that_grows_what_it_has_added_can_be_applied_again() -> None:
    operations = [{"op": "add", "path": "/x", "value": []}, {"op": "add", "path": "/x/-", "value": 1}]
    transform = json_patch(operations, LIMIT)
    assert [transform({}), transform({})] == [{"x": [1]}, {"x": [1]}]


def test_a_key_in_the_document_is_a_mask() -> None:
    record = PureRecord(MODELS, {"api_endpoint": {"url": "https://a", "api_key": "sk-canary"}})
    found = record.change(Said([{"op": "copy", "from": "/api_endpoint/api_key", "path": "/description"}], "json_patch"))
    assert found["description"] == "********"
