"""What a header is that a record may have sent to other servers: pure functions over names and values."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# Visible ASCII, with spaces and tabs between: what every server reads in the same way (RFC 9110, 5.5).
_VALUE = re.compile(r"[!-~]([ \t!-~]*[!-~])?")
_MOST = 64
_LONGEST = 8192

# Whoever sends a message says these of the connection and of the body; a record cannot know them.
_OF_THE_MESSAGE = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("host", "content-length", "content-encoding"),
    }
)
_COOKIES = frozenset({"cookie", "set-cookie"})
_PROXY = "proxy-"


def is_value(text: str) -> bool:
    """Whether `text` can be the value of a header: visible ASCII characters, with spaces only between them."""
    return _VALUE.fullmatch(text) is not None


def refusal_of_name(name: str) -> str | None:
    """Why a record may not set the header `name`; None if it may."""
    if not _TOKEN.fullmatch(name):
        return f"{name[:100]!r} is not the name of a header (RFC 9110: letters, digits and !#$%&'*+-.^_`|~)"
    folded = name.lower()
    if folded in _OF_THE_MESSAGE or folded.startswith(_PROXY):
        return f"{name!r} is a header of the message or its connection, which the gateway sets by itself"
    if folded in _COOKIES:
        return f"{name!r} is not sent on: cookies belong to the caller"
    return None


def _headers(headers: dict[str, str]) -> dict[str, str]:
    seen: set[str] = set()
    for name, value in headers.items():
        refusal = refusal_of_name(name)
        if refusal is None and name.lower() == "authorization":
            refusal = f"{name!r} carries a key: name its secret in 'api_key_secret_name' (and see 'auth_header_format')"
        if refusal is None and name.lower() in seen:
            refusal = f"{name!r} stands twice, in two spellings"
        if refusal is None and value and not is_value(value):
            refusal = f"the value of {name!r} must be visible ASCII characters, with spaces only between them"
        if refusal:
            raise PydanticCustomError("header", refusal)
        seen.add(name.lower())
    return headers


ExtraHeaders = Annotated[
    dict[str, Annotated[str, Field(max_length=_LONGEST)]], Field(max_length=_MOST), AfterValidator(_headers)
]


def _token(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise PydanticCustomError(
            "header", "must be the name of a header (RFC 9110: letters, digits, '-' and the like)"
        )
    return name


HeaderName = Annotated[str, Field(max_length=255), AfterValidator(_token)]
