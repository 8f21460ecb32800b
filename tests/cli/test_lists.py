import json
import subprocess
import sys
from typing import Any

import httpx
import pytest

from steelyard.cli.output import Output, progress

from .conftest import Handler, RunCli, page

NAMES = [f"model-{number}" for number in range(7)]


def paged(*, cursor: bool) -> Handler:
    """Seven models, as many a page as asked for, with or without a keyset cursor."""

    def server(request: httpx.Request) -> httpx.Response:
        query = request.url.params
        size = min(int(query.get("page_size", 3)), 3)
        start = int(query["cursor"]) if "cursor" in query else (int(query.get("page", 1)) - 1) * size
        records = [{"name": name} for name in NAMES[start : start + size]]
        after: dict[str, Any] = {"next_cursor": str(start + size) if start + size < 7 else None} if cursor else {}
        total = {"total_pages": -(-7 // size), "total_results": 7}
        return page(records, page=start // size + 1, page_size=size, **total, **after)

    return server


@pytest.mark.parametrize("sort", [None, "name", "-created_at"])
def test_all_walks_by_cursor(cli: RunCli, sort: str | None) -> None:
    order = ["--sort", sort] if sort else []
    run = cli("models", "list", "--all", "-q", "--filter", 'name~"m"', *order, handler=paged(cursor=True))
    assert run.out.split() == NAMES
    assert [request.url.params.get("cursor") for request in run.requests] == [None, "3", "6"]
    assert all(request.url.params["filter"] == 'name~"m"' for request in run.requests)
    assert not any("page" in request.url.params for request in run.requests)


@pytest.mark.parametrize(("sort", "cursor"), [("updated_at", True), ("name", False)])
def test_all_walks_by_page_where_there_is_no_cursor(cli: RunCli, sort: str, cursor: bool) -> None:
    run = cli("models", "list", "--all", "--quiet", "--sort", sort, handler=paged(cursor=cursor))
    assert run.out.split() == NAMES
    assert [request.url.params.get("page") for request in run.requests] == [None, "2", "3"]


def test_a_server_that_repeats_itself_is_left(cli: RunCli) -> None:
    run = cli("models", "list", "--all", handler=lambda _: page([{"name": "x"}], next_cursor="same"))
    assert run.code == 1
    assert len(run.requests) == 2


def test_the_first_page_says_that_there_is_more(cli: RunCli) -> None:
    run = cli("models", "list", "--json", handler=paged(cursor=True))
    assert [record["name"] for record in json.loads(run.out)] == NAMES[:3]
    assert run.err == "3 of 7 shown; --all shows every one\n"
    assert cli("models", "list", "-q", handler=paged(cursor=True)).err == ""


def test_limit_and_page(cli: RunCli) -> None:
    run = cli("models", "list", "--limit", "4", "-q", handler=paged(cursor=True))
    assert run.out.split() == NAMES[:4]
    run = cli("models", "list", "--page", "2", "--page-size", "2", "-q", handler=paged(cursor=True))
    assert run.out.split() == NAMES[2:4]
    assert cli("models", "list", "--all", "--limit", "4").code == 2


def test_nothing_found(cli: RunCli) -> None:
    assert cli("prompts", "list", handler=lambda _: page([])).err == "no prompts\n"
    assert cli("prompts", "list", "--json", handler=lambda _: page([])).out == "[]\n"


def test_a_piped_table_hides_nothing_and_obeys_nobody(cli: RunCli) -> None:
    long = "n" * 300
    record = {"name": long, "base_model": "[bold]b[/bold]\x1b[2J", "model_providers": ["a", "b"]}
    record |= {"updated_at": "2026-11-23T09:48:30.626049Z"}
    run = cli("models", "list", handler=lambda _: page([record]))
    head, row = run.out.splitlines()
    assert head.split("  ")[0].rstrip() == "NAME"
    assert long in row
    assert "[bold]b[/bold]\\x1b[2J" in row
    assert "a, b" in row
    assert row.endswith("2026-11-23 09:48:30")


def test_all_workspaces_have_a_column_for_it(cli: RunCli) -> None:
    run = cli("models", "list", "-w", "-", handler=lambda _: page([{"name": "x", "workspace": "team"}]))
    assert run.out.startswith("WORKSPACE")
    assert "team" in run.out


def test_a_record_for_people_and_for_programs(cli: RunCli) -> None:
    record: dict[str, Any] = {"name": "x", "description": "a\n\x1b[1mb", "spec": {"family": "llama"}, "project": None}
    record |= {"custom_fields": {}, "trust_remote_code": False, "prompt": "\x9b2J"}
    answer = httpx.Response(200, json=record, headers={"etag": '"r1"'})
    out = cli("models", "get", "x", handler=lambda _: answer).out
    assert "trust_remote_code  no" in out
    assert '"family": "llama"' in out
    assert "project" not in out
    assert "\x1b" not in out
    assert "\x9b" not in out
    assert out.rstrip().endswith('"r1"')
    program = cli("models", "get", "x", "--json", handler=lambda _: answer).out
    assert json.loads(program) == record
    assert "\x9b" not in program
    assert cli("models", "get", "x", "--quiet", handler=lambda _: answer).out == ""


def test_changes_name_the_fields(capsys: pytest.CaptureFixture[str]) -> None:
    before = {"a": None, "b": [1], "updated_at": 1, "revision": 1}
    Output(json=False, quiet=False).changes(
        "x", "updated", before, {**before, "a": "y" * 100, "updated_at": 2, "revision": 2}
    )
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "x updated"
    assert lines[1].startswith('  a: nothing -> "yyy')
    assert len(lines) == 2


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "import sys; from steelyard.cli.output import Output, progress; sys.stdout.reconfigure(line_buffering=True);"
    code += "from steelyard.cli import main; main(['settings', 'docs'])"
    done = subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -c "$0" | true', code], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_narrow_terminal_keeps_names_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "dumb")
    name = "a-name-of-thirty-characters-xx"
    record = {"name": name, "description": "what it is for, in many words", "created_at": None}
    Output(json=False, quiet=False).records([record], ["name", "description", "created_at"])
    out = capsys.readouterr().out
    assert any(line.startswith(name) for line in out.splitlines())
    assert "CREATED" not in out


def test_progress_is_for_a_person_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(sys.stderr, "write", written.append)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    show = progress(quiet=False)
    show(0, None)
    assert written == []
    show(500, 2000)
    show(0, None)
    assert written == ["\r\x1b[K500 of 2,000 read", "\r\x1b[K"]
    progress(quiet=True)(500, 2000)
    assert len(written) == 2
