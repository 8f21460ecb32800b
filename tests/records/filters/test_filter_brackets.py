"""`filter[field]=v` and `filter[field][$op]=v`."""

from collections.abc import Callable
from typing import Any

import pytest

Said = Callable[..., dict[str, Any]]
Refusal = Callable[..., str]


def test_a_bare_field_is_compared_for_equality(said: Said) -> None:
    assert said(("filter[name]", "rt")) == {"name": {"$eq": "rt"}}


@pytest.mark.parametrize("operator", ["eq", "like", "lt", "lte", "gt", "gte"])
def test_operators_stand_with_or_without_their_dollar(said: Said, operator: str) -> None:
    with_dollar = said((f"filter[name][${operator}]", "x"))
    assert with_dollar == said((f"filter[name][{operator}]", "x")) == {"name": {f"${operator}": "x"}}


@pytest.mark.parametrize("operator", ["in", "nin"])
def test_lists_are_divided_by_commas_and_keep_their_blanks(said: Said, operator: str) -> None:
    assert said((f"filter[name][{operator}]", "a, b,")) == {"name": {f"${operator}": ["a", " b", ""]}}


def test_an_empty_list_is_a_list(said: Said) -> None:
    assert said(("filter[name][$in]", "")) == {"name": {"$in": []}}


def test_several_brackets_must_all_hold(said: Said) -> None:
    pairs = ("filter[name]", "a"), ("page", "2"), ("filter[created_at][gte]", "2026-01-01")
    assert said(*pairs) == {
        "name": {"$eq": "a"},
        "created_at": {"$gte": "2026-01-01T00:00:00.000000Z"},
    }


def test_the_same_key_twice_must_hold_twice(said: Said) -> None:
    pairs = ("filter[name][$like]", "a"), ("filter[name][$like]", "b")
    assert said(*pairs) == {"$and": [{"name": {"$like": "a"}}, {"name": {"$like": "b"}}]}


def test_brackets_under_one_relation_speak_of_one_child(said: Said) -> None:
    pairs = (
        ("filter[adapters][finetuning_type]", "lora"),
        ("filter[name]", "x"),
        ("filter[adapters][description][like]", "y"),
    )
    assert said(*pairs) == {
        "adapters": {"finetuning_type": {"$eq": "lora"}, "description": {"$like": "y"}},
        "name": {"$eq": "x"},
    }


@pytest.mark.parametrize(("value", "there"), [("true", True), ("false", False)])
def test_a_relation_is_asked_for_with_true_and_false(said: Said, value: str, there: bool) -> None:
    asked = {"adapters": {"$exists": there}}
    assert said(("filter[adapters]", value)) == asked
    assert said(("filter[adapters][$exists]", value)) == asked
    assert said(("filter[adapters][exists]", value)) == asked


def test_brackets_under_not_are_negated_together(said: Said) -> None:
    pairs = ("filter[$not][name]", "a"), ("filter[$not][description]", "b")
    assert said(*pairs) == {"$not": {"name": {"$eq": "a"}, "description": {"$eq": "b"}}}


def test_not_under_a_relation_speaks_of_the_child(said: Said) -> None:
    assert said(("filter[adapters][$not][name]", "a")) == {"adapters": {"$not": {"name": {"$eq": "a"}}}}


def test_data_paths_stand_in_one_bracket_or_in_many(said: Said) -> None:
    expected = {"data.spec.family": {"$eq": "llama"}}
    assert said(("filter[data.spec.family]", "llama")) == expected
    assert said(("filter[data][spec][family]", "llama")) == expected
    assert said(("filter[data][spec][like]", "x")) == {"data.spec": {"$like": "x"}}
    assert said(("filter[data][spec.like]", "x")) == {"data.spec.like": {"$eq": "x"}}


def test_the_name_in_a_reference_is_a_field_of_its_own(said: Said) -> None:
    assert said(("filter[fileset][name]", "x")) == {"fileset.name": {"$eq": "x"}}
    assert said(("filter[owner][workspace][in]", "x,y")) == {"owner.workspace": {"$in": ["x", "y"]}}


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("filter[]", "'filter[]' is not a filter key; write filter[field] or filter[field][$operator]"),
        ("filter[name", "is not a filter key"),
        ("filter[name]x", "is not a filter key"),
        ("filter[name][]", "is not a filter key"),
        ("filter[nmae]", "Unknown filter field 'nmae'; did you mean 'name'? Valid fields: description, "),
        ("filter[zzzz]", "Unknown filter field 'zzzz'. Valid fields: description, "),
        (
            "filter[adapters][finetuning]",
            "Unknown filter field 'finetuning' of adapter; did you mean 'finetuning",
        ),
        (
            "filter[name][$lik]",
            "Unknown filter operator '$lik'; did you mean '$like'? Valid operators: $eq, ",
        ),
        ("filter[name][lik]", "Filter field 'name' has no part 'lik'; did you mean '$like'?"),
        ("filter[fileset][nam]", "Filter field 'fileset' has no part 'nam'; did you mean 'name'?"),
        (
            "filter[name][$and]",
            "Operator $and cannot be written in brackets; write the filter as JSON or text",
        ),
        ("filter[$or][0][name]", "Operator $or cannot be written in brackets"),
        ("filter[$not]", "filter[$not][field]=value"),
        ("filter[name][$not][$like]", "filter[$not][field]=value"),
        ("filter[$eq][name]", "Operator $eq stands last in a filter key"),
        ("filter[$eq]", "Operator $eq stands last in a filter key"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_mend(refusal: Refusal, key: str, message: str) -> None:
    assert message in refusal((key, "x"))
