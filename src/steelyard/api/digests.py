"""What a request says of its bytes' sha256: `X-Checksum-Sha256`, `Repr-Digest`, `Content-Digest` (RFC 9530)."""

import binascii
import re
from base64 import b64decode

from starlette.requests import Request

from steelyard.api.requests import header
from steelyard.errors import InvalidParameters

_MEMBER = re.compile(r"(?:^|,)[ \t]*sha-256[ \t]*=[ \t]*(:[A-Za-z0-9+/=]*:|[^,]*)")
_HEX = re.compile(r"[0-9a-f]{64}")


def announced_digest(request: Request, *, of_content: bool = True) -> str | None:
    """The sha256 of the file, in hexadecimal; None if the request does not say it. Other algorithms are passed over.

    `of_content` says that the body is the file and nothing else. Raises InvalidParameters for what is no sha256, and
    for headers that contradict each other.
    """
    found = {
        "X-Checksum-Sha256": _plain(request),
        "Repr-Digest": _dictionary(request, "Repr-Digest"),
        "Content-Digest": _dictionary(request, "Content-Digest") if of_content else None,
    }
    said = {digest for digest in found.values() if digest is not None}
    if len(said) > 1:
        names = [name for name, digest in found.items() if digest is not None]
        raise InvalidParameters.of(("header", names[-1]), "sha256", f"says something else than {names[0]}")
    return said.pop() if said else None


def digest_of_base64(text: str, name: str) -> str:
    """The sha256 in hexadecimal that `text`, of the header `name`, spells in base64. Raises InvalidParameters."""
    try:
        digest = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != 32:
        raise InvalidParameters.of(("header", name), "sha256", "must be the 32 bytes of a sha256 in base64")
    return digest.hex()


def _plain(request: Request) -> str | None:
    sent = header(request, b"x-checksum-sha256")
    if sent is None:
        return None
    text = sent.decode("latin-1").strip().lower()
    if not _HEX.fullmatch(text):
        message = "must be a sha256 as 64 hexadecimal digits"
        raise InvalidParameters.of(("header", "X-Checksum-Sha256"), "sha256", message)
    return text


def _dictionary(request: Request, name: str) -> str | None:
    sent = header(request, name.lower().encode())
    member = _MEMBER.search(sent.decode("latin-1")) if sent is not None else None
    if member is None:
        return None
    value = member[1].strip()
    if not (value.startswith(":") and value.endswith(":") and len(value) > 2):
        raise InvalidParameters.of(("header", name), "sha256", "must be as sha-256=:base64: (RFC 9530)")
    return digest_of_base64(value[1:-1], name)
