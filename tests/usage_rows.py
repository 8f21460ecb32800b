"""Rows of usage, with what a test does not care about filled in."""

from typing import Any

from steelyard.records.usage import UsageRow

_ROW = UsageRow(
    at="2026-01-30T12:00:00.000000Z",
    request_id="req-1",
    workspace="default",
    model="default/m",
    route="default/m",
    provider="default/p",
    dialect="openai.chat",
    upstream_dialect="openai.chat",
    stream=False,
    status=200,
    error=None,
    input=100,
    output=20,
    cached_input=0,
    cache_write=0,
    reasoning=0,
    cost=0.001,
    currency="USD",
    latency_ms=250.0,
    first_token_ms=None,
    attempts=1,
    cache=None,
    key=None,
    caller=None,
)


def usage(**fields: Any) -> UsageRow:
    """A row; those of a test differ in `fields`."""
    return _ROW._replace(**fields)
