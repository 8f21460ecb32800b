"""Groups of commands, and the one that a resource has."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from steelyard.cli.history import History
from steelyard.cli.resource import Resource
from steelyard.cli.session import remember, with_session
from steelyard.cli.verbs import Verbs


def group(name: str, help: str, epilog: str) -> typer.Typer:
    """A group without commands, which take the options that stand before their names."""
    app = typer.Typer(name=name, help=help, no_args_is_help=True, epilog=epilog)
    app.callback()(remember)
    return app


def commands(resource: Resource, epilog: str, verbs: Verbs | None = None) -> typer.Typer:
    """The group of commands for one resource, with verbs of its own where it has any."""
    verbs, history = verbs or Verbs(resource), History(resource)
    noun, fields = resource.noun, resource.parameters()
    new_fields = resource.parameters(create=True)
    app = group(resource.plural, resource.about, epilog)
    examples = "\n".join(["\b", "Examples:", *(f"  {line}" for line in resource.examples)])

    def add(name: str, run: Callable[..., None], help: str, epilog: str | None = None) -> None:
        app.command(name, help=help, epilog=epilog)(run)

    where = " of a workspace" if resource.scoped else ""
    add("list", with_session(verbs.list_), f"List the {resource.plural}{where}.")
    add("get", with_session(verbs.get, _verbose(resource)), f"Show one {noun}.")
    add("create", with_session(verbs.create, new_fields), f"Make a {noun}.", examples)
    add(
        "update",
        with_session(verbs.update, {**fields, **_unset(resource)}),
        f"Change fields of a {noun}. Fields that are not given keep their values.",
        examples,
    )
    add("delete", with_session(verbs.delete), f"Delete a {noun}; `undelete` brings it back.")
    add("undelete", with_session(history.undelete), f"Bring a deleted {noun} back, with its history.")
    add("history", with_session(history.history), f"Show the changes of a {noun}, newest first; also of a deleted one.")
    add("diff", with_session(history.diff), f"Show what differs between two revisions of a {noun}.")
    add("revert", with_session(history.revert), f"Make a {noun} what it was at a revision: one more change.")
    if resource.freezes:
        add("freeze", with_session(history.freeze), f"Make the spec, the fileset and the trust of a {noun} immutable.")
        add("unfreeze", with_session(history.unfreeze), f"Let what was frozen of a {noun} be changed again.")
    return app


def _verbose(resource: Resource) -> dict[str, tuple[Any, Any]]:
    if not resource.hidden_part:
        return {}
    option = typer.Option("--verbose", help=f"With {resource.hidden_part}.")
    return {"verbose": (Annotated[bool, option], False)}


def _unset(resource: Resource) -> dict[str, tuple[Any, Any]]:
    names = resource.clearable
    if not names:
        return {}
    option = typer.Option(
        "--unset",
        metavar="FIELD",
        help=f"Clear a field: {', '.join(names)}. May be given several times.",
        autocompletion=lambda incomplete: [name for name in names if name.startswith(incomplete)],
    )
    return {"unset": (Annotated[list[str] | None, option], None)}
