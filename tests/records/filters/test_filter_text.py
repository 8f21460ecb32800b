"""`filter=name:"rt" -project:null`."""

from collections.abc import Callable
from typing import Any

import pytest

Said = Callable[..., dict[str, Any]]
Refusal = Callable[..., str]

A, B, C = ({"name": {"$eq": letter}} for letter in "abc")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('name:"rt"', {"name": {"$eq": "rt"}}),
        (' name : "rt" ', {"name": {"$eq": "rt"}}),
        ('name~"race"', {"name": {"$like": "race"}}),
        ('name>"a"', {"name": {"$gt": "a"}}),
        ('name>="a"', {"name": {"$gte": "a"}}),
        ('name<"a"', {"name": {"$lt": "a"}}),
        ('name<="a"', {"name": {"$lte": "a"}}),
        ('name IN ["a", "b"]', {"name": {"$in": ["a", "b"]}}),
        ("name in []", {"name": {"$in": []}}),
        ('name NOT IN ["a",null]', {"name": {"$nin": ["a", None]}}),
        ("project:null", {"project": {"$eq": None}}),
        ("project:*", {"project": {"$exists": True}}),
        ("prompt:true", {"prompt": {"$exists": True}}),
        ("adapters:false", {"adapters": {"$exists": False}}),
        ('adapters.finetuning_type:"lora"', {"adapters": {"finetuning_type": {"$eq": "lora"}}}),
        ('fileset.name:"x"', {"fileset.name": {"$eq": "x"}}),
        ("data.a-b.c>=-1.5e2", {"data.a-b.c": {"$gte": -150.0}}),
        ("data.x:-1", {"data.x": {"$eq": -1}}),
        ("data.x:1e2", {"data.x": {"$eq": 100.0}}),
        ("data.in:0", {"data.in": {"$eq": 0}}),
        (r'name:"a\"\u00e9\n)"', {"name": {"$eq": 'a"é\n)'}}),
        ("-prompt:true", {"$not": {"prompt": {"$exists": True}}}),
        ("NOT prompt:true", {"$not": {"prompt": {"$exists": True}}}),
    ],
)
def test_what_is_written_and_what_is_meant(said: Said, written: str, meant: dict[str, Any]) -> None:
    assert said(written) == meant


@pytest.mark.parametrize(
    "written", ['name:"a" AND name:"b"', 'name:"a" name:"b"', 'name:"a"name:"b"', 'name:"a" and(name:"b")']
)
def test_a_blank_is_and(said: Said, written: str) -> None:
    assert said(written) == {"$and": [A, B]}


def test_and_binds_stronger_than_or(said: Said) -> None:
    assert said('name:"a" OR name:"b" name:"c"') == {"$or": [A, {"$and": [B, C]}]}
    assert said('name:"a" name:"b" OR name:"c"') == {"$or": [{"$and": [A, B]}, C]}
    assert said('name:"a" (name:"b" OR name:"c")') == {**A, "$or": [B, C]}


def test_minus_negates_what_stands_next_to_it(said: Said) -> None:
    assert said('-name:"a" name:"b"') == {"$not": A, **B}
    assert said('name:"a" -name:"b"') == {**A, "$not": B}
    assert said('-(name:"a" OR name:"b")') == {"$not": {"$or": [A, B]}}
    assert said('--name:"a"') == {"$not": {"$not": A}}


def test_parentheses_after_a_relation_speak_of_one_child(said: Said) -> None:
    lora, named = {"finetuning_type": {"$eq": "lora"}}, {"name": {"$eq": "x"}}
    assert said('adapters:(finetuning_type:"lora" name:"x")') == {"adapters": {**lora, **named}}
    assert said('adapters.finetuning_type:"lora" adapters.name:"x"') == {
        "$and": [{"adapters": lora}, {"adapters": named}]
    }


def test_words_are_fields_where_a_field_continues(said: Said, refusal: Refusal) -> None:
    assert "Unknown filter field 'order'" in refusal('name:"a" order:"b"')
    assert "Unknown filter field 'notes'" in refusal('notes:"b"')
    assert "Unknown filter field 'or'" in refusal('name:"a" or.x:"b"')


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("name:rt", "expected a value at character 6, found 'rt'; strings stand in double quotes"),
        ("created_at>2026-01-01", "expected a value at character 12, found '2026-01-01'"),
        ("name:", "expected a value at character 6, the text ends"),
        (
            "name",
            "expected an operator after 'name' (: ~ > >= < <= IN, NOT IN) at character 5, the text ends",
        ),
        ('name = "a"', "expected an operator after 'name' (: ~ > >= < <= IN, NOT IN) at character 6"),
        ('name NOT "a"', "expected an operator after 'name'"),
        ('"a"', "expected a field, '-' or '(' at character 1"),
        ('name:"a" OR', "expected a field, '-' or '(' at character 12, the text ends"),
        ('name:"a" AND AND', "expected an operator after 'AND'"),
        ('(name:"a"', "expected AND, OR or ')' at character 10, the text ends"),
        ('name:"a")', "expected AND, OR or the end at character 9, found ')'"),
        ("()", "expected a field, '-' or '(' at character 2"),
        ('name IN "a"', "expected '[' at character 9"),
        ('name IN ["a" "b"]', "expected ',' or ']' at character 14"),
        ('name IN ["a",]', "expected a value at character 14"),
        ('name IN ["a"', "expected ',' or ']' at character 13, the text ends"),
        ('name:"a', "Unterminated string starting at at character 6"),
        (r'name:"\x"', "Invalid \\escape"),
        ("data.x:01", "expected a value at character 8"),
        ("data.x:1e999", "too large"),
        ("data.x:" + "9" * 5000, "the number at character 8 is too long"),
        ("data.x:TRUE", "expected a value"),
        ('name:(id:"a")', "Filter field 'name' takes a value, not a filter in parentheses"),
        ('nmae:"a"', "did you mean 'name'?"),
        ("name:5", "takes a string, not 5; put it in double quotes"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(refusal: Refusal, written: str, message: str) -> None:
    assert message in refusal(written)
