"""Usage over the API: rows, pages, filters, sums, exports. Rows are written before the server starts."""

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from steelyard.actions.context import Caller
from steelyard.actions.perform import perform
from steelyard.actions.workspaces import create_workspace, delete_workspace
from steelyard.records.conditions import NONE
from steelyard.records.usage import UsageRow
from tests.api.paths import WORKSPACES, made
from tests.contexts import Clock, opened
from tests.servers import running
from tests.usage_rows import usage

# Of each kind one: answers, a refusal, a stream that was cut, a failure, an answer from the cache.
ROWS = [
    usage(at="2026-01-30T10:00:00.000001Z", request_id="a", input=100, output=10, cost=0.5, latency_ms=100.0, key="k"),
    usage(at="2026-01-30T10:59:59.999999Z", request_id="b", model="default/big", cost=1.0, latency_ms=300.0, key="k"),
    usage(
        at="2026-01-30T11:00:00.000000Z",
        request_id="c",
        status=429,
        error="rate_limited",
        provider=None,
        upstream_dialect=None,
        input=None,
        output=None,
        cost=None,
        latency_ms=1.0,
    ),
    usage(
        at="2026-01-31T00:00:00.000000Z",
        request_id="d",
        stream=True,
        error="upstream_cut",
        route="default/chat",
        input=50,
        output=5,
        cached_input=40,
        cache_write=4,
        reasoning=3,
        cost=0.25,
        currency="EUR",
        latency_ms=200.0,
        first_token_ms=20.0,
        attempts=2,
        caller="somebody",
    ),
    usage(at="2026-01-31T09:00:00.000000Z", request_id="e", status=503, error="unavailable", latency_ms=5.0, cost=None),
    usage(at="2026-02-01T00:00:00.000000Z", request_id="=f()", cache="hit", cost=0.0, latency_ms=0.5, attempts=0),
]
ELSEWHERE = usage(at="2026-01-30T12:00:00.000000Z", request_id="t", workspace="team", model="team/m", cost=8.0)


