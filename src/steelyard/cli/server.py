"""`steelyard serve` and `steelyard settings`: the server, and what it is set to.

The settings tree and the server are imported inside the commands: the others start without them.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from steelyard.cli.errors import StartError, UsageError
from steelyard.cli.output import Output
from steelyard.cli.session import Given, Json, guarded
from steelyard.errors import StartupError

if TYPE_CHECKING:
    from steelyard.settings import Resolved

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="A TOML file with settings. Environment: STEELYARD_CONFIG."),
]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, as log.level=debug. May be given several times."),
]

T = TypeVar("T")

settings_app = typer.Typer(name="settings", help="The settings of a server.", no_args_is_help=True)


def serve(
    host: Annotated[str | None, typer.Option("--host", help="The address to listen on.", show_default=False)] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="The port to listen on; 0 takes any free one.", show_default=False),
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", metavar="FOLDER", help="The folder that holds all data.")
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option(
            "--insecure",
            help="Listen on an address that others reach although nobody has to say who they are.",
            show_default=False,
        ),
    ] = False,
    config: Config = None,
    set_: Set = None,
) -> None:
    """Start a server, and run it until it is told to stop.

    A setting comes from an option, else from a STEELYARD_... variable, else from the TOML file, else it is
    the default. `steelyard settings show` says what is in force and why.
    """
    flags = {"auth.insecure": True} if insecure else {}
    settings = _resolve(config, set_, host=host, port=port, data_dir=data_dir, **flags).settings
    from steelyard.app import serve as run  # noqa: PLC0415

    _or_cannot_start(lambda: run(settings))


def show(context: typer.Context, config: Config = None, set_: Set = None, json: Json = False) -> None:
    """Show the settings in force, and where each one comes from."""
    from steelyard.settings import all_settings  # noqa: PLC0415

    resolved = _resolve(config, set_)
    rows = [
        (item.key, _shown(item.secret, resolved.value(item.key)), resolved.origins.get(item.key, "default"))
        for item in all_settings()
    ]
    outer = context.obj if isinstance(context.obj, Given) else Given()
    output = Output(json or outer.json, quiet=False)
    if output.json:
        output.value({key: {"value": value, "from": origin} for key, value, origin in rows})
    else:
        output.table(("setting", "value", "from"), [(key, _text(value), origin) for key, value, origin in rows])


def docs() -> None:
    """Print the page that describes every setting, in Markdown."""
    typer.echo(settings_page(), nl=False)


def settings_page() -> str:
    """The text of `docs/settings.md`."""
    from steelyard.settings import all_settings  # noqa: PLC0415

    lines = [
        "# Settings",
        "",
        "This page is made by `steelyard settings docs`; change the descriptions in `settings/` instead.",
        "",
        "A setting comes from the first of these that has it: an option of `steelyard serve` (`--host`,",
        "`--port`, `--data-dir`, and `--set KEY=VALUE` for any of them), an environment variable, the TOML",
        "file that `--config` or `STEELYARD_CONFIG` names, the default. A name that is no setting is an",
        "error, and so is a `STEELYARD_` variable that nobody knows; those that Kubernetes makes for a",
        "service are passed over.",
        "",
        "In TOML a dot is a table:",
        "",
        "```toml",
        "port = 9000",
        "",
        "[log]",
        'level = "debug"',
        "```",
        "",
        "`steelyard settings show` prints what is in force and where it comes from.",
        "",
        "| setting | variable | default | takes | what it does |",
        "|---|---|---|---|---|",
    ]
    for item in all_settings():
        default = "unset" if item.field.default is None else f"`{_text(_shown(False, item.field.default))}`"
        about = (item.field.description or "").replace("|", "\\|")
        lines.append(f"| `{item.key}` | `{item.variable}` | {default} | {item.kind} | {about} |")
    return "\n".join(lines) + "\n"


def _resolve(config: Path | None, assignments: Sequence[str] | None, **flags: Any) -> "Resolved":
    from steelyard.settings import resolve_settings  # noqa: PLC0415

    given = dict(flags)
    for assignment in assignments or ():
        key, separator, value = assignment.partition("=")
        if not separator:
            # Not repeated: it may be a secret.
            raise UsageError("--set needs KEY=VALUE, as in --set log.level=debug")
        given[key.strip()] = value
    return _or_cannot_start(lambda: resolve_settings(given, config=config, environ=os.environ))


def _or_cannot_start(action: Callable[[], T]) -> T:
    try:
        return action()
    except StartupError as error:
        raise StartError(error.message) from None


def _shown(secret: bool, value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, tuple) and not value:
        return "none"
    if secret:
        return "(set)"
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _text(value: Any) -> str:
    if value is None:
        return "unset"
    return str(value).lower() if isinstance(value, bool) else str(value)


settings_app.command("show")(guarded(show))
settings_app.command("docs")(guarded(docs))
