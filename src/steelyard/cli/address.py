"""What goes into a request's address and headers, checked before it goes: the server, a name, a token."""

from urllib.parse import quote

from steelyard.cli.errors import UsageError


def segment(text: str, what: str) -> str:
    """A name as one segment of a path. Raises `UsageError` for what would be another path."""
    # `.` and `..` would be folded away on the road, and the request would reach something else.
    if text in {"", ".", ".."} or "/" in text:
        raise UsageError(f"{text!r} is not the name of a {what}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"the name of the {what} is not UTF-8 text") from None


def workspace_verb(workspace: str, verb: str) -> str:
    """The path of what can be done with a whole workspace: `batch`, `export`, `import`. Raises `UsageError`."""
    if workspace == "-":
        raise UsageError("`-` is all workspaces; name one")
    return f"/apis/steelyard/v1/workspaces/{segment(workspace, 'workspace')}:{verb}"


def address(url: str) -> str:
    """The address of a server, without a slash at its end. Raises `UsageError`."""
    import httpx  # noqa: PLC0415

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise UsageError("--url is not an address; give one like http://127.0.0.1:8080") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise UsageError(f"{shown(url)} is not the address of a server; give one like http://127.0.0.1:8080")
    return url.rstrip("/")


def shown(url: str) -> str:
    """The address as a message may show it: a password may stand before the @."""
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path


def checked_token(token: str) -> str:
    """The token, if a header can hold it. Raises `UsageError`, which does not repeat it."""
    token = token.strip()
    # Checked here, because the error of the HTTP library would print it.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("the token holds characters that cannot stand in a header")
    return token


def quoted_etag(text: str | None) -> str | None:
    """An ETag as a header wants it: a shell takes the quotes away that belong to it."""
    if text is None or text == "*" or text.startswith(('"', "W/")):
        return text
    return f'"{text}"'
