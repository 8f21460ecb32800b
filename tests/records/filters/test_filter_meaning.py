"""What filters accept, by example."""

from collections.abc import Callable
from typing import Any

import pytest

from steelyard.records.filters import Filter, matches

Read = Callable[..., Filter]


def record(**given: Any) -> dict[str, Any]:
    """A record with some columns; what is no column is a field, `adapters` are the fields of its children."""
    columns: dict[str, Any] = {
        "id": "model-1",
        "kind": "model",
        "name": "race1",
        "workspace": "here",
        "project": None,
        "created_at": "2026-01-01T00:00:00.000000Z",
        "updated_at": "2026-02-01T00:00:00.500000Z",
    }
    children = [record(kind="adapter", **child) for child in given.pop("adapters", ())]
    columns |= {key: given.pop(key) for key in list(given) if key in columns}
    return columns | {"fields": given, "children": {"adapter": children}}


def accepted(read: Read, text: str, **given: Any) -> bool:
    return matches(read(text), record(**given))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('name:"race1"', True),
        ('name:"Race1"', False),
        ('name:"race"', False),
        ('name~"RAC"', True),
        ('name~"r%1"', False),
        ('name~"r_ce"', False),
        ('name<"race10"', True),
        ('name>"Z"', True),
        ('name>"race1"', False),
        ('name>="race1"', True),
        ('name<="race1" name IN ["x","race1"]', True),
        ('name NOT IN ["x","race1"]', False),
        ("name IN []", False),
        ("name NOT IN []", True),
        ('id:"model-1" workspace:"here" entity_type:"model"', True),
        ("project:null", True),
        ("project:*", False),
        ('created_at>="2026-01-01" created_at<"2026-01-01T00:00:00.000001Z"', True),
        ('updated_at>"2026-02-01T00:00:00.5Z"', False),
        ('updated_at>="2026-02-01T02:00:00.5+02:00"', True),
        ('name:"race1" id:"x"', False),
        ('name:"race1" OR id:"x"', True),
        ('-(name:"race1" id:"x")', True),
    ],
)
def test_columns(read: Read, text: str, expected: bool) -> None:
    assert accepted(read, text) is expected


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ("data.x:1", 1.0, True),
        ("data.x:1", True, False),
        ("data.x:true", 1, False),
        ("data.x:0", False, False),
        ("data.x:1", "1", False),
        ('data.x:"1"', 1, False),
        ("data.x<2", 1.5, True),
        ("data.x<2", "1", False),
        ('data.x<"2"', "10", True),
        ("data.x>0", True, False),
        ("-data.x>0", "text", True),
        ('data.x~"É"', "aéb", True),
        ('data.x~"1"', 1, False),
        ('data.x~""', "", True),
        ('data.x~"a"', ["a"], False),
        ('data.x~"a"', {"a": 1}, False),
        ('data.x:"{}"', {}, False),
        ("data.x:null", None, True),
        ("data.x:null", "", False),
        ("data.x:null", {}, False),
        ("data.x:*", {}, True),
        ("data.x:*", False, True),
        ("data.x:*", None, False),
        ("data.x IN [null,1]", None, True),
        ("data.x NOT IN [null,1]", None, False),
        ("data.x.y:1", {"y": 1}, True),
        ("data.x.y:null", "text", True),
        ("data.x.0:1", [1], False),
        (f"data.x:{2**53 + 1}", 2**53, False),
        (f"data.x>{2**53}", 2**53 + 1, True),
        (f"data.x:{2**64}", 2**64 + 1, True),
        ("data.x>1e308", 10**400, True),
        ("data.x<-1e308", -(10**400), True),
    ],
)
def test_json_values_are_compared_by_their_type(read: Read, text: str, value: Any, expected: bool) -> None:
    assert accepted(read, text, x=value) is expected


@pytest.mark.parametrize(
    "comparison", ['description:"a"', 'description~"a"', 'description<"a"', 'description IN ["a"]']
)
def test_a_missing_field_is_false_in_a_comparison_and_true_in_its_negation(read: Read, comparison: str) -> None:
    assert not accepted(read, comparison)
    assert accepted(read, f"-{comparison}")


def test_letters_sort_by_code_point(read: Read) -> None:
    assert accepted(read, r'description>"\uffff"', description="\U00010000")


@pytest.mark.parametrize(
    ("prompt", "there"),
    [(None, False), ({}, False), ({"system_prompt": None}, True), ("x", True), ([], True)],
)
def test_presence_is_neither_null_nor_an_empty_object(read: Read, prompt: Any, there: bool) -> None:
    assert accepted(read, "prompt:true", prompt=prompt) is there
    assert accepted(read, "prompt:false", prompt=prompt) is not there
    assert accepted(read, "prompt:false")


@pytest.mark.parametrize(
    ("text", "stored", "expected"),
    [
        ('fileset:"a"', "here/a", True),
        ('fileset:"a"', "there/a", False),
        ('fileset.name:"a"', "there/a", True),
        ('fileset.workspace:"there"', "there/a", True),
        ('fileset.name:"a"', "a", True),
        ('fileset.workspace:""', "a", True),
        ('fileset.name:"a/b"', "there/a/b", True),
        ("fileset.name:null", None, True),
        ("fileset.name:null", {"a": 1}, True),
        ("fileset:true", "there/a", True),
    ],
)
def test_references(read: Read, text: str, stored: Any, expected: bool) -> None:
    assert accepted(read, text, fileset=stored) is expected


def test_a_flag_that_is_missing_is_neither_true_nor_false(read: Read) -> None:
    assert accepted(read, "trust_remote_code:false", trust_remote_code=False)
    assert not accepted(read, "trust_remote_code:false")
    assert not accepted(read, "trust_remote_code:true", trust_remote_code=1)


def test_a_field_may_stand_elsewhere_than_its_name_says(read: Read) -> None:
    assert accepted(read, 'served_at<"2026-01-02"', served={"at": "2026-01-01T00:00:00.000000Z"})


LORA, DORA = {"finetuning_type": "lora", "name": "a"}, {"finetuning_type": "dora", "name": "b"}


@pytest.mark.parametrize(
    ("text", "adapters", "expected"),
    [
        ("adapters:true", [LORA], True),
        ("adapters:true", [], False),
        ("adapters:false", [], True),
        ('adapters.finetuning_type:"lora"', [DORA, LORA], True),
        ('adapters.finetuning_type:"lora"', [DORA], False),
        ('-adapters.finetuning_type:"lora"', [], True),
        ('-adapters.finetuning_type:"lora"', [DORA, LORA], False),
        ('adapters:(-finetuning_type:"lora")', [DORA, LORA], True),
        ('adapters:(-finetuning_type:"lora")', [], False),
        ('adapters:(finetuning_type:"lora" name:"b")', [DORA, LORA], False),
        ('adapters.finetuning_type:"lora" adapters.name:"b"', [DORA, LORA], True),
        ('adapters:(entity_type:"adapter")', [LORA], True),
    ],
)
def test_relations(read: Read, text: str, adapters: list[Any], expected: bool) -> None:
    assert accepted(read, text, adapters=adapters) is expected
