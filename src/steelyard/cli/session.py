"""What every command that talks to a server needs, and how the options for it reach it.

The options may stand anywhere: `steelyard -w team models list`, `steelyard models -w team list` and
`steelyard models list -w team` are the same. Each level lays its own over those of the level above; the
innermost one wins, and the environment speaks only where no level does.
"""

import inspect
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steelyard.cli.address import address
from steelyard.cli.client import Client
from steelyard.cli.credentials import Credentials
from steelyard.cli.errors import CliError
from steelyard.cli.oauth import TokenClient, renewed
from steelyard.cli.output import Output
from steelyard.cli.values import Reader

if TYPE_CHECKING:
    import httpx

DEFAULT_URL = "http://127.0.0.1:8080"
DEFAULT_WORKSPACE = "default"

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        metavar="URL",
        help=f"The server, {DEFAULT_URL} when not given. Environment: STEELYARD_URL.",
    ),
]
Workspace = Annotated[
    str | None,
    typer.Option(
        "--workspace",
        "-w",
        metavar="NAME",
        help="The workspace, `default` when not given; `-` lists all of them. Environment: STEELYARD_WORKSPACE.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="KEY",
        help="An API key. Others on this machine can see options: better set STEELYARD_API_KEY, or sign in "
        "with `steelyard login`. Environment: STEELYARD_API_KEY, STEELYARD_TOKEN.",
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON, for programs."),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet",
        "-q",
        help="Only names in lists, else nothing: the exit code tells.",
    ),
]
_SHARED: Mapping[str, tuple[Any, Any]] = {
    "url": (Url, None),
    "workspace": (Workspace, None),
    "token": (Token, None),
    "json": (Json, False),
    "quiet": (Quiet, False),
}


@dataclass(frozen=True, slots=True)
class Given:
    """The shared options as far as they are known; it travels as the context's `obj`.

    `transport` is set by tests that answer in the process.
    """

    url: str | None = None
    workspace: str | None = None
    token: str | None = field(default=None, repr=False)
    json: bool = False
    quiet: bool = False
    transport: "httpx.BaseTransport | None" = None

    def under(self, options: Mapping[str, Any]) -> "Given":
        """These, with the options of an inner level laid over them."""
        return replace(self, **{name: value for name, value in options.items() if value not in (None, False)})

    def or_environment(self, environ: Mapping[str, str]) -> "Given":
        """These, with the environment and the defaults where nothing was given."""
        return replace(
            self,
            url=self.url or environ.get("STEELYARD_URL") or DEFAULT_URL,
            workspace=self.workspace or environ.get("STEELYARD_WORKSPACE") or DEFAULT_WORKSPACE,
            token=self.token or environ.get("STEELYARD_API_KEY") or environ.get("STEELYARD_TOKEN") or None,
        )


@dataclass(frozen=True, slots=True)
class Session:
    """One command's run: the server, the workspace, and where the result goes."""

    client: Client
    workspace: str
    output: Output
    reader: Reader
    transport: "httpx.BaseTransport | None" = None


def remember(
    context: typer.Context,
    *,
    url: Url = None,
    workspace: Workspace = None,
    token: Token = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """The callback of a group: keeps the shared options that stand before the subcommand."""
    context.obj = _given(context).under(
        {"url": url, "workspace": workspace, "token": token, "json": json, "quiet": quiet}
    )


def guarded(function: Callable[..., None]) -> Callable[..., None]:
    """The function with a `CliError` turned into one line on stderr and its exit code."""

    def run(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except CliError as error:
            typer.echo(f"steelyard: {error.message}", err=True)
            raise typer.Exit(error.status) from None

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    run.__annotations__ = dict(function.__annotations__)
    return run


def with_session(
    function: Callable[..., None],
    options: Mapping[str, tuple[Any, Any]] | None = None,
    *,
    signs_in: bool = True,
) -> Callable[..., None]:
    """A command from a function whose first parameter is a `Session`.

    `options` are further ones, by name their annotation and default, that reach the function as keywords; the
    shared ones are added to them. Where no key is given, the token of `steelyard login` is sent, unless `signs_in` is
    false. typer reads the signature and the annotations, so both are written here.
    """
    own = [
        parameter
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    parameters = [_keyword("context", typer.Context, inspect.Parameter.empty), *own]
    for name, (annotation, default) in {**(options or {}), **_SHARED}.items():
        parameters.append(_keyword(name, annotation, default))

    def run(context: typer.Context, **values: Any) -> None:
        shared = {name: values.pop(name) for name in _SHARED}
        given = _given(context).under(shared).or_environment(os.environ)
        output = Output(given.json, given.quiet)
        token = given.token or (_signed_in(given) if signs_in else None)
        with Client(given.url or "", token=token, transport=given.transport) as client:
            function(Session(client, given.workspace or "", output, Reader(), given.transport), **values)

    run.__name__, run.__doc__ = function.__name__, function.__doc__
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return guarded(run)


def _signed_in(given: Given) -> str | None:
    return renewed(Credentials(os.environ), address(given.url or ""), TokenClient(given.transport), time.time())


def _given(context: typer.Context) -> Given:
    return context.obj if isinstance(context.obj, Given) else Given()


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
