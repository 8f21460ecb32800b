import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from .conftest import Handler, RunCli, page

MODELS = "/apis/models/v2/workspaces/default/models"


def answer(body: Any, status: int = 200, **headers: str) -> Handler:
    return lambda _: httpx.Response(status, json=body, headers=headers)


def body_of(request: httpx.Request) -> Any:
    return json.loads(request.content)


def echo(request: httpx.Request) -> httpx.Response:
    """A server on which every write succeeds and answers what it was sent."""
    record = {"name": "x", "workspace": "default", "description": "old"}
    sent = json.loads(request.content) if request.content else {}
    return httpx.Response(200, json={**record, **sent}, headers={"etag": '"r1"'})


@pytest.mark.parametrize(
    "arguments",
    [
        ("-w", "team", "--token", "t", "models", "list"),
        ("models", "-w", "team", "--token", "t", "list"),
        ("models", "list", "-w", "team", "--token", "t"),
        ("-w", "other", "--token", "u", "models", "list", "-w", "team", "--token", "t"),
    ],
)
def test_shared_options_may_stand_anywhere(cli: RunCli, arguments: tuple[str, ...]) -> None:
    [request] = cli(*arguments, handler=lambda _: page([])).requests
    assert request.url.path == "/apis/models/v2/workspaces/team/models"
    assert request.headers["authorization"] == "Bearer t"


def test_the_environment_speaks_where_no_option_does(cli: RunCli) -> None:
    env = {"STEELYARD_URL": "http://env.test/base/", "STEELYARD_WORKSPACE": "env", "STEELYARD_TOKEN": "e"}
    [request] = cli("models", "list", env=env, handler=lambda _: page([])).requests
    assert str(request.url) == "http://env.test/base/apis/models/v2/workspaces/env/models"
    assert request.headers["authorization"] == "Bearer e"
    [request] = cli("-w", "team", "models", "list", env=env, handler=lambda _: page([])).requests
    assert request.url.path == "/base/apis/models/v2/workspaces/team/models"


def test_a_name_with_its_workspace(cli: RunCli) -> None:
    [request] = cli("models", "get", "team/Llama-3", "-w", "x", handler=echo).requests
    assert request.url.path == "/apis/models/v2/workspaces/team/models/Llama-3"
    [request] = cli("prompts", "create", "team/p", handler=echo).requests
    assert request.url.path == "/apis/models/v2/workspaces/team/prompts"
    assert body_of(request) == {"name": "p"}


@pytest.mark.parametrize("verb", ["get", "update", "delete", "create"])
def test_all_workspaces_are_for_lists_only(cli: RunCli, verb: str) -> None:
    extra = {"update": ["--description", "d"], "delete": ["--yes"]}.get(verb, [])
    run = cli("models", verb, "x", "-w", "-", *extra)
    assert (run.code, run.requests) == (2, [])


def test_create_sends_every_field(cli: RunCli, tmp_path: Path) -> None:
    endpoint = tmp_path / "endpoint.json"
    endpoint.write_text('{"url": "http://h", "api_key": "s3cret"}')
    run = cli(
        *("models", "create", "m", "--description", "d", "--base-model", "b", "--fileset", "f"),
        *("--finetuning-type", "lora", "--backend-format", "OPENAI_CHAT", "--project", "p"),
        *("--model-provider", "p1", "--model-provider", "p2", "--trust-remote-code"),
        *("--spec", '{"family": "llama"}', "--prompt", "{}", "--custom-fields", "-", "--ownership", "{}"),
        *("--api-endpoint", f"@{endpoint}"),
        input='{"é": 1}',
        handler=echo,
    )
    assert run.code == 0
    assert "s3cret" not in run.out + run.err
    assert body_of(run.requests[0]) == {
        **{"name": "m", "description": "d", "base_model": "b", "fileset": "f", "finetuning_type": "lora"},
        **{"backend_format": "OPENAI_CHAT", "project": "p", "model_providers": ["p1", "p2"]},
        **{"trust_remote_code": True, "spec": {"family": "llama"}, "prompt": {}, "custom_fields": {"é": 1}},
        **{"ownership": {}, "api_endpoint": {"url": "http://h", "api_key": "s3cret"}},
    }


