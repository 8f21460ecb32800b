"""`steelyard usage`: lists, sums and exports."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.usage_rows import usage

from .conftest import RunCli, Steelyard

PREFIX = "/apis/steelyard/v1/workspaces"
ROWS = [
    usage(request_id="new", key="k")._asdict(),
    usage(request_id="old", status=502, error="outbound_failed", cost=None)._asdict(),
]
SUM = {
    "model": "default/m",
    "day": "2026-01-30",
    "requests": 12,
    "errors": 1,
    "cache_hits": 0,
    "input": 1200,
    "output": 240,
    "cached_input": 0,
    "cache_write": 0,
    "reasoning": 0,
    "cost": {"USD": 0.0125, "EUR": 2.0},
    "latency_ms": {"mean": 251.0, "p50": 250.5, "p95": 900.0},
    "first_token_ms": None,
}
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)


def page(rows: list[dict[str, Any]], cursor: str | None = None) -> httpx.Response:
    pagination = {"page_size": 100, "current_page_size": len(rows), "next_cursor": cursor}
    return httpx.Response(200, json={"data": rows, "pagination": pagination})


def summed(*groups: dict[str, Any], more: bool = False) -> httpx.Response:
    return httpx.Response(200, json={"data": groups, "group_by": ["model", "day"], "more": more})


def test_a_list_shows_what_each_request_used(cli: RunCli) -> None:
    run = cli("usage", "list", "-w", "team", handler=lambda _: page(ROWS))
    assert run.requests[0].url.path == f"{PREFIX}/team/usage"
    titles, first, second = run.out.splitlines()
    assert " ".join(titles.split()) == "AT MODEL PROVIDER STATUS ERROR INPUT OUTPUT COST LATENCY MS KEY"
    assert first.split() == [
        "2026-01-30",
        "12:00:00",
        "default/m",
        "default/p",
        "200",
        "100",
        "20",
        "0.001",
        "250.0",
        "k",
    ]
    assert "outbound_failed" in second
    assert run.err == ""


def test_a_list_of_all_workspaces_says_which_each_row_is_of(cli: RunCli) -> None:
    run = cli("usage", "list", "-w", "-", handler=lambda _: page(ROWS))
    assert run.requests[0].url.path == f"{PREFIX}/-/usage"
    assert run.out.split()[:2] == ["AT", "WORKSPACE"]


def test_a_list_as_json_and_as_request_ids(cli: RunCli) -> None:
    assert json.loads(cli("usage", "list", "--json", handler=lambda _: page(ROWS)).out) == ROWS
    assert cli("usage", "list", "-q", handler=lambda _: page(ROWS)).out == "new\nold\n"


def test_a_list_walks_by_cursor_as_far_as_it_should(cli: RunCli) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return page(ROWS[1:]) if request.url.params.get("cursor") == "5-1" else page(ROWS[:1], "5-1")

    assert cli("usage", "list", "-q", "--all", handler=answer).out == "new\nold\n"
    run = cli("usage", "list", handler=answer)
    assert (len(run.requests), run.err) == (1, "1 shown; --all shows every one\n")
    assert len(cli("usage", "list", "--limit", "1", handler=answer).requests) == 1
    assert cli("usage", "list", "--limit", "1", "--all").code == 2


def test_filters_reach_the_server(cli: RunCli) -> None:
    arguments = [
        "--model",
        "m",
        "--provider",
        "p",
        "--key",
        "k",
        "--route",
        "r",
        "--status",
        "5xx",
        "--request-id",
        "i",
    ]
    expected = {"model": "m", "provider": "p", "key": "k", "route": "r", "status": "5xx", "request_id": "i"}
    for verb, answer, own in (
        ("list", page([]), {}),
        ("summary", summed(), {"group_by": "model"}),
        ("export", httpx.Response(200, content=b""), {"format": "ndjson"}),
    ):
        run = cli("usage", verb, *arguments, handler=lambda _, answer=answer: answer)
        assert dict(run.requests[0].url.params) == {**expected, **own}


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("24h", 86_400), ("7d", 604_800)])
def test_a_time_may_be_so_long_ago(cli: RunCli, text: str, seconds: int) -> None:
    before = datetime.now(UTC).timestamp()
    run = cli("usage", "list", "--since", text, handler=lambda _: page([]))
    sent = datetime.fromisoformat(run.requests[0].url.params["since"]).timestamp()
    assert before - seconds <= sent <= datetime.now(UTC).timestamp() - seconds


def test_any_other_time_is_left_to_the_server(cli: RunCli) -> None:
    run = cli("usage", "list", "--until", "2026-01-31", handler=lambda _: page([]))
    assert run.requests[0].url.params["until"] == "2026-01-31"
    assert cli("usage", "list", "--since", "999999d").code == 2


def test_sums_are_a_table(cli: RunCli) -> None:
    run = cli("usage", "summary", "--by", "model,day", "--limit", "1", handler=lambda _: summed(SUM, more=True))
    assert dict(run.requests[0].url.params) == {"group_by": "model,day", "limit": "1"}
    titles, line = run.out.splitlines()
    assert " ".join(titles.split()) == "MODEL DAY REQUESTS ERRORS INPUT OUTPUT CACHED INPUT COST P50 MS P95 MS"
    cost = ["0.0125", "USD,", "2", "EUR"]
    assert line.split() == ["default/m", "2026-01-30", "12", "1", "1200", "240", "0", *cost, "250.5", "900.0"]
    assert run.err == "1 groups shown, and there are more; --limit shows them\n"


def test_sums_as_json_are_the_answer(cli: RunCli) -> None:
    run = cli("usage", "summary", "--json", handler=lambda _: summed(SUM))
    assert json.loads(run.out) == {"data": [SUM], "group_by": ["model", "day"], "more": False}


def test_without_usage_that_is_said(cli: RunCli) -> None:
    assert cli("usage", "list", handler=lambda _: page([])).err == "no usage\n"
    assert cli("usage", "summary", handler=lambda _: summed()).err == "no usage\n"


def test_an_export_to_a_file_and_to_a_pipe(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "usage.ndjson"
    answer = httpx.Response(200, content=LINES)
    run = cli("usage", "export", "-w", "team", "-o", str(file), handler=lambda _: answer)
    assert run.requests[0].url.path == f"{PREFIX}/team/usage:export"
    assert run.requests[0].headers["accept"] == "application/x-ndjson"
    assert (run.out, run.err) == ("", f"2 requests written to {file}\n")
    assert file.read_bytes() == LINES
    assert cli("usage", "export", handler=lambda _: answer).out.encode() == LINES


def test_an_export_as_a_table_does_not_count_its_titles(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    answer = httpx.Response(200, content=b"at,request_id\r\n2026,a\r\n")
    run = cli("usage", "export", "--format", "csv", "-o", str(file), handler=lambda _: answer)
    assert run.requests[0].url.params["format"] == "csv"
    assert run.err == f"1 requests written to {file}\n"
    assert cli("usage", "export", "--format", "xlsx").code == 2


def test_a_refusal_has_its_exit_code(cli: RunCli) -> None:
    gone = httpx.Response(404, json={"detail": "Workspace 'team' not found", "code": "not_found"})
    for verb in ("list", "summary", "export"):
        assert cli("usage", verb, "-w", "team", handler=lambda _: gone).code == 5


def test_against_a_server(steelyard: Steelyard) -> None:
    for arguments, printed in (
        (["list", "--json"], "[]\n"),
        (
            ["summary", "--by", "day", "--json"],
            '{\n  "data": [],\n  "group_by": [\n    "day"\n  ],\n  "more": false\n}\n',
        ),
        (["export"], ""),
    ):
        run = steelyard("usage", *arguments)
        assert (run.returncode, run.stdout) == (0, printed), run.stderr
    wrong = steelyard("usage", "list", "--since", "yesterday")
    assert (wrong.returncode, "since: must be a time" in wrong.stderr) == (4, True)
