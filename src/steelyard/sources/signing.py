"""AWS Signature Version 4 in headers, for requests without a body.

Source: Amazon S3 API Reference, "Authenticating Requests: Using the Authorization Header".
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode, urlsplit

_UNRESERVED = "-._~"
_NO_BODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Credentials:
    """A key of an object store, for one region. Its secret is in no text that it is shown as."""

    key_id: str
    secret: str
    region: str

    def __repr__(self) -> str:
        return "Credentials()"


def encoded_path(path: str) -> str:
    """A path in the encoding that is signed: every octet but letters, digits, `-._~` and `/`."""
    return quote(path, safe=_UNRESERVED + "/")


def encoded_query(query: Mapping[str, str]) -> str:
    """A query in the order and encoding that is signed."""
    return urlencode(sorted(query.items()), safe=_UNRESERVED, quote_via=quote)


def signed_headers(url: str, headers: Mapping[str, str], credentials: Credentials, at: datetime) -> dict[str, str]:
    """`headers` (names in lower case) with those of the signature of a GET of `url`, at a time in UTC.

    The path and the query of `url` are in the encodings of `encoded_path` and `encoded_query`.
    """
    parts = urlsplit(url)
    moment = at.strftime("%Y%m%dT%H%M%SZ")
    signed = {**headers, "host": parts.netloc, "x-amz-date": moment, "x-amz-content-sha256": _NO_BODY}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name].strip()}\n" for name in sorted(signed))
    request = f"GET\n{parts.path or '/'}\n{parts.query}\n{lines}\n{names}\n{_NO_BODY}"
    scope = f"{moment[:8]}/{credentials.region}/s3/aws4_request"
    key = f"AWS4{credentials.secret}".encode()
    for step in scope.split("/"):
        key = _mac(key, step)
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    signature = _mac(key, text).hex()
    del signed["host"]  # the transport says it
    signed["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={credentials.key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return signed


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
