"""`steelyard secrets`: values that other records name and that only the server uses."""

from typing import Annotated, Any

import typer

from steelyard.cli.groups import commands
from steelyard.cli.resource import Field, Kind, Resource
from steelyard.cli.session import Session, with_session
from steelyard.cli.verbs import Verbs

SECRETS = Resource(
    noun="secret",
    plural="secrets",
    path="/apis/secrets/v2/workspaces/{workspace}/secrets",
    about="Secrets: values that other records name, and that only the server uses. No command shows one.",
    columns=("name", "description", "created_at", "updated_at"),
    fields=(
        Field("description", "What it is for."),
        # Other users of a machine can see the options of a command that runs: a value is not one of them.
        Field(
            "value",
            "A file with the value, `-` for stdin. A newline at its end is no part of it.",
            Kind.HIDDEN,
            option="--value-from",
            metavar="FILE",
            clearable=False,
        ),
    ),
    examples=(
        "steelyard secrets create hub-token                     (asks for the value)",
        "vault read -field=token hub | steelyard secrets create hub-token",
        "steelyard secrets update hub-token --value-from token.txt",
    ),
)

_ASK = ""
"""In place of a file: the value is asked for, or read from the standard input where nobody can be asked."""


class _SecretVerbs(Verbs):
    """The verbs of secrets, which ask for a value that is not given."""

    def completed(self, fields: dict[str, Any], *, new: bool) -> dict[str, Any]:
        """With a value to ask for, where there is none: in a new secret, or where nothing else is changed."""
        given = [fields.get("value")] if new else fields.values()
        return {**fields, "value": _ASK} if all(value in (None, []) for value in given) else fields


def rotate(
    session: Session,
    *,
    master_key: Annotated[
        bool,
        typer.Option(
            "--master-key",
            help="First take a new master key: one that the server makes, or the first one in its master_key_file.",
        ),
    ] = False,
) -> None:
    """Seal all secrets of the server under new keys, those of the past too. The secrets stay as they are."""
    query = {"master_key": "true"} if master_key else {}
    done = session.client.call("POST", "/apis/secrets/v2/rotate-encryption-keys", query=query, seconds=3600).record()
    if session.output.json:
        session.output.value(done)
        return
    session.output.line(f"{done['rotated_secrets']:,} secrets sealed under new keys")
    if not done["success"]:
        session.output.note("some could not be opened and stay as they are: the key that sealed them is not here")


def build_secrets(epilog: str) -> typer.Typer:
    """The group of commands about secrets."""
    app = commands(SECRETS, epilog, _SecretVerbs(SECRETS))
    app.command("rotate")(with_session(rotate))
    return app
