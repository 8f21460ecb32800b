"""The history of records on the command line: what happened, what differs, the ways back, and writes for show."""

import json
from typing import Any

import httpx
import pytest

from .conftest import RunCli, Steelyard, done, page

REVISION: dict[str, Any] = {
    **{"revision": 2, "action": "update", "at": "2026-01-31T12:00:00.000000Z", "actor": "anna"},
    **{"request_id": "r", "reason": "tickets", "cause": None, "changed": ["description"]},
    **{"before": {"description": "a"}, "after": {"description": "b"}},
}


def test_history_says_who_when_what_and_why(cli: RunCli) -> None:
    created = {**REVISION, "revision": 1, "action": "create", "before": None, "changed": ["description", "spec"]}
    run = cli("models", "history", "x", handler=lambda _: page([REVISION, created]))
    head, second, first = run.out.splitlines()
    assert head.split() == ["REVISION", "AT", "ACTOR", "ACTION", "CHANGED", "REASON"]
    assert second.split() == ["2", "2026-01-31", "12:00:00", "anna", "update", "description", "tickets"]
    assert "spec" not in first
    run = cli("models", "history", "x", "--json", handler=lambda _: page([REVISION, created]))
    assert json.loads(run.out) == [REVISION, created]
    assert cli("models", "history", "x", "--quiet", handler=lambda _: page([REVISION, created])).out == "2\n1\n"


def test_history_goes_as_far_as_the_limit(cli: RunCli) -> None:
    def server(request: httpx.Request) -> httpx.Response:
        first = int(request.url.params.get("cursor", 9))
        shown = [{**REVISION, "revision": number} for number in range(first, first - 3, -1)]
        return page(shown, total_results=9, next_cursor=str(first - 3) if first > 3 else None)

    run = cli("prompts", "history", "x", "--limit", "4", "-q", handler=server)
    assert run.out.split() == ["9", "8", "7", "6"]
    assert [request.url.params["page_size"] for request in run.requests] == ["4", "4"]
    assert cli("prompts", "history", "x", handler=server).err == "3 of 9 shown; --limit shows more\n"


def test_a_difference_is_readable(cli: RunCli) -> None:
    text = "\n".join(f"line {number}" for number in range(9))
    diff: list[dict[str, Any]] = [
        {"path": "description", "before": None, "after": "new"},
        {"path": "prompt.system_prompt", "before": text, "after": text.replace("line 5", "line five")},
        {"path": "api_endpoint.api_key", "before": "***", "after": "***", "secret_changed": True},
        {"path": "custom_fields.a", "before": {"b": 1}, "after": None},
    ]
    run = cli("models", "diff", "x", "1", "2", handler=lambda _: httpx.Response(200, json={"diff": diff}))
    assert run.out.splitlines() == [
        *("description", '  + "new"'),
        *("prompt.system_prompt", "  …", "    line 4", "  - line 5", "  + line five", "    line 6"),
        *("api_endpoint.api_key", "  a secret, which is another one"),
        *("custom_fields.a", '  - {"b": 1}'),
    ]
    assert run.requests[0].url.path.endswith("/models/x/revisions/1...2")


def test_get_takes_a_revision_or_a_time(cli: RunCli) -> None:
    answer = httpx.Response(200, json={"name": "x"})
    [request] = cli("models", "get", "x", "--revision", "3", handler=lambda _: answer).requests
    assert request.url.params["revision"] == "3"
    [request] = cli("models", "get", "x", "--at", "2026-01-31T12:00:00Z", handler=lambda _: answer).requests
    assert request.url.params["at"] == "2026-01-31T12:00:00Z"
    assert cli("models", "get", "x", "--revision", "3", "--at", "2026-01-31T12:00:00Z").code == 2


