"""The three syntaxes say the same things, and nothing that is written breaks the reader."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.errors import BadFilter
from steelyard.records.filters import Filter, FilterFields, echo, parse_filter

Read = Callable[..., Filter]
Spoken = tuple[Any, ...]
"""Before it is written: ("is", name, operator, value), ("all" or "any", parts), ("not" or "has", one)."""

WORDS = st.sampled_from(["a", "B b", "", "50%", 'q"\\', "é\n", "null", "true", "1"])
SCALARS = WORDS | st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2, 2) | st.just(2**70)
TIMES = st.sampled_from(["2026-01-01", "2026-01-01T10:00:00.5+01:00", "2026-12-31T23:59Z"])


def compared(name: str, values: st.SearchStrategy[Any], operators: list[str]) -> st.SearchStrategy[Spoken]:
    @st.composite
    def build(draw: st.DrawFn) -> Spoken:
        operator = draw(st.sampled_from(operators))
        several = operator in {"$in", "$nin"}
        return "is", name, operator, draw(st.lists(values, max_size=3) if several else values)

    return build()


ORDERED = ["$eq", "$like", "$lt", "$lte", "$gt", "$gte"]
TEXTS = compared("name", WORDS, ORDERED) | compared("description", WORDS, ["$in", "$nin"])
LEAVES = (
    TEXTS
    | compared("created_at", TIMES, ["$eq", "$lt", "$gte", "$in"])
    | compared("finetuning_type", st.sampled_from(["lora", "grpo", True, None]), ["$eq"])
    | compared("fileset", st.sampled_from(["a", "w/a", False, None]), ["$eq"])
    | compared("fileset.name", WORDS, ["$eq", "$like"])
    | compared("prompt", st.booleans(), ["$eq"])
    | compared("trust_remote_code", st.booleans(), ["$eq", "$in"])
    | compared("adapters", st.booleans(), ["$eq"])
    | compared("data.spec.family", SCALARS, ["$eq", "$in", "$nin"])
    | compared("data.n-1", WORDS | st.integers(), ["$lt", "$gte"])
)


def grown(leaves: st.SearchStrategy[Spoken], size: int) -> st.SearchStrategy[Spoken]:
    def grow(inner: st.SearchStrategy[Spoken]) -> st.SearchStrategy[Spoken]:
        several = st.tuples(st.sampled_from(["all", "any"]), st.lists(inner, min_size=2, max_size=3))
        return several | st.tuples(st.just("not"), inner)

    return st.recursive(leaves, grow, max_leaves=size)


CHILDREN = st.tuples(st.just("has"), grown(compared("description", WORDS, ORDERED), 4))
SPOKEN = grown(LEAVES | CHILDREN, 8)

MARKS = {
    "$eq": ":",
    "$like": "~",
    "$lt": "<",
    "$lte": "<=",
    "$gt": ">",
    "$gte": ">=",
    "$in": " IN ",
    "$nin": " NOT IN ",
}


def in_json(spoken: Spoken) -> dict[str, Any]:
    match spoken:
        case ("is", name, "$eq", value):
            return {name: value}
        case ("is", name, operator, value):
            return {name: {operator: value}}
        case ("not", one):
            return {"$not": in_json(one)}
        case ("has", one):
            return {"adapters": in_json(one)}
        case (word, parts):
            return {{"all": "$and", "any": "$or"}[word]: [in_json(part) for part in parts]}
    raise AssertionError(spoken)


def in_text(spoken: Spoken) -> str:
    match spoken:
        case ("is", name, operator, value):
            return f"{name}{MARKS[operator]}{json.dumps(value)}"
        case ("not", one):
            return f"-({in_text(one)})"
        case ("has", one):
            return f"adapters:({in_text(one)})"
        case (word, parts):
            return {"all": " ", "any": " OR "}[word].join(f"({in_text(part)})" for part in parts)
    raise AssertionError(spoken)


@settings(max_examples=300, deadline=None)
@given(SPOKEN)
def test_json_and_text_say_the_same(fields: FilterFields, spoken: Spoken) -> None:
    from_json = parse_filter([("filter", json.dumps(in_json(spoken)))], fields, home="w")
    from_text = parse_filter([("filter", in_text(spoken))], fields, home="w")
    assert repr(from_json) == repr(from_text)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4, unique_by=lambda spoken: spoken[1:3]))
def test_brackets_say_the_same_as_json(fields: FilterFields, spoken: list[Spoken]) -> None:
    pairs = []
    for _, name, operator, value in spoken:
        if operator in {"$in", "$nin"} and value == [""]:
            return  # a single empty string in a list cannot be written in brackets
        pairs.append((f"filter[{name}][{operator}]", ",".join(value) if isinstance(value, list) else value))
    from_brackets = parse_filter(pairs, fields, home="w")
    from_json = parse_filter([("filter", json.dumps({"$and": list(map(in_json, spoken))}))], fields, home="w")
    assert repr(from_brackets) == repr(from_json)


@settings(max_examples=300, deadline=None)
@given(SPOKEN, st.sampled_from(["w", "-"]))
def test_what_is_echoed_reads_as_the_same_filter(fields: FilterFields, spoken: Spoken, home: str) -> None:
    filter = parse_filter([("filter", in_text(spoken))], fields, home=home)
    assert filter is not None
    echoed = json.dumps(echo(filter))
    assert repr(parse_filter([("filter", echoed)], fields, home=home)) == repr(filter)


KEYS = st.sampled_from(
    ["name", "data", "data.x", "adapters", "prompt", "fileset", "created_at", "finetuning_type", "nope", "",
     "$and", "$or", "$not", "$eq", "$in", "$like", "$exists", "$lt", "$x", "in", "x"]
)  # fmt: skip
TOKENS = st.sampled_from(
    ["name", "data.x", "adapters", "prompt", "created_at", "fileset", ":",
     "~", ">", ">=", "<", "(", ")", "[", "]",
     ",", "-", "*", "AND", "OR", "NOT", "IN", '"a"', '"w/a"', '"2026-01-01"', '"', "1", "-2.5e3", "true",
     "null",     " ", "\\", "é", "\0", "\ud800"]
)  # fmt: skip
VALUES = st.recursive(
    SCALARS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=10,
)
BRACKET_KEYS = st.lists(KEYS | st.text(max_size=3), max_size=4).map(lambda k: "filter[" + "][".join(k) + "]")
RAW = st.text() | st.lists(TOKENS, max_size=12).map("".join) | st.lists(TOKENS, max_size=12).map(" ".join)


def is_read_or_refused(fields: FilterFields, pairs: list[tuple[str, str]]) -> None:
    for home in ("w", "-"):
        try:
            filter = parse_filter(pairs, fields, home=home)
        except BadFilter as error:
            error.message.encode()
            assert len(error.message) < 1000
        else:
            assert filter is not None
            json.dumps(echo(filter))


@settings(max_examples=500, deadline=None)
@given(RAW | st.text().map(lambda text: "{" + text))
def test_any_raw_filter_is_read_or_refused(fields: FilterFields, raw: str) -> None:
    is_read_or_refused(fields, [("filter", raw)])


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=3))
def test_any_json_filter_is_read_or_refused(fields: FilterFields, value: dict[str, Any]) -> None:
    is_read_or_refused(fields, [("filter", json.dumps(value))])


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(BRACKET_KEYS, WORDS | TIMES | st.text()), min_size=1, max_size=3))
def test_any_brackets_are_read_or_refused(fields: FilterFields, pairs: list[tuple[str, str]]) -> None:
    is_read_or_refused(fields, pairs)
