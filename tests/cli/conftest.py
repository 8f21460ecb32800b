"""A run of the command line against a server that answers within the process."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from steelyard.cli import build
from steelyard.cli.session import Given

Handler = Callable[[httpx.Request], httpx.Response]


@dataclass
class Run:
    """What a command did: its exit code, its output, and the requests it made."""

    code: int
    out: str
    err: str
    requests: list[httpx.Request] = field(default_factory=list)


RunCli = Callable[..., Run]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> Iterator[RunCli]:
    """`cli(*arguments, handler=..., input=..., env=...)`; without a handler no request may be made."""
    for name in ("URL", "WORKSPACE", "TOKEN", "CONFIG"):
        monkeypatch.delenv(f"STEELYARD_{name}", raising=False)

    def run(
        *arguments: str,
        handler: Handler | None = None,
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Run:
        requests: list[httpx.Request] = []

        def answer(request: httpx.Request) -> httpx.Response:
            requests.append(request)
            if handler is None:
                raise AssertionError(f"no request was expected: {request.method} {request.url}")
            return handler(request)

        given = Given(transport=httpx.MockTransport(answer))
        result = CliRunner().invoke(build(), list(arguments), input=input, env=env, obj=given)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Run(result.exit_code, result.stdout, result.stderr, requests)

    yield run


def page(records: list[dict[str, Any]], **pagination: Any) -> httpx.Response:
    """One page of a list."""
    pagination = {"page": 1, "page_size": 100, "total_pages": 1, "total_results": len(records), **pagination}
    return httpx.Response(200, json={"data": records, "pagination": pagination, "sort": "created_at"})


@dataclass(frozen=True)
class Result:
    """What a command did."""

    returncode: int
    stdout: str
    stderr: str


Steelyard = Callable[..., Result]


@pytest.fixture
def steelyard(server_url: str, workspace: str) -> Steelyard:
    """Runs `steelyard ...` in a new workspace."""
    environ = {"STEELYARD_URL": server_url, "STEELYARD_WORKSPACE": workspace, "STEELYARD_TOKEN": None}

    def run(*arguments: str, input: str = "") -> Result:
        result = CliRunner().invoke(build(), list(arguments), input=input, env=environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Result(result.exit_code, result.stdout, result.stderr)

    return run


def done(result: Result) -> str:
    """The standard output of a command that must have worked."""
    assert result.returncode == 0, result.stderr
    return result.stdout
