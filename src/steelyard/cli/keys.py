"""`steelyard keys` and `steelyard members`: who may do what, on the command line."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from steelyard.cli.address import segment
from steelyard.cli.groups import group
from steelyard.cli.session import Session, with_session

KEYS = "/apis/auth/v2/keys"
_COLUMNS = ("id", "name", "owner", "expires_at", "revoked_at", "last_used_at", "scopes", "workspaces", "models")
_MEMBER_COLUMNS = ("principal", "roles", "granted_at", "granted_by")

Id = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `steelyard keys list` shows it.")]
Who = Annotated[
    str, typer.Argument(metavar="WHO", help="A subject, an e-mail address, `group:NAME`, or `*` for everybody.")
]
Roles = Annotated[
    list[str],
    typer.Option("--role", metavar="ROLE", help="Viewer, Editor, Admin, Invoker, Publisher …; may be repeated."),
]


def _several(name: str, help: str, metavar: str) -> Any:
    return typer.Option(name, metavar=metavar, help=f"{help} May be repeated.")


Scopes = Annotated[list[str] | None, _several("--scope", "What it may do, as inference:write; else all.", "SCOPE")]
Only = Annotated[list[str] | None, _several("--only", "A workspace that it is for; else all.", "WORKSPACE")]
Models = Annotated[list[str] | None, _several("--model", "A model that it may call, as workspace/name.", "MODEL")]
Networks = Annotated[list[str] | None, _several("--network", "Where it is used from, as 10.0.0.0/8.", "NETWORK")]


def list_keys(
    session: Session,
    *,
    owner: Annotated[str | None, typer.Option("--owner", help="Of whom; `*` for all. Else your own.")] = None,
) -> None:
    """List API keys: your own, or those of others where you administer keys."""
    answer = session.client.call("GET", KEYS, query={"owner": owner} if owner else {}).record()
    session.output.records(answer["data"], _COLUMNS, key="id")  # which `revoke` takes; names are not unique


def create_key(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    *,
    owner: Annotated[str | None, typer.Option("--owner", help="For whom; else for yourself.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, help="After how many days it ends.")] = None,
    scope: Scopes = None,
    only: Only = None,
    model: Models = None,
    network: Networks = None,
) -> None:
    """Make an API key. It is shown once: on the standard output, alone, so that a script can keep it."""
    body: dict[str, Any] = {"name": name, "scopes": scope or [], "workspaces": only or [], "models": model or []}
    body |= {"networks": network or []}
    body |= {"owner": owner} if owner else {}
    body |= {"expires_in_days": days} if days else {}
    made = session.client.call("POST", KEYS, body=body).record()
    if session.output.json:
        session.output.value(made)
        return
    ends = f", until {made['expires_at']}" if made["expires_at"] else ""
    session.output.note(f"key {made['id']} ({made['name']}) of {made['owner']}{ends}; it is shown this once:")
    typer.echo(made["key"])


def revoke_key(session: Session, id: Id) -> None:
    """End an API key, and those that were made with it, at once."""
    gone = session.client.call("DELETE", f"{KEYS}/{segment(id, 'key')}").record()
    if session.output.json:
        session.output.value(gone)
    else:
        session.output.line(f"key {gone['id']} ({gone['name']}) of {gone['owner']} revoked")


def list_members(session: Session) -> None:
    """List who has roles in a workspace."""
    session.output.records(session.client.call("GET", _members(session)).record()["data"], _MEMBER_COLUMNS)


def add_member(session: Session, who: Who, *, role: Roles = ["Editor"]) -> None:  # noqa: B006 - typer copies it
    """Give somebody roles in a workspace; Editor when none is given."""
    _told(session, session.client.call("POST", _members(session), body={"principal": who, "roles": role}).record())


def set_member(session: Session, who: Who, *, role: Roles) -> None:
    """Make these the roles of somebody in a workspace."""
    _told(session, session.client.call("PUT", _member(session, who), body={"roles": role}).record())


def remove_member(session: Session, who: Who) -> None:
    """Take all roles of somebody in a workspace."""
    session.client.call("DELETE", _member(session, who))
    session.output.line(f"{who} is no member of {session.workspace} any more")


def _members(session: Session) -> str:
    return f"/apis/entities/v2/workspaces/{segment(session.workspace, 'workspace')}/members"


def _member(session: Session, who: str) -> str:
    # Subjects are what an identity provider says: they may hold slashes, and more.
    return f"{_members(session)}/{quote(who, safe='')}"


def _told(session: Session, member: dict[str, Any]) -> None:
    if session.output.json:
        session.output.value(member)
    else:
        session.output.line(f"{member['principal']} in {session.workspace}: {', '.join(member['roles']) or 'no role'}")


def build_keys(epilog: str) -> typer.Typer:
    """The group of commands about API keys."""
    app = group("keys", "API keys.", epilog)
    for name, run in (("list", list_keys), ("create", create_key), ("revoke", revoke_key)):
        app.command(name)(with_session(run))
    return app


def build_members(epilog: str) -> typer.Typer:
    """The group of commands about the members of a workspace."""
    app = group("members", "Who may do what in a workspace.", epilog)
    for name, run in (("list", list_members), ("add", add_member), ("set", set_member), ("remove", remove_member)):
        app.command(name)(with_session(run))
    return app