def test_there_and_back(steelyard: Steelyard) -> None:
    done(steelyard("models", "create", "m", "--description", "one", "--reason", "Grüße: first"))
    done(steelyard("models", "update", "m", "--description", "two", "--reason", "second"))
    lines = done(steelyard("models", "history", "m")).splitlines()
    assert "second" in lines[1]
    assert "Grüße: first" in lines[2]
    assert done(steelyard("models", "diff", "m", "1")) == 'description\n  - "one"\n  + "two"\n'
    patch = done(steelyard("models", "diff", "m", "1", "2", "--merge-patch"))
    assert json.loads(patch) == {"description": "two"}
    assert "do not differ" in steelyard("models", "diff", "m", "2", "2").stderr
    old = json.loads(done(steelyard("models", "get", "m", "--revision", "1", "--json")))
    assert old["description"] == "one"
    at = old["updated_at"]
    assert json.loads(done(steelyard("models", "get", "m", "--at", at, "--json"))) == old
    etag = done(steelyard("models", "get", "m", "--etag")).strip()
    text = done(steelyard("models", "revert", "m", "1", "--reason", "oops", "--if-match", etag))
    assert text == 'model {}/m reverted to revision 1\n  description: "two" -> "one"\n'.format(old["workspace"])
    assert steelyard("models", "revert", "m", "1", "--if-match", etag).returncode == 6
    assert steelyard("models", "revert", "m", "99").returncode == 5


@pytest.mark.parametrize("plural", ["models", "prompts", "projects", "workspaces", "aliases"])
def test_every_kind_comes_back(steelyard: Steelyard, workspace: str, plural: str) -> None:
    name = {"workspaces": f"{workspace}-x", "aliases": "m@prod"}.get(plural, "one")
    done(steelyard("models", "create", "m"))
    extra = ["--model", "m"] if plural == "aliases" else []
    done(steelyard(plural, "create", name, "--description", "d", *extra))
    done(steelyard(plural, "delete", name, "--yes", "--reason", "gone"))
    assert "gone" in done(steelyard(plural, "history", name))
    assert "undeleted" in done(steelyard(plural, "undelete", name, "--reason", "back"))
    assert json.loads(done(steelyard(plural, "get", name, "--json")))["description"] == "d"
    done(steelyard(plural, "delete", name, "--yes", "--purge"))
    assert steelyard(plural, "undelete", name).returncode == 5
    assert steelyard(plural, "history", name).returncode == 5


def test_dry_runs_show_and_write_nothing(steelyard: Steelyard) -> None:
    text = done(steelyard("models", "create", "m", "--description", "d", "--dry-run"))
    assert "m would be created; nothing was written" in text
    assert '+ "d"' in text
    assert steelyard("models", "get", "m").returncode == 5
    done(steelyard("models", "create", "m", "--description", "d"))
    done(steelyard("models", "create", "child", "--base-model", "m"))
    text = done(steelyard("models", "update", "m", "--description", "e", "--dry-run"))
    assert text.splitlines()[1:] == ["  description", '    - "d"', '    + "e"']
    assert "would change nothing" in done(steelyard("models", "update", "m", "--description", "d", "--dry-run"))
    text = done(steelyard("models", "delete", "m", "--dry-run"))
    assert "would be deleted" in text
    assert "child (base_model)" in text
    program = json.loads(done(steelyard("models", "update", "m", "--description", "e", "--dry-run", "--json")))
    assert program["dry_run"]["diff"] == [{"path": "description", "before": "d", "after": "e"}]
    assert json.loads(done(steelyard("models", "get", "m", "--json")))["description"] == "d"
    done(steelyard("models", "delete", "m", "--yes"))
    assert "would be undeleted" in done(steelyard("models", "undelete", "m", "--dry-run"))
    assert steelyard("models", "get", "m").returncode == 5


def test_a_frozen_model_stays(steelyard: Steelyard) -> None:
    done(steelyard("models", "create", "m"))
    assert "frozen" in done(steelyard("models", "freeze", "m", "--reason", "released"))
    assert steelyard("models", "update", "m", "--trust-remote-code").returncode in {6, 7}
    assert "unfrozen" in done(steelyard("models", "unfreeze", "m"))
    assert "released" in done(steelyard("models", "history", "m"))
    assert steelyard("prompts", "freeze", "m").returncode == 2
