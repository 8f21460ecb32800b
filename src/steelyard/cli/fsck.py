"""`steelyard fsck`: whether the bytes that a server keeps are still those that it was given."""

import json
from collections.abc import Iterator
from typing import Any

import typer

from steelyard.cli.bars import size_text
from steelyard.cli.errors import DANGER, CutError
from steelyard.cli.output import progress
from steelyard.cli.session import Session

_PATH = "/apis/steelyard/v1/fsck"
# A large file is read between two lines.
_SILENCE_SECONDS = 1800.0
_SHOWN_USERS = 3


def fsck(session: Session) -> None:
    """Read all bytes that the server keeps, and tell which are not what they were.

    Damaged bytes are handed out no more, until somebody sends them again. The exit code is 9 where there are any.
    """
    show = progress(session.output.quiet, "blobs read")
    damaged, last = False, dict[str, Any]()
    for told in _told(session):
        kind = told.get("type")
        if session.output.json and kind != "progress":
            session.output.json_line(told)
        if kind in {"progress", "done"}:
            show(int(told["blobs"]), None)
            last = told
        else:
            damaged = damaged or kind in {"missing", "corrupt"}
            show(0, None)
            _show(session, told)
    show(0, None)
    if last.get("type") != "done":
        raise CutError("the check broke off before its end; check again")
    session.output.line(
        f"{last['blobs']:,} blobs, {size_text(last['bytes'])} read: "
        + (f"{last['troubles']:,} not as they should be" if last["troubles"] else "all as they were given")
    )
    if damaged:
        raise typer.Exit(DANGER)


def _told(session: Session) -> Iterator[dict[str, Any]]:
    with session.client.stream(_PATH, method="POST", seconds=_SILENCE_SECONDS) as answer:
        for line in answer.iter_lines():
            if line:
                yield json.loads(line)


def _show(session: Session, told: dict[str, Any]) -> None:
    users = [f"{user['fileset']}#{user['path']}" for user in told.get("used_by", ())]
    more = f" and {len(users) - _SHOWN_USERS} more" if len(users) > _SHOWN_USERS else ""
    where = f" in {', '.join(users[:_SHOWN_USERS])}{more}" if users else ""
    colour = "red" if told["type"] in {"missing", "corrupt"} else "yellow"
    session.output.line(f"{told['type']}: {told['sha256']}  {size_text(told['size'])}{where}", colour)
