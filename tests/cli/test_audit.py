"""`steelyard audit`: lists and exports. What it verifies is in `tests/access/test_audit.py`."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import RunCli

PATH = "/apis/steelyard/v1/audit"
NOTHING: dict[str, Any] = {"workspace": None, "name": None, "rule": None, "detail": None}
ENTRIES = [
    {**NOTHING, "seq": 12, "at": "2026-01-30T12:00:00.5Z", "outcome": "refused", "action": "GET /x", "subject": None},
    {
        **{"seq": 11, "at": "2026-01-30T11:00:00Z", "outcome": "allowed", "action": "model.update"},
        **{"subject": "ann", "workspace": "team", "name": "llama", "rule": "Editor@team", "detail": "description"},
    },
]
LINES = b"".join(json.dumps(entry).encode() + b"\n" for entry in ENTRIES)


def page(entries: list[dict[str, Any]], cursor: str | None = None) -> httpx.Response:
    pagination = {"page_size": 100, "current_page_size": len(entries), "next_cursor": cursor}
    return httpx.Response(200, json={"data": entries, "pagination": pagination})


def test_a_list_shows_who_did_what(cli: RunCli) -> None:
    run = cli("audit", "list", handler=lambda _: page(ENTRIES))
    assert run.requests[0].url.path == PATH
    titles, refused, allowed = run.out.splitlines()
    assert " ".join(titles.split()) == "AT OUTCOME ACTION SUBJECT KEY ID ADDRESS WORKSPACE NAME RULE DETAIL"
    assert refused.split() == ["2026-01-30", "12:00:00", "refused", "GET", "/x"]
    assert allowed.split()[2:] == ["allowed", "model.update", "ann", "team", "llama", "Editor@team", "description"]
    assert json.loads(cli("audit", "list", "--json", "-q", handler=lambda _: page(ENTRIES)).out) == ENTRIES
    assert cli("audit", "list", handler=lambda _: page([])).err == "nothing\n"


def test_a_quiet_list_is_the_places_in_the_chain(cli: RunCli) -> None:
    """A name would not do: what was refused has none."""
    assert cli("audit", "list", "-q", handler=lambda _: page(ENTRIES)).out == "12\n11\n"


def test_a_list_is_read_as_far_as_it_is_wanted(cli: RunCli) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return page(ENTRIES[1:]) if "cursor" in request.url.params else page(ENTRIES[:1], "12")

    run = cli("audit", "list", "-q", "--all", "--page-size", "1", handler=answer)
    assert run.out == "12\n11\n"
    assert [dict(request.url.params) for request in run.requests] == [
        {"page_size": "1"},
        {"page_size": "1", "cursor": "12"},
    ]
    run = cli("audit", "list", handler=answer)
    assert (len(run.requests), run.err) == (1, "1 shown; --all shows every one\n")
    for wrong in (["--all", "--limit", "1"], ["--page-size", "1001"]):
        assert cli("audit", "list", *wrong).code == 2


@pytest.mark.parametrize(("verb", "answer"), [("list", page([])), ("export", httpx.Response(200, content=b""))])
def test_filters_reach_the_server(cli: RunCli, verb: str, answer: httpx.Response) -> None:
    asked = {"subject": "s", "key": "k", "action": "a", "outcome": "o", "in": "w", "kind": "d", "name": "n"}
    asked |= {"request-id": "i", "until": "2026-01-31", "since": "24h"}
    arguments = [part for name, value in asked.items() for part in (f"--{name}", value)]
    run = cli("audit", verb, "-w", "not-a-filter", *arguments, handler=lambda _: answer)
    sent = dict(run.requests[0].url.params)
    since = datetime.fromisoformat(sent.pop("since"))
    assert 86_400 <= (datetime.now(UTC) - since).total_seconds() < 86_460
    assert sent == {
        **{"subject": "s", "key_id": "k", "action": "a", "outcome": "o", "workspace": "w", "kind": "d", "name": "n"},
        **{"request_id": "i", "until": "2026-01-31"},
    }


def test_an_export_to_a_file_and_to_a_pipe(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "audit.ndjson"
    answer = httpx.Response(200, content=LINES)
    run = cli("audit", "export", "-o", str(file), handler=lambda _: answer)
    assert run.requests[0].url.path == f"{PATH}:export"
    assert (run.out, run.err) == ("", f"2 entries written to {file}\n")
    assert file.read_bytes() == LINES
    assert cli("audit", "export", handler=lambda _: answer).out.encode() == LINES
