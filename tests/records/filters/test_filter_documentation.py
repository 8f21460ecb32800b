"""What `docs/filters.md` shows can be read, and what it counts is so."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from steelyard.records.filters import COMMON, Operator, criteria, fields, objects, parse

PAGE = (Path(__file__).parents[3] / "docs" / "filters.md").read_text()
CODE = re.findall(r"`([^`]+)`", PAGE)
QUERIES = [
    code for code in CODE if re.match(r"\??filter(\[|=)", code) and not re.search(r"\[\.\.\.\]|\[field\]|=$", code)
]
RAW = [code for code in CODE if re.match(r"\{.+\}$|-?[a-z_.]+(:|~|>=| IN | NOT IN )[\"\[(*a-z]", code)]
RAW = [code.replace("\n", " ") for code in RAW if not re.search(r": (true|false|null)$", code)]


def test_the_page_has_examples() -> None:
    assert len(QUERIES) >= 8
    assert len(RAW) >= 12


@pytest.mark.parametrize("query", QUERIES)
def test_queries_can_be_read(said: Callable[..., dict[str, Any]], query: str) -> None:
    assert said(*parse_qsl(query.lstrip("?"), keep_blank_values=True, strict_parsing=True))


@pytest.mark.parametrize("raw", RAW)
def test_raw_filters_can_be_read(said: Callable[..., dict[str, Any]], raw: str) -> None:
    assert said(raw)


def test_the_three_ways_at_the_top_say_the_same(said: Callable[..., dict[str, Any]]) -> None:
    first, *others = [said(*parse_qsl(query.lstrip("?"))) for query in QUERIES[:3]]
    assert [first, first] == others


def test_every_operator_and_common_field_is_named() -> None:
    assert {*Operator, "$and", "$or", "$not", *(field.name for field in COMMON)} <= set(CODE)


def test_the_limits_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+)", PAGE.partition("## Limits")[2], re.MULTILINE)
    assert {name: int(number.replace(",", "")) for name, number in rows} == {
        "nesting": objects.MAX_DEPTH,
        "comparisons": parse.MAX_COMPARISONS,
        "length": parse.MAX_BYTES // 1024,
        "values of one `$in` or `$nin`": criteria.MAX_LIST,
        "segments of a `data` path": fields.MAX_PATH_SEGMENTS,
    }
