"""`export` and `import`: a workspace as a file."""

import json
from pathlib import Path

import httpx
import pytest

from .conftest import RunCli, Steelyard, done

LINES = b'{"steelyard_export":1}\n{"kind":"workspace","record":{}}\n{"kind":"model","name":"m","record":{}}\n'
EXPORT = httpx.Response(200, content=LINES, headers={"content-type": "application/x-ndjson"})


def test_export_to_a_file_and_to_a_pipe(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "team.ndjson"
    run = cli("export", "-w", "team", "-o", str(file), handler=lambda _: EXPORT)
    assert run.requests[0].url.path == "/apis/steelyard/v1/workspaces/team:export"
    assert file.read_bytes() == LINES
    assert (run.out, run.err) == ("", f"1 records of team written to {file}\n")
    assert cli("export", handler=lambda _: EXPORT).out.encode() == LINES
    assert cli("export", "-w", "-").code == 2


def test_an_export_that_breaks_off_leaves_no_file(cli: RunCli, tmp_path: Path) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self):  # type: ignore[no-untyped-def]
            yield LINES
            raise httpx.ReadError("cut")

    file = tmp_path / "team.ndjson"
    file.write_text("the one of yesterday")
    run = cli("export", "-o", str(file), handler=lambda _: httpx.Response(200, stream=Broken()))
    assert run.code == 1
    assert "broke off" in run.err
    assert [path.name for path in tmp_path.iterdir()] == ["team.ndjson"]
    assert file.read_text() == "the one of yesterday"


def test_an_export_that_is_refused_or_cannot_be_written(cli: RunCli, tmp_path: Path) -> None:
    gone = httpx.Response(404, json={"detail": "not here", "code": "not_found"})
    assert cli("export", "-o", str(tmp_path / "x"), handler=lambda _: gone).code == 5
    assert list(tmp_path.iterdir()) == []
    run = cli("export", "-o", str(tmp_path / "no" / "x"), handler=lambda _: EXPORT)
    assert (run.code, run.err.count("\n")) == (2, 1)


def test_import_sends_the_file_as_it_is(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "team.ndjson"
    file.write_bytes(LINES * 5000)
    counts = httpx.Response(200, json={"created": 1, "updated": 0, "unchanged": 2, "skipped": 0})
    arguments = ["-w", "team", "--on-conflict", "replace", "--reason", "moved", "--dry-run"]
    run = cli("import", str(file), *arguments, handler=lambda _: counts)
    [request] = run.requests
    assert request.headers["content-type"] == "application/x-ndjson"
    assert dict(request.url.params) == {"on_conflict": "replace", "reason": "moved", "dry_run": "true"}
    assert request.read() == LINES * 5000
    assert run.out == "team: 1 created, 0 updated, 2 unchanged, 0 skipped; nothing was written\n"
    assert json.loads(cli("import", str(file), "--json", handler=lambda _: counts).out)["created"] == 1


@pytest.mark.parametrize("arguments", [["/nowhere/x"], ["-", "--on-conflict", "guess"], ["-", "-w", "-"], []])
def test_import_of_nothing(cli: RunCli, arguments: list[str]) -> None:
    run = cli("import", *arguments)
    assert (run.code, run.requests) == (2, [])


def test_a_workspace_moves(steelyard: Steelyard, workspace: str, tmp_path: Path) -> None:
    done(steelyard("projects", "create", "bot"))
    done(steelyard("models", "create", "base"))
    done(steelyard("models", "create", "m", "--base-model", "base", "--project", "bot", "--description", "Grüße"))
    file = tmp_path / "team.ndjson"
    done(steelyard("export", "-o", str(file)))
    copy = f"{workspace}-copy"
    done(steelyard("workspaces", "create", copy))
    text = done(steelyard("import", str(file), "-w", copy))
    assert "3 created" in text
    assert done(steelyard("export", "-w", copy)).encode() == file.read_bytes()
    assert steelyard("import", str(file), "-w", copy).returncode == 6
    assert "3 skipped" in done(steelyard("import", str(file), "-w", copy, "--on-conflict", "skip"))
    done(steelyard("models", "update", "m", "-w", copy, "--description", "changed"))
    text = done(steelyard("import", "-", "-w", copy, "--on-conflict", "replace", input=file.read_text()))
    assert "1 updated" in text
    record = json.loads(done(steelyard("models", "get", "m", "-w", copy, "--json")))
    assert (record["description"], record["base_model"]) == ("Grüße", f"{copy}/base")


def test_a_wrong_line_is_named_and_nothing_is_taken(steelyard: Steelyard) -> None:
    lines = ['{"steelyard_export":1}', '{"kind":"model","name":"m","record":{}}']
    lines += ['{"kind":"model","name":"n","record":{"x":1}}']
    run = steelyard("import", "-", input="\n".join(lines))
    assert run.returncode == 4
    assert "line 3" in run.stderr
    assert done(steelyard("models", "list", "-q")) == ""
