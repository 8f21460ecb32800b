"""The `steelyard` command: a server, and the records of any server."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated

import typer

from steelyard import __version__
from steelyard.cli.audit import build_audit
from steelyard.cli.errors import EXIT_CODES
from steelyard.cli.feed import events
from steelyard.cli.files import build_files
from steelyard.cli.fsck import fsck
from steelyard.cli.gitops import apply, drift
from steelyard.cli.groups import commands
from steelyard.cli.inspect import inspect
from steelyard.cli.keys import build_keys, build_members
from steelyard.cli.kinds import RESOURCES
from steelyard.cli.login import login, logout, whoami
from steelyard.cli.memory import memory
from steelyard.cli.providers import PROVIDERS, build_providers
from steelyard.cli.pull import pull
from steelyard.cli.push import push
from steelyard.cli.secrets import build_secrets
from steelyard.cli.server import serve, settings_app
from steelyard.cli.session import Given, Json, Quiet, Token, Url, Workspace, guarded, remember, with_session
from steelyard.cli.transfer import export, import_
from steelyard.cli.usage import build_usage

# The backspace tells the help to keep the lines of this paragraph.
_EPILOG = "\n".join(["\b", "Exit codes:", *(f"  {code}  {meaning}" for code, meaning in EXIT_CODES.items())])

# What is about more than one kind of record.
_WHOLE: Mapping[str, Callable[..., None]] = {
    "push": push,
    "pull": pull,
    "memory": memory,
    "apply": apply,
    "drift": drift,
    "export": export,
    "import": import_,
    "events": events,
    "fsck": fsck,
    "whoami": whoami,
}


def build() -> typer.Typer:
    """The whole command line."""
    app = typer.Typer(
        name="steelyard",
        help="Steelyard, a self-hosted model registry: run a server, read and write the records of one.",
        epilog=_EPILOG,
        no_args_is_help=True,
        # Plain help: panels cut long option names where the terminal is narrow or is a pipe.
        rich_markup_mode=None,
        # A traceback with local variables would print keys.
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"]},
    )
    app.callback()(_root)
    app.command("serve")(guarded(serve))
    app.command("inspect")(guarded(inspect))
    for resource in RESOURCES:
        app.add_typer(build_providers(_EPILOG) if resource is PROVIDERS else commands(resource, _EPILOG))
    app.add_typer(build_files(_EPILOG))
    app.add_typer(build_usage(_EPILOG))
    app.add_typer(build_secrets(_EPILOG))
    app.add_typer(build_keys(_EPILOG))
    app.add_typer(build_members(_EPILOG))
    app.add_typer(build_audit(_EPILOG))
    for name, function in _WHOLE.items():
        app.command(name)(with_session(function))
    app.command("login")(with_session(login, signs_in=False))
    app.command("logout")(with_session(logout, signs_in=False))
    app.add_typer(settings_app)
    app.command("version")(_version)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; it ends the process with one of the exit codes in `docs/cli.md`."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character must not end the command.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    build()(args=arguments, prog_name="steelyard", obj=Given())


def _print_version(wanted: bool) -> None:
    if wanted:
        _version()
        raise typer.Exit


def _version() -> None:
    """Print the version."""
    typer.echo(f"steelyard {__version__}")


def _root(
    context: typer.Context,
    *,
    url: Url = None,
    workspace: Workspace = None,
    token: Token = None,
    json: Json = False,
    quiet: Quiet = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    del version
    remember(context, url=url, workspace=workspace, token=token, json=json, quiet=quiet)
