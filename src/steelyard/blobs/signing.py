"""Gives a presigned download of S3 the name of the file, which the object store's client cannot."""

import hashlib
import hmac
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

_SIGNATURE = "X-Amz-Signature"
_UNRESERVED = "-._~"


def content_disposition(name: str) -> str:
    """The header that saves a download as `name` (RFC 6266): for clients of old in ASCII, for all others in UTF-8."""
    plain = "".join(char if char.isascii() and char.isprintable() and char not in '"\\%/' else "_" for char in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNRESERVED)}"


def with_file_name(url: str, name: str, secret_access_key: str) -> str:
    """The same presigned GET, signed anew so that its answer is saved as `name`.

    The signature is that of AWS Signature Version 4 in the query (Amazon S3 API Reference, "Authenticating Requests:
    Using Query Parameters"). Time, scope and length of validity stay those of `url`.
    """
    parts = urlsplit(url)
    query = {key: value for key, value in parse_qsl(parts.query, keep_blank_values=True) if key != _SIGNATURE}
    query["response-content-disposition"] = content_disposition(name)
    return urlunsplit(parts._replace(query=_signed(parts.netloc, parts.path, query, secret_access_key)))


def _signed(host: str, path: str, query: dict[str, str], secret_access_key: str) -> str:
    """The query with its signature; `path` is already in the encoding that is sent."""
    canonical_query = urlencode(sorted(query.items()), safe=_UNRESERVED, quote_via=quote)
    request = f"GET\n{path}\n{canonical_query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    moment = query["X-Amz-Date"]
    _, scope = query["X-Amz-Credential"].split("/", 1)
    key = f"AWS4{secret_access_key}".encode()
    for step in scope.split("/"):
        key = _mac(key, step)
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    return f"{canonical_query}&{_SIGNATURE}={_mac(key, text).hex()}"


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
