"""Which headers go through the gateway: lists of what may, both ways. Whatever is not on them stays here.

The caller's credentials, cookies and addresses never go on; the upstream's cookies and its name never come back.
"""

import re
from collections.abc import Iterable

from steelyard.records.http_fields import refusal_of_name

Header = tuple[bytes, bytes]

TO_UPSTREAM = frozenset(
    {
        *(b"anthropic-version", b"anthropic-beta", b"openai-beta"),
        *(b"x-request-id", b"traceparent", b"tracestate", b"accept-language"),
    }
)
"""What an upstream may hear from a client, whatever it asks for."""
RAW_TO_UPSTREAM = TO_UPSTREAM | {b"content-type", b"accept", b"range", b"if-none-match", b"if-match"}
"""The same where the bytes of the request go on as they are."""

_TO_CLIENT = frozenset(
    {
        *(b"retry-after", b"retry-after-ms", b"cache-control", b"openai-processing-ms", b"openai-version"),
        *(b"content-type", b"x-should-retry", b"openai-model"),
    }
)
_RAW_TO_CLIENT = frozenset(
    {b"content-encoding", b"content-disposition", b"content-language", b"etag", b"last-modified", b"content-range"}
)
_TO_CLIENT_FAMILIES = (b"x-ratelimit-", b"anthropic-ratelimit-")
_UPSTREAM_REQUEST_IDS = frozenset({b"x-request-id", b"request-id"})
# What would end a header line or hide in it.
_BROKEN = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class HeaderLists:
    """The lists with what the settings add to them."""

    def __init__(self, to_upstream: Iterable[str] = (), to_client: Iterable[str] = ()) -> None:
        more, back = _added(to_upstream), _added(to_client)
        self._up, self._raw_up = TO_UPSTREAM | more, RAW_TO_UPSTREAM | more
        self._back, self._raw_back = _TO_CLIENT | back, _TO_CLIENT | _RAW_TO_CLIENT | back

    def to_upstream(self, headers: Iterable[Header], *, raw: bool = False) -> list[Header]:
        """Those of a client's headers (names in lower case) that go on."""
        allowed = self._raw_up if raw else self._up
        return [header for header in headers if header[0] in allowed and not _BROKEN.search(header[1])]

    def to_client(self, headers: Iterable[Header], *, raw: bool = False) -> list[Header]:
        """Those of an upstream's headers that go back. Its request id gets a name of its own, for we have ours."""
        allowed = self._raw_back if raw else self._back
        found: list[Header] = []
        for name, value in headers:
            if name in allowed or name.startswith(_TO_CLIENT_FAMILIES):
                if not _BROKEN.search(value):
                    found.append((name, value))
            elif name in _UPSTREAM_REQUEST_IDS and not _BROKEN.search(value):
                found.append((b"x-upstream-request-id", value))
        return found


# These belong to one connection, or say who somebody is: no setting lets them through.
_NEVER = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("host", "content-length", "content-encoding", "accept-encoding"),
        *("authorization", "x-api-key", "api-key", "cookie", "cookie2", "set-cookie", "set-cookie2"),
        *("server", "via", "forwarded", "x-real-ip"),
    }
)
KEY_NAMES = frozenset({b"authorization", b"x-api-key", b"api-key"})
"""Those of them that carry keys: a client's never go on, so they are free for the gateway's own."""
_NEVER_FAMILIES = ("proxy-", "x-forwarded-", "x-nmp-principal-", "x-steelyard-")


def _added(names: Iterable[str]) -> set[bytes]:
    """What the settings add, but for what no setting lets through."""
    folded = {name.lower() for name in names}
    return {name.encode("latin-1") for name in folded if name not in _NEVER and not name.startswith(_NEVER_FAMILIES)}


def lines(headers: Iterable[Header]) -> bytes:
    """The headers as they stand in a request."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


def encoded(name: str, value: str) -> Header:
    """A header of a record, which has been checked when it was written, and once more here.

    Raises ValueError for what could not be a header.
    """
    raw = name.lower().encode("latin-1"), value.encode("latin-1")
    if refusal_of_name(name) or _BROKEN.search(raw[1]):
        raise ValueError(f"the header {name!r} cannot be sent")
    return raw
