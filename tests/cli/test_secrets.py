"""`steelyard secrets`: a value comes in by a file, the standard input or a question, and is never shown."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.servers import running

from .conftest import RunCli, Steelyard, done

CANARY = "sk-canary-5f1d"


def created(request: httpx.Request) -> httpx.Response:
    body = {"name": "token", "workspace": "default", "revision": 1, **json.loads(request.content or b"{}")}
    body.pop("value", None)
    return httpx.Response(201 if request.method == "POST" else 200, json=body)


@pytest.mark.parametrize("sent", [CANARY, f"{CANARY}\n", f"{CANARY}\r\n"])
def test_a_value_is_read_from_the_standard_input(cli: RunCli, sent: str) -> None:
    for options in ((), ("--value-from", "-")):
        run = cli("secrets", "create", "token", *options, handler=created, input=sent)
        assert run.code == 0, run.err
        assert json.loads(run.requests[0].content) == {"name": "token", "value": CANARY}
        assert CANARY not in run.out + run.err


def test_a_value_is_read_from_a_file_with_all_but_its_last_newline(cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text("line 1\nline 2\n\n")
    run = cli("secrets", "update", "token", "--value-from", str(file), handler=created)
    assert json.loads(run.requests[-1].content) == {"value": "line 1\nline 2\n"}


def test_a_person_is_asked_and_the_answer_not_shown(cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def prompt(text: str, **options: object) -> str:
        asked.append(options)
        return CANARY

    monkeypatch.setattr("typer.prompt", prompt)
    monkeypatch.setattr("steelyard.cli.values.is_person", lambda: True)
    for arguments in (("create", "token"), ("update", "token")):
        run = cli("secrets", *arguments, handler=created)
        assert json.loads(run.requests[-1].content)["value"] == CANARY
        assert CANARY not in run.out + run.err
    assert [options["hide_input"] for options in asked] == [True, True]


def test_a_description_alone_asks_for_nothing(cli: RunCli) -> None:
    run = cli("secrets", "update", "token", "--description", "d", handler=created)
    assert json.loads(run.requests[-1].content) == {"description": "d"}
    run = cli("secrets", "update", "token", "--unset", "description", handler=created)
    assert json.loads(run.requests[-1].content) == {}
    assert run.requests[-1].url.params["update_mask"] == "description"


def test_no_option_takes_a_value(cli: RunCli) -> None:
    run = cli("secrets", "create", "token", "--value", CANARY)
    assert run.code == 2
    assert CANARY not in run.out + run.err.replace(f"--value {CANARY}", "")


def test_an_empty_value_is_refused_before_it_is_sent(cli: RunCli, tmp_path: Path) -> None:
    for sent in ("", "\n"):
        run = cli("secrets", "create", "token", input=sent)
        assert (run.code, "is empty" in run.err) == (2, True)
    run = cli("secrets", "create", "token", "--value-from", str(tmp_path / "missing"))
    assert (run.code, "cannot read" in run.err) == (2, True)


def test_secrets_and_their_keys_against_a_server(steelyard: Steelyard) -> None:
    results = [steelyard("secrets", "create", "token", "--description", "d", input=CANARY)]
    assert "/token created" in results[-1].stdout
    results.append(steelyard("secrets", "update", "token", input=f"{CANARY}-2"))
    assert "updated" in results[-1].stdout
    results.append(steelyard("secrets", "update", "token", input=f"{CANARY}-2"))
    assert "nothing changed" in results[-1].stdout
    results += [
        steelyard("secrets", "list"),
        steelyard("secrets", "get", "token", "--json"),
        steelyard("secrets", "history", "token"),
        steelyard("secrets", "diff", "token", "1", "2"),
        steelyard("secrets", "revert", "token", "1"),
        steelyard("secrets", "delete", "token", "--yes"),
        steelyard("secrets", "undelete", "token"),
        steelyard("secrets", "rotate", "--master-key", "--json"),
    ]
    assert json.loads(results[-1].stdout)["success"] is True
    for result in results:
        assert CANARY not in done(result) + result.stderr


def test_a_rotation_is_told(data_dir: Path) -> None:
    with running(data_dir) as server:
        path = f"{server.url}/apis/secrets/v2/workspaces/default/secrets"
        assert httpx.post(path, json={"name": "a", "value": CANARY}).status_code == 201
        assert httpx.post(path, json={"name": "b", "value": CANARY}).status_code == 201
        run = _steelyard("--url", server.url, "secrets", "rotate")
        assert run == (0, "2 secrets sealed under new keys\n", "")
        with closing(sqlite3.connect(data_dir / "steelyard.db")) as database:
            database.execute("UPDATE records SET fields = json_set(fields, '$.value', 'v2.x.y') WHERE name = 'a'")
            database.commit()
        code, out, err = _steelyard("--url", server.url, "secrets", "rotate")
        assert (code, out) == (0, "1 secrets sealed under new keys\n")
        assert "could not be opened" in err


def _steelyard(*arguments: str) -> tuple[int, str, str]:
    from typer.testing import CliRunner  # noqa: PLC0415

    from steelyard.cli import build  # noqa: PLC0415
    from steelyard.cli.session import Given  # noqa: PLC0415

    result = CliRunner().invoke(build(), list(arguments), obj=Given())
    return result.exit_code, result.stdout, result.stderr
