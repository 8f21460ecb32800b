"""Where on an upstream a request goes: the path that the client asks for, below the base of the upstream's URL."""

import re
from typing import NamedTuple
from urllib.parse import quote, unquote, urlsplit

from steelyard.errors import InvalidParameters

OPERATIONS = {
    "v1/chat/completions": "openai.chat",
    "v1/responses": "openai.responses",
    "v1/messages": "anthropic.messages",
    "v1/completions": "openai.completions",
    "v1/embeddings": "openai.embeddings",
}
"""The dialect of each path that means something to the gateway."""
PATHS = {dialect: path for path, dialect in OPERATIONS.items()}
"""The path of each dialect."""
OTHER = "other"
"""The dialect of any other path: its requests are passed on, and never translated."""

_SAFE = "/:@!$&'()*+,;=-._~"
# Between these, a server may see segments of a path; what follows a `;` some take off before they look at a segment.
_SEPARATORS = re.compile(r"[/\\]")
_MOST_LAYERS = 5
"""How often a segment can be encoded over and over, at most."""


class Base(NamedTuple):
    """The base of an upstream's URL: `host` as it stands in `Host`, the path without a `/` at its end, and the query
    that goes before a request's own. `versioned` says that the `v1` of a path is left out, because the base has it, or
    because the URL has named an operation without one.
    """

    host: bytes
    path: str
    versioned: bool = False
    query: bytes = b""

    def join(self, path: str) -> bytes:
        """The target of a request for `path`, which is normal; a `v1` that both have stands in it once."""
        if self.versioned and (path == "v1" or path.startswith("v1/")):
            path = path[3:]
        return f"{self.path}/{path}".encode("ascii")


def base_of(url: str) -> Base:
    """The base of a URL whose form has been checked. One that names an operation means the base of that."""
    parts = urlsplit(url)
    # What is encoded stays so: a `%2F` is part of a segment.
    path = quote(parts.path, safe=f"{_SAFE}%").rstrip("/")
    versioned = False
    for operation in OPERATIONS:
        tail = operation.removeprefix("v1")
        if path.endswith(tail):
            path, versioned = path.removesuffix(tail), True
            break
    query = quote(parts.query, safe=f"{_SAFE}%?").encode("ascii")
    return Base(parts.netloc.encode("ascii"), path, versioned or path.endswith("/v1"), query)


def normal_path(path: str) -> str:
    """A path below the base, decoded once by now, with its segments as they are sent.

    Raises InvalidParameters for one that could leave the base, or hold what no path has.
    """
    if "\\" in path or any(ord(character) < 32 or character == "\x7f" for character in path):
        raise _refused("must not hold control characters or backslashes")
    segments = path.split("/")
    if any(_moves(segment) for segment in segments):
        raise _refused("must not hold the segments '.' or '..', however they are encoded")
    return quote("/".join(segments).lstrip("/"), safe=_SAFE)


def _moves(segment: str) -> bool:
    """Whether the most forgiving server could read a segment as `.` or `..`: decoded until nothing changes."""
    for _ in range(_MOST_LAYERS):
        decoded = unquote(segment)
        if decoded == segment:
            return any(part.partition(";")[0] in {".", ".."} for part in _SEPARATORS.split(segment))
        segment = decoded
    return True  # nobody encodes like this who does not want to hide something


def _refused(message: str) -> InvalidParameters:
    return InvalidParameters.of(("path", "trailing_uri"), "path", message)