async def _written(folder: Path) -> None:
    async with opened(folder, Clock()) as context:  # these workspaces were made in 2001
        for name in ("team", "gone"):
            await perform(context, create_workspace(context, Caller(), "", {"name": name}, NONE))
        gone = ELSEWHERE._replace(workspace="gone", request_id="g", at="2026-01-30T13:00:00.000000Z")
        await context.store.write(lambda tx: tx.add_usage([*ROWS, ELSEWHERE, gone]))
        await perform(context, delete_workspace(context, Caller(), "", "gone", NONE))


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with eight rows: six in `default`, one in `team`, one of a workspace that was deleted."""
    folder = tmp_path_factory.mktemp("usage") / "data"
    folder.mkdir()
    asyncio.run(_written(folder))
    # What is so old goes at the first tidying, unless it may stay.
    with (
        running(folder, environ={"STEELYARD_USAGE__KEEP_DAYS": "36500"}) as server,
        httpx.Client(base_url=f"{server.url}/apis/steelyard/v1/workspaces", timeout=30) as client,
    ):
        yield client


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [row["request_id"] for row in answer.json()["data"]]


def fault(answer: httpx.Response) -> Any:
    assert answer.status_code == 422, answer.text
    return answer.json()["detail"][0]["loc"]


def test_a_list_has_the_newest_first_and_all_that_is_known(api: httpx.Client) -> None:
    answer = api.get("/default/usage")
    assert ids(answer) == ["=f()", "e", "d", "c", "b", "a"]
    assert answer.json()["data"][2] == ROWS[3]._asdict()
    assert answer.json()["pagination"] == {"page_size": 100, "current_page_size": 6, "next_cursor": None}


def test_a_dash_is_every_workspace_those_that_are_gone_too(api: httpx.Client) -> None:
    assert ids(api.get("/-/usage")) == ["=f()", "e", "d", "g", "t", "c", "b", "a"]


def test_usage_of_a_workspace_that_is_not_there_is_not_found(api: httpx.Client) -> None:
    for path in ("usage", "usage:summary", "usage:export"):
        assert api.get(f"/nobody/{path}").status_code == 404
        assert api.get(f"/gone/{path}").status_code == 404


def test_a_workspace_that_is_made_anew_does_not_have_the_rows_of_the_old_one(api: httpx.Client) -> None:
    made(api, str(api.base_url.copy_with(path=WORKSPACES)), name="gone")
    assert ids(api.get("/gone/usage")) == []
    assert api.get("/gone/usage:summary").json()["data"] == []
    assert api.get("/gone/usage:export").text == ""
    assert "g" in ids(api.get("/-/usage"))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"since": "2026-01-30T11:00:00Z"}, ["=f()", "e", "d", "c"]),
        ({"until": "2026-01-30T11:00:00Z"}, ["b", "a"]),
        ({"since": "2026-01-30T10:00:00.000001Z", "until": "2026-01-30T10:00:00.000002Z"}, ["a"]),
        ({"since": "2026-01-30T13:00:00+02:00", "until": "2026-01-31"}, ["c"]),
        ({"model": "big"}, ["b"]),
        ({"model": "default/big"}, ["b"]),
        ({"route": "chat"}, ["d"]),
        ({"provider": "p"}, ["=f()", "e", "d", "b", "a"]),
        ({"key": "k"}, ["b", "a"]),
        ({"status": "429"}, ["c"]),
        ({"status": "5xx"}, ["e"]),
        ({"status": "2xx", "until": "2026-01-31"}, ["b", "a"]),
        ({"request_id": "d"}, ["d"]),
        ({"request_id": "t"}, []),
        ({"model": "nope"}, []),
    ],
)
def test_filters(api: httpx.Client, query: dict[str, str], expected: list[str]) -> None:
    assert ids(api.get("/default/usage", params=query)) == expected
    exported = api.get("/default/usage:export", params=query).text.splitlines()
    assert [json.loads(line)["request_id"] for line in exported] == expected[::-1]
    counted = api.get("/default/usage:summary", params={**query, "group_by": ""}).json()["data"]
    assert [group["requests"] for group in counted] == ([len(expected)] if expected else [])


@pytest.mark.parametrize("size", [1, 2, 3, 5, 6])
def test_a_walk_by_cursor_shows_each_row_once(api: httpx.Client, size: int) -> None:
    seen, cursor, pages = list[str](), dict[str, str](), 0
    while True:
        answer = api.get("/default/usage", params={"page_size": size, **cursor})
        seen += ids(answer)
        pages += 1
        following = answer.json()["pagination"]["next_cursor"]
        if following is None:
            break
        cursor = {"cursor": following}
    assert seen == ["=f()", "e", "d", "c", "b", "a"]
    assert pages == -(-6 // size)


@pytest.mark.parametrize(
    ("path", "query", "parameter"),
    [
        ("default/usage", {"since": "yesterday"}, "since"),
        ("default/usage:export", {"until": "2026-13-01"}, "until"),
        ("default/usage", {"status": "6xx"}, "status"),
        ("default/usage", {"status": "20"}, "status"),
        ("default/usage", {"page_size": 0}, "page_size"),
        ("default/usage", {"page_size": 1001}, "page_size"),
        ("-/usage", {"model": "m"}, "model"),
        ("-/usage:summary", {"route": "m"}, "route"),
        ("default/usage:summary", {"group_by": "model,colour"}, "group_by"),
        ("default/usage:summary", {"limit": 0}, "limit"),
        ("default/usage:export", {"format": "xlsx"}, "format"),
    ],
)
def test_a_wrong_value_is_named(api: httpx.Client, path: str, query: dict[str, Any], parameter: str) -> None:
    assert fault(api.get(f"/{path}", params=query)) == ["query", parameter]


@pytest.mark.parametrize("cursor", ["", "x", "5", "1-2-3", "-1-2", "1-" + "9" * 19, "\u0661-\u0661"])
def test_a_cursor_that_is_not_ours_is_refused(api: httpx.Client, cursor: str) -> None:
    answer = api.get("/default/usage", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


class TestSums:
    """`usage:summary`."""

    def sums(self, api: httpx.Client, workspace: str = "default", **query: Any) -> list[dict[str, Any]]:
        answer = api.get(f"/{workspace}/usage:summary", params=query)
        assert answer.status_code == 200, answer.text
        data: list[dict[str, Any]] = answer.json()["data"]
        return data

    def test_all_together(self, api: httpx.Client) -> None:
        assert self.sums(api, group_by="") == [
            {
                "requests": 6,
                "errors": 3,  # one of them a stream that began with 200 and was cut
                "cache_hits": 1,
                "input": 450,
                "output": 75,
                "cached_input": 40,
                "cache_write": 4,
                "reasoning": 3,
                "cost": {"USD": 1.5, "EUR": 0.25},
                "latency_ms": {"mean": 101.083, "p50": 5.0, "p95": 300.0},
                "first_token_ms": {"mean": 20.0},
            }
        ]

    def test_by_model_those_with_the_most_requests_first(self, api: httpx.Client) -> None:
        groups = self.sums(api)
        assert [(group["model"], group["requests"]) for group in groups] == [("default/m", 5), ("default/big", 1)]
        assert groups[1]["cost"] == {"USD": 1.0}
        assert groups[1]["latency_ms"] == {"mean": 300.0, "p50": 300.0, "p95": 300.0}

    def test_by_day_in_the_order_of_the_days(self, api: httpx.Client) -> None:
        days = [(group["day"], group["requests"]) for group in self.sums(api, group_by="day")]
        assert days == [("2026-01-30", 3), ("2026-01-31", 2), ("2026-02-01", 1)]

    def test_by_hour(self, api: httpx.Client) -> None:
        hours = [(group["hour"], group["requests"]) for group in self.sums(api, group_by="hour", until="2026-01-31")]
        assert hours == [("2026-01-30T10:00:00Z", 2), ("2026-01-30T11:00:00Z", 1)]

    def test_by_several(self, api: httpx.Client) -> None:
        groups = self.sums(api, group_by="status,provider,key,route")
        found = {(group["status"], group["provider"], group["key"], group["route"]) for group in groups}
        assert found == {
            (200, "default/p", "k", "default/m"),
            (429, None, None, "default/m"),
            (200, "default/p", None, "default/chat"),
            (503, "default/p", None, "default/m"),
            (200, "default/p", None, "default/m"),
        }

    def test_of_all_workspaces(self, api: httpx.Client) -> None:
        found = {group["workspace"]: group["cost"] for group in self.sums(api, "-", group_by="workspace")}
        assert found == {"default": {"USD": 1.5, "EUR": 0.25}, "team": {"USD": 8.0}, "gone": {"USD": 8.0}}

    def test_only_so_many_groups(self, api: httpx.Client) -> None:
        answer = api.get("/default/usage:summary", params={"limit": 1}).json()
        assert ([group["model"] for group in answer["data"]], answer["more"]) == (["default/m"], True)
        assert answer["group_by"] == ["model"]
        assert api.get("/default/usage:summary", params={"limit": 2}).json()["more"] is False


class TestExports:
    """`usage:export`."""

    def test_lines_of_json(self, api: httpx.Client) -> None:
        answer = api.get("/default/usage:export")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert answer.headers["content-disposition"] == 'attachment; filename="usage-default.ndjson"'
        assert [UsageRow(**json.loads(line)) for line in answer.text.splitlines()] == ROWS

    def test_a_table(self, api: httpx.Client) -> None:
        answer = api.get("/-/usage:export", params={"format": "csv"})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="usage-all.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [row["request_id"] for row in rows] == ["a", "b", "c", "t", "g", "d", "e", "'=f()"]
        cut = rows[5]
        assert (cut["stream"], cut["cost"], cut["currency"], cut["key"]) == ("true", "0.25", "EUR", "")
        assert list(cut) == list(UsageRow._fields)

    def test_an_empty_table_has_its_titles(self, api: httpx.Client) -> None:
        answer = api.get("/default/usage:export", params={"format": "csv", "since": "2030-01-01"})
        assert answer.text == ",".join(UsageRow._fields) + "\r\n"


def test_the_document_describes_all_of_it(api: httpx.Client) -> None:
    document = api.get(str(api.base_url.copy_with(path="/openapi.json"))).json()
    prefix = "/apis/steelyard/v1/workspaces/{workspace}"
    filters = {"since", "until", "model", "provider", "key", "route", "request_id", "status"}
    own = {
        "/usage": {"page_size", "cursor"},
        "/usage:summary": {"group_by", "limit"},
        "/usage:export": {"format"},
    }
    for path, parameters in own.items():
        operation = document["paths"][prefix + path]["get"]
        assert {each["name"] for each in operation["parameters"]} == {"workspace", *filters, *parameters}
    row = document["components"]["schemas"]["UsageBody"]
    assert list(row["properties"]) == list(UsageRow._fields)