def test_options_lie_above_the_file(cli: RunCli) -> None:
    text = '{"name": "a", "description": "file", "fileset": "f"}'
    [request] = cli("models", "create", "-f", "-", "--description", "option", input=text, handler=echo).requests
    assert body_of(request) == {"name": "a", "description": "option", "fileset": "f"}


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["m", "--spec", "{s3cret"], "", "--spec is not JSON"),
        (["m", "--spec", '{"a": 1, "a": 2}'], "", "'a' stands twice"),
        (["m", "--spec", '{"a": NaN}'], "", "NaN is not JSON"),
        (["m", "--spec", "[" * 100_000], "", "--spec"),
        (["m", "--spec", "@/nowhere/s"], "", "cannot read /nowhere/s"),
        (["m", "--spec", "-", "--prompt", "-"], "{}", "cannot both read"),
        (["m", "--file", "-"], "[]", "a JSON object is needed"),
        ([], "", "needs a name"),
    ],
)
def test_input_that_is_none_is_a_usage_error(cli: RunCli, arguments: list[str], text: str, said: str) -> None:
    run = cli("models", "create", *arguments, input=text)
    assert (run.code, run.requests) == (2, [])
    assert said in run.err
    assert "s3cret" not in run.err


def test_update_sends_only_what_was_given_and_says_what_changed(cli: RunCli) -> None:
    run = cli("models", "update", "x", "--description", "new", "--if-match", "r1", handler=echo)
    assert [request.method for request in run.requests] == ["GET", "PATCH"]
    assert body_of(run.requests[1]) == {"description": "new"}
    assert run.requests[1].headers["if-match"] == '"r1"'
    assert run.requests[1].headers["content-type"] == "application/json"
    assert run.out == 'model default/x updated\n  description: "old" -> "new"\n'


def test_update_for_a_program_does_not_read_first(cli: RunCli) -> None:
    run = cli("models", "update", "x", "--no-trust-remote-code", "--json", handler=echo)
    assert [request.method for request in run.requests] == ["PATCH"]
    assert json.loads(run.out)["trust_remote_code"] is False


def test_update_that_changes_nothing_says_so(cli: RunCli) -> None:
    assert "nothing changed" in cli("models", "update", "x", "--description", "old", handler=echo).out
    assert cli("models", "update", "x").code == 2


def test_unset_is_a_mask_that_names_what_the_body_lacks(cli: RunCli) -> None:
    fields = ["base-model", "backend_format", "model-provider", "custom-fields", "--ownership"]
    unset = [word for name in fields for word in ("--unset", name)]
    file = '{"project": null, "revision": 3, "tags": {}}'
    run = cli(*("models", "update", "x", "-f", "-", *unset, "--description", "d", "-q"), input=file, handler=echo)
    assert body_of(run.requests[0]) == {"description": "d", **json.loads(file)}
    assert run.requests[0].url.params["update_mask"].split(",") == [
        *("tags", "description", "base_model", "backend_format", "model_providers", "custom_fields", "ownership")
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ["models", "update", "x", "--unset", "trust_remote_code"],
        ["models", "update", "x", "--unset", "base_model", "--base-model", "b"],
        ["workspaces", "update", "x", "--unset", "name"],
    ],
)
def test_unset_where_it_cannot_be(cli: RunCli, arguments: list[str]) -> None:
    run = cli(*arguments)
    assert (run.code, run.requests) == (2, [])


@pytest.mark.parametrize("plural", ["workspaces", "projects", "prompts", "aliases", "filesets", "adapters"])
def test_every_kind_is_patched(cli: RunCli, plural: str) -> None:
    run = cli(plural, "update", "x", "--description", "new", handler=echo)
    assert [request.method for request in run.requests] == ["GET", "PATCH"]
    assert body_of(run.requests[1]) == {"description": "new"}


def test_delete_asks_nobody_where_nobody_is(cli: RunCli) -> None:
    run = cli("models", "delete", "x")
    assert (run.code, run.requests) == (2, [])
    assert "--yes" in run.err


def test_delete_says_what_is_left_dangling(cli: RunCli) -> None:
    gone = httpx.Response(204, headers={"x-steelyard-dangling": "2"})
    run = cli("models", "delete", "x", "--yes", "--if-match", '"r1"', handler=lambda _: gone)
    assert run.requests[0].headers["if-match"] == '"r1"'
    assert run.out == "model default/x deleted\n"
    assert run.err.endswith("2\n")


def test_verbose_and_etag(cli: RunCli) -> None:
    run = cli("models", "get", "x", "--verbose", "--etag", handler=echo)
    assert run.requests[0].url.query == b"verbose=true"
    assert run.out == '"r1"\n'
    assert cli("prompts", "get", "x", "--verbose").code == 2
