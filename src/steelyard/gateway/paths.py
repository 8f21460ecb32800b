"""Where on an upstream a request goes: the path that the client asks for, below the base of the upstream's URL."""

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


class Base(NamedTuple):
    """The base of an upstream's URL: `host` as it stands in `Host`, and the path without a `/` at its end."""

    host: bytes
    path: str

    def join(self, path: str) -> bytes:
        """The target of a request for `path`, which is normal; a `v1` that both have stands in it once."""
        if self.path.endswith("/v1") and (path == "v1" or path.startswith("v1/")):
            path = path[3:]
        return f"{self.path}/{path}".encode("ascii")


def base_of(url: str) -> Base:
    """The base of a URL whose form has been checked. One that names an operation means the base of that."""
    parts = urlsplit(url)
    path = quote(unquote(parts.path), safe=_SAFE).rstrip("/")
    for operation in OPERATIONS:
        tail = operation.removeprefix("v1")
        if path.endswith(tail):
            path = path.removesuffix(tail)
            break
    return Base(parts.netloc.encode("ascii"), path)


def normal_path(path: str) -> str:
    """A path below the base, decoded once by now, with its segments as they are sent.

    Raises InvalidParameters for one that could leave the base, or hold what no path has.
    """
    if "\\" in path or any(ord(character) < 32 or character == "\x7f" for character in path):
        raise _refused("must not hold control characters or backslashes")
    segments = path.split("/")
    if any(segment in {".", ".."} for segment in map(_whole, segments)):
        raise _refused("must not hold the segments '.' or '..'")
    return quote("/".join(segments).lstrip("/"), safe=_SAFE)


def _whole(segment: str) -> str:
    """A segment as the most forgiving server would read it: decoded until nothing changes."""
    for _ in range(5):
        decoded = unquote(segment)
        if decoded == segment:
            break
        segment = decoded
    return "." if segment == "." else ".." if ".." in segment.split("/") else segment


def _refused(message: str) -> InvalidParameters:
    return InvalidParameters.of(("path", "trailing_uri"), "path", message)
