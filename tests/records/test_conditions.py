"""`If-Match` and `If-None-Match`: how they are read, and when they hold."""

import pytest

from steelyard.errors import InvalidParameters, PreconditionFailed
from steelyard.records.conditions import NONE, Conditions, parse_conditions
from steelyard.records.kinds import Row

ROW = Row(
    kind="model",
    id="model-1",
    workspace="w",
    name="m",
    revision=3,
    created_at="",
    updated_at="",
    fields={},
)
NOW, OLD = '"model-1.3"', '"model-1.2"'


@pytest.mark.parametrize(
    ("value", "tags"),
    [
        ("*", ("*",)),
        (" * ", ("*",)),
        (NOW, (NOW,)),
        (f"{OLD}, {NOW}", (OLD, NOW)),
        (f"{OLD},{NOW}", (OLD, NOW)),
        (f"W/{NOW}", (f"W/{NOW}",)),
        ('""', ('""',)),
        ('"a,b"', ('"a,b"',)),
        (f" {NOW} ", (NOW,)),
    ],
)
def test_lists_of_tags(value: str, tags: tuple[str, ...]) -> None:
    assert parse_conditions(value, None) == Conditions(match=tags)
    assert parse_conditions(None, value) == Conditions(none_match=tags)


@pytest.mark.parametrize(
    "value", ["", " ", "bare", '"open', 'open"', '"a" "b"', "W/", 'w/"a"', '*, "a"', '"a" x', '"\n"']
)
def test_what_is_no_list_of_tags(value: str) -> None:
    for header, arguments in (("If-Match", (value, None)), ("If-None-Match", (None, value))):
        with pytest.raises(InvalidParameters) as raised:
            parse_conditions(*arguments)
        assert raised.value.faults[0].location == ("header", header)


def test_no_headers_ask_for_nothing() -> None:
    assert parse_conditions(None, None) is NONE
    NONE.check_write(None)
    NONE.check_write(ROW)
    assert not NONE.unchanged(ROW)


@pytest.mark.parametrize(
    ("match", "none_match", "there", "holds"),
    [
        (NOW, None, True, True),
        (f"{OLD}, {NOW}", None, True, True),
        ("*", None, True, True),
        (OLD, None, True, False),
        (f"W/{NOW}", None, True, False),  # If-Match compares strongly
        (NOW, None, False, False),
        ("*", None, False, False),
        (None, "*", False, True),
        (None, NOW, False, True),
        (None, OLD, True, True),
        (None, "*", True, False),
        (None, NOW, True, False),
        (None, f"W/{NOW}", True, False),  # If-None-Match compares weakly
        (NOW, OLD, True, True),
        (NOW, NOW, True, False),
    ],
)
def test_writes(match: str | None, none_match: str | None, there: bool, holds: bool) -> None:
    conditions = parse_conditions(match, none_match)
    row = ROW if there else None
    if holds:
        conditions.check_write(row)
        return
    with pytest.raises(PreconditionFailed) as raised:
        conditions.check_write(row)
    assert raised.value.headers == ({"ETag": NOW} if there else {})
    assert raised.value.details == ({"current_etag": NOW} if there else {})


@pytest.mark.parametrize(
    ("none_match", "unchanged"), [("*", True), (NOW, True), (f"W/{NOW}", True), (f"{OLD}, {NOW}", True), (OLD, False)]
)
def test_reads(none_match: str, unchanged: bool) -> None:
    assert parse_conditions(None, none_match).unchanged(ROW) is unchanged
    assert parse_conditions("*", none_match).unchanged(ROW) is unchanged
    with pytest.raises(PreconditionFailed):
        parse_conditions(OLD, none_match).unchanged(ROW)


def test_a_tag_is_that_of_one_record_at_one_revision() -> None:
    assert ROW.etag == NOW
    others = [
        Row("model", id, "w", "m", revision, "", "", {}) for id, revision in (("model-1", 4), ("model-13", 3), ("m", 3))
    ]
    assert len({ROW.etag, *(other.etag for other in others)}) == 4
