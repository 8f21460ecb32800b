"""Which of the three syntaxes is read, and the limits that hold for all of them."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from steelyard.errors import BadFilter
from steelyard.records.filters import FilterFields, parse_filter

Said = Callable[..., dict[str, Any]]
Refusal = Callable[..., str]


def test_no_filter_is_none(fields: FilterFields) -> None:
    assert parse_filter([], fields, home="w") is None
    assert parse_filter([("page", "1"), ("filters", "x"), ("xfilter[name]", "y")], fields, home="w") is None


def test_a_raw_filter_wins_over_brackets(said: Said) -> None:
    assert said(("filter[name]", "a"), ("filter", 'name:"b"')) == {"name": {"$eq": "b"}}


def test_json_starts_with_a_brace_after_blanks_and_all_else_is_text(said: Said) -> None:
    assert said(' \n{"name":"b"}') == said(' name:"b" ') == {"name": {"$eq": "b"}}


def test_two_raw_filters_are_refused(refusal: Refusal) -> None:
    assert "more than once" in refusal('name:"a"', 'name:"b"')


@pytest.mark.parametrize("empty", ["", "  \n"])
def test_an_empty_filter_is_refused(refusal: Refusal, empty: str) -> None:
    assert "cannot be empty" in refusal(empty)


def test_a_filter_is_a_400() -> None:
    assert BadFilter.status == 400


def test_32_levels_are_read_and_33_are_not(said: Said, refusal: Refusal) -> None:
    def negations(levels: int) -> str:
        return '{"$not":' * (levels - 1) + '{"name":"a"}' + "}" * (levels - 1)

    assert said(negations(32)) == json.loads(negations(32).replace('"a"', '{"$eq":"a"}'))
    assert "deeper than 32" in refusal(negations(33))
    assert said("(" * 31 + 'name:"a"' + ")" * 31) == {"name": {"$eq": "a"}}
    assert "deeper than 32" in refusal("(" * 32 + 'name:"a"' + ")" * 32)
    assert said("-" * 31 + 'name:"a"')
    assert "deeper than 32" in refusal("-" * 32 + 'name:"a"')
    assert said(("filter" + "[$not]" * 31 + "[name]", "a"))
    assert "deeper than 32" in refusal(("filter" + "[$not]" * 32 + "[name]", "a"))


def test_a_relation_is_a_level(said: Said, refusal: Refusal) -> None:
    def negations(levels: int) -> str:
        return '{"$not":' * (levels - 1) + '{"name":"a"}' + "}" * (levels - 1)

    assert said(f'{{"adapters":{negations(31)}}}')
    assert "deeper than 32" in refusal(f'{{"adapters":{negations(32)}}}')
    assert said("adapters:(" + "-" * 30 + 'name:"a")')
    assert "deeper than 32" in refusal("adapters:(" + "-" * 31 + 'name:"a")')
    assert said(("filter[adapters]" + "[$not]" * 30 + "[name]", "a"))
    assert "deeper than 32" in refusal(("filter[adapters]" + "[$not]" * 31 + "[name]", "a"))


@pytest.mark.parametrize(
    "nested",
    [
        '{"$and":[' * 40 + '{"name":"a"}' + "]}" * 40,
        '{"$or":[' * 40 + '{"name":"a"}' + "]}" * 40,
        '{"name":' + '{"$not":' * 40 + '"a"' + "}" * 41,
        '{"data":' + '{"a":' * 40 + "1" + "}" * 41,
        '{"$not":' * 1500,
        '{"name":' + "[" * 5000,
        "-(" * 4000,
        "adapters:(" * 40,
    ],
)
def test_nothing_nested_too_deep_is_read(refusal: Refusal, nested: str) -> None:
    assert refusal(nested)


def test_deep_values_are_refused_without_being_shown(refusal: Refusal) -> None:
    assert refusal('{"name":' + "[" * 500 + "]" * 500 + "}") == (
        "Filter field 'name' takes a string, not a list; for one of several, use $in"
    )


def test_200_comparisons_are_read_and_201_are_not(said: Said, refusal: Refusal) -> None:
    assert len(said(" OR ".join(['name:"a"'] * 200))["$or"]) == 200
    assert "201 comparisons" in refusal(" OR ".join(['name:"a"'] * 201))
    assert "201 comparisons" in refusal(*[("filter[$not][name]", "a")] * 201)


def test_16_kib_are_read_and_one_byte_more_is_not(said: Said, refusal: Refusal) -> None:
    frame = len('name:""')
    assert said('name:"' + "é" * ((16384 - frame) // 2) + '"')
    assert "longer than 16 KiB" in refusal('name:"' + "é" * ((16384 - frame) // 2 + 1) + '"')
    key = "filter[description]"
    assert said((key, "x" * (16384 - len(key))))
    assert "longer than 16 KiB" in refusal((key, "x" * (16384 - len(key) + 1)))
    assert "longer than 16 KiB" in refusal(*[(key, "x" * 3000)] * 6)


def test_1000_values_in_a_list_are_read_and_1001_are_not(said: Said, refusal: Refusal) -> None:
    assert len(said(("filter[name][$in]", ",".join("x" * 1000)))["name"]["$in"]) == 1000
    assert "at most 1000 values, not 1001" in refusal(("filter[name][$in]", ",".join("x" * 1001)))
    assert "at most 1000 values" in refusal(f"data.x NOT IN {[1] * 1001}")
