"""Tickets for uploads: whoever holds one may send exactly the bytes that it names, until it expires.

Uploads by Git LFS are sent to an address, without the caller's credentials: the address itself is the permission. It is
sealed with the server's key, so that nobody can make one or change what it says.
"""

import re
from typing import Any, NamedTuple

import orjson

from steelyard.actions.context import Context
from steelyard.errors import Forbidden, UnreadableSecret

TICKET_SECONDS = 24 * 3600
_UPLOAD, _SENDING = "hub upload", "hub sending"
# The vault takes tokens that it made itself; what a caller sends is looked at before it sees it.
_FORM = re.compile(r"v[0-9]\.[0-9a-f]{8}\.[A-Za-z0-9_-]{120,4000}={0,2}")


class Ticket(NamedTuple):
    """What may be sent: `size` bytes of the sha256 `digest`, for `workspace`.

    `upload` is the staging file of an upload in parts of `part` bytes.
    """

    workspace: str
    digest: str
    size: int
    upload: str | None = None
    part: int = 0

    @property
    def parts(self) -> int:
        """How many parts the upload has."""
        return -(-self.size // self.part) if self.part else 1


def write_ticket(context: Context, ticket: Ticket) -> str:
    """The text of a ticket, which is safe in a query. It belongs into no path: those are logged."""
    return _sealed(context, _UPLOAD, list(ticket))


def read_ticket(context: Context, text: str) -> Ticket:
    """The ticket of that text. Raises Forbidden for one that is not ours, was changed, or has expired."""
    return Ticket(*_opened(context, _UPLOAD, text))


def write_pass(context: Context, workspace: str) -> str:
    """A text that permits to send bytes of any kind for a workspace."""
    return _sealed(context, _SENDING, [workspace])


def read_pass(context: Context, text: str) -> str:
    """The workspace that a text permits to send to. Raises Forbidden."""
    (workspace,) = _opened(context, _SENDING, text)
    return str(workspace)


def _sealed(context: Context, purpose: str, values: list[Any]) -> str:
    return context.vault.seal(orjson.dumps([context.ago(-TICKET_SECONDS), *values]).decode(), purpose)


def _opened(context: Context, purpose: str, text: str) -> list[Any]:
    refused = Forbidden("this permission to upload is not valid, or no longer; ask for a new one")
    encoded = text.rpartition(".")[2]
    if not _FORM.fullmatch(text) or len(encoded) % 4:
        raise refused
    try:
        opened: list[Any] = orjson.loads(context.vault.open(text, purpose))
    except UnreadableSecret:
        raise refused from None
    expires, *values = opened
    if expires < context.now():
        raise refused
    return values
