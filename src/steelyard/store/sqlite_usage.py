"""What SQLite keeps of usage: the part of both transactions that is about it."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import orjson

from steelyard.records.usage import Place, Spent, UsageQuery, UsageRow, UsageSum, microseconds

_TIME = "strftime('%Y-%m-%dT%H:%M:%S', at / 1000000, 'unixepoch') || printf('.%06dZ', at % 1000000)"
_COLUMNS = (
    f"{_TIME}, request_id, workspace, model, route, provider, dialect, upstream_dialect, stream, status, error, input, "
    'output, cached_input, cache_write, reasoning, cost, currency, latency_ms, first_token_ms, attempts, cache, "key", '
    "caller"
)
_GROUPS = {
    "workspace": "workspace",
    "model": "model",
    "provider": "provider",
    "key": '"key"',
    "route": "route",
    "day": "strftime('%Y-%m-%d', at / 1000000, 'unixepoch')",
    "hour": "strftime('%Y-%m-%dT%H:00:00Z', at / 1000000, 'unixepoch')",
    "status": "status",
}
# Times to three digits: there are few of those, however many requests there were, and they are ranked instead.
_TIME_OF = (
    "CASE WHEN latency_ms < 10 THEN round(latency_ms, 2) WHEN latency_ms < 100 THEN round(latency_ms, 1) "
    "WHEN latency_ms < 1000 THEN round(latency_ms) WHEN latency_ms < 10000 THEN round(latency_ms / 10) * 10 "
    "WHEN latency_ms < 100000 THEN round(latency_ms / 100) * 100 ELSE round(latency_ms / 1000) * 1000 END"
)


class UsageReads:
    """Reads about usage; part of `SqliteReadTransaction`."""

    _connection: sqlite3.Connection
    _execute: Callable[..., sqlite3.Cursor]

    async def usage(
        self, query: UsageQuery, *, newest_first: bool, after: Place | None, limit: int
    ) -> list[tuple[Place, UsageRow]]:
        where, values = _where(query)
        direction, beyond = ("DESC", "<") if newest_first else ("ASC", ">")
        if after is not None:
            where += f" AND (at, seq) {beyond} (?, ?)"
            values += after
        sql = (
            f"SELECT at, seq, {_COLUMNS} FROM usage WHERE {where} "  # noqa: S608 - only column names and ? are put in
            f"ORDER BY at {direction}, seq {direction} LIMIT ?"
        )
        return [(Place(at, seq), _row(found)) for at, seq, *found in self._connection.execute(sql, (*values, limit))]

    async def sum_usage(self, query: UsageQuery, groups: Sequence[str], limit: int) -> list[UsageSum]:
        where, values = _where(query)
        chosen = "".join(f"{_GROUPS[name]} AS group_{name}, " for name in groups)
        names = "".join(f"group_{name}, " for name in groups)
        by = names.rstrip(", ")
        part, grouped = (f"PARTITION BY {by}", f"GROUP BY {by}") if groups else ("", "")
        sums = (
            f"WITH counted AS (SELECT {chosen}{_TIME_OF} AS time, count(*) AS requests, "  # noqa: S608 - our names and ?
            "total(status >= 400 OR error IS NOT NULL) AS errors, total(cache IS NOT NULL) AS hits, "
            "total(input) AS input, total(output) AS output, total(cached_input) AS cached_input, "
            "total(cache_write) AS cache_write, total(reasoning) AS reasoning, total(latency_ms) AS latency, "
            "total(first_token_ms) AS first_token, count(first_token_ms) AS first_tokens "
            f"FROM usage WHERE {where} GROUP BY {names}time), "
            f"ranked AS (SELECT *, sum(requests) OVER ({part} ORDER BY time) AS rank, "
            f"sum(requests) OVER ({part}) AS size FROM counted) "
            f"SELECT {names}sum(requests) AS number, sum(errors), sum(hits), sum(input), sum(output), "
            "sum(cached_input), sum(cache_write), sum(reasoning), sum(latency) / sum(requests), "
            "min(CASE WHEN rank * 100 >= size * 50 THEN time END), "
            "min(CASE WHEN rank * 100 >= size * 95 THEN time END), sum(first_token) / nullif(sum(first_tokens), 0) "
            f"FROM ranked {grouped} ORDER BY number DESC, 1 LIMIT ?"
        )
        costs = (
            f"SELECT {chosen}currency, sum(cost) FROM usage "  # noqa: S608
            f"WHERE {where} AND cost IS NOT NULL GROUP BY {names}currency"
        )
        width = len(groups)
        spent: dict[tuple[Any, ...], dict[str, float]] = {}
        for *group, currency, cost in self._connection.execute(costs, values):
            spent.setdefault(tuple(group), {})[currency] = cost
        return [
            _sum(found[:width], found[width:], spent.get(found[:width], {}))
            for found in self._connection.execute(sums, (*values, limit))
            if found[width]  # without groups there is one row of nothing for nothing
        ]

    async def spent(self, day: str) -> list[Spent]:
        rows = self._execute("spent", (day, f"{day[:7]}-01"))
        return [Spent(workspace, model, key or None, *rest) for workspace, model, key, *rest in rows]


class UsageChanges:
    """Changes of usage, which leave no revision; part of `SqliteWriteTransaction`."""

    _change: Callable[[str, Sequence[Any]], int]
    _change_many: Callable[[str, int, Sequence[Any]], int]

    async def add_usage(self, rows: Sequence[UsageRow]) -> None:
        bound = [_bound(row) for row in rows]
        at = 0
        while at < len(bound):
            # Few sizes, so that the statements are prepared once; one statement for many rows, so that the
            # interpreter's lock is not asked for between them.
            size = next(size for size in _SIZES if size <= len(bound) - at)
            self._change_many("add_usage", size, list(chain.from_iterable(bound[at : at + size])))
            at += size
        if any(row.cost for row in rows):
            self._change("add_spending", (orjson.dumps([_whole(row) for row in rows if row.cost]).decode(),))

    async def forget_usage(self, before: str, limit: int) -> int:
        return self._change("forget_usage", (microseconds(before), limit))

    async def put_days_together(self, before: str) -> None:
        self._change("put_days_together", (before,))
        self._change("forget_days", (before,))


def _where(query: UsageQuery) -> tuple[str, list[Any]]:
    """The condition of a query, which is never empty, and its values."""
    conditions, values = ["1"], list[Any]()
    for column in ("workspace", "model", "provider", "key", "route", "request_id"):
        value = getattr(query, column)
        if value is not None:
            conditions.append(f'"{column}" = ?')
            values.append(value)
    if query.workspaces is not None:
        conditions.append("workspace IN (SELECT value FROM json_each(?))")
        values.append(orjson.dumps(query.workspaces).decode())
    if query.since is not None:
        conditions.append("at >= ?")
        values.append(microseconds(query.since))
    if query.until is not None:
        conditions.append("at < ?")
        values.append(microseconds(query.until))
    if query.status is not None:
        conditions.append("status BETWEEN ? AND ?")
        values += query.status
    return " AND ".join(conditions), values


def _row(found: Sequence[Any]) -> UsageRow:
    row = UsageRow(*found)
    return row._replace(stream=bool(row.stream))


def _sum(group: tuple[Any, ...], found: Sequence[Any], cost: dict[str, float]) -> UsageSum:
    requests, errors, hits, input, output, cached, written, reasoning, mean, p50, p95, first = found
    counts = [int(number) for number in (errors, hits, input, output, cached, written, reasoning)]
    return UsageSum._make((group, requests, *counts, mean, p50, p95, first, cost))


_SIZES = (128, 16, 1)
_COUNTS = range(UsageRow._fields.index("input"), UsageRow._fields.index("reasoning") + 1)
_MOST_TOKENS = 2**53 - 1
"""Counts that an upstream made up are cut to what JSON can hold."""


def _bound(row: UsageRow) -> Sequence[Any]:
    values: list[Any] = list(row)
    values[0] = microseconds(row.at)
    for place in _COUNTS:
        if values[place] is not None and values[place] > _MOST_TOKENS:
            values[place] = _MOST_TOKENS
    return values if _is_text(values) else [_text(value) for value in values]


def _whole(row: UsageRow) -> Sequence[Any]:
    return list(row) if _is_text(row) else [_text(value) for value in row]


def _is_text(values: Sequence[Any]) -> bool:
    """Whether all texts are whole: half a character, from a header or a broken answer, is no text."""
    joined = "".join([value for value in values if isinstance(value, str)])
    if joined.isascii():
        return True
    try:
        joined.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
