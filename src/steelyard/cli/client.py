"""A small client for the HTTP API: one call, its answer, and errors that have an exit code.

`transport` is the seam: a test passes one that answers in the process.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote

from steelyard.cli.errors import CliError, RefusedError, StartError, UsageError

if TYPE_CHECKING:
    # httpx takes a third of a second to import; `--help` and `serve` do without it.
    import httpx

TIMEOUT_SECONDS = 30.0
_CURSOR_SORTS = frozenset({"name", "created_at"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of 2xx: its JSON (None when there is none) and its headers in lower case."""

    body: Any
    headers: Mapping[str, str]

    @property
    def etag(self) -> str | None:
        """The ETag of the record, quotes and all."""
        return self.headers.get("etag")

    def record(self) -> dict[str, Any]:
        """The body as one record. Raises `CliError` when it is not one."""
        if not isinstance(self.body, dict):
            raise CliError("the answer is not a record; is --url the address of a Steelyard server?")
        return self.body


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many records the whole list has where the server says it."""

    records: list[dict[str, Any]]
    total: int | None
    last: bool


class Client:
    """Calls one server; use it in a `with`.

    Raises `UsageError` for an address or a token that cannot be used.
    """

    def __init__(self, url: str, *, token: str | None = None, transport: "httpx.BaseTransport | None" = None) -> None:
        import httpx  # noqa: PLC0415

        self._url = _address(url)
        headers = {"accept": "application/json", "user-agent": "steelyard-cli"}
        if token:
            headers["authorization"] = f"Bearer {_checked_token(token)}"
        self._http = httpx.Client(headers=headers, transport=transport, timeout=TIMEOUT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        if_match: str | None = None,
    ) -> Answer:
        """Send one request, without following redirects and without trying again.

        Raises `StartError` when nobody answers, `RefusedError` for 400 and above, `CliError` for the rest.
        """
        import httpx  # noqa: PLC0415

        headers = {} if body is None else {"content-type": "application/json"}
        if if_match:
            headers["if-match"] = if_match
        # ASCII, so that an argument that was no text reaches the server as what it is and is refused there.
        content = None if body is None else json.dumps(body).encode()
        try:
            response = self._http.request(
                method, self._url + path, params=dict(query or {}), content=content, headers=headers
            )
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise StartError(
                f"cannot connect to {_shown(self._url)} ({error or 'timed out'}); "
                "start a server with `steelyard serve`, or name another with --url"
            ) from None
        except httpx.TimeoutException:
            raise CliError(
                f"{_shown(self._url)} did not answer in {TIMEOUT_SECONDS:g} s"
                + ("" if method == "GET" else "; it is not known whether the change was made")
            ) from None
        except httpx.HTTPError as error:
            raise CliError(f"{_shown(self._url)} broke off: {error}") from None
        return _answer(response, _shown(self._url))

    def pages(
        self, path: str, query: Mapping[str, str | int], *, sort: str | None, first: int | None
    ) -> Iterator[Page]:
        """Every page of a list from page `first` on, each asked for when it is taken.

        The keyset cursor keeps a walk whole while others write, so it is used where the server has one.
        """
        by_cursor = first is None and (sort or "created_at").lstrip("-+") in _CURSOR_SORTS
        position: dict[str, str | int] = {} if first is None else {"page": first}
        seen: set[str] = set()
        while True:
            answer = self.call("GET", path, query={**query, **position})
            page, pagination = _page(answer)
            cursor = pagination.get("next_cursor")
            use_cursor = by_cursor and "next_cursor" in pagination
            number = _whole(pagination.get("page")) or 1
            last = cursor is None if use_cursor else number >= (_whole(pagination.get("total_pages")) or 0)
            last = last or not page
            yield Page(page, _whole(pagination.get("total_results")), last)
            if last:
                return
            if use_cursor:
                if cursor in seen:
                    raise CliError("the server gave the same cursor twice")
                seen.add(str(cursor))
                position = {"cursor": str(cursor)}
            else:
                position = {"page": number + 1}


def segment(text: str, what: str) -> str:
    """A name as one segment of a path. Raises `UsageError` for what would be another path."""
    # `.` and `..` would be folded away on the road, and the request would reach something else.
    if text in {"", ".", ".."} or "/" in text:
        raise UsageError(f"{text!r} is not the name of a {what}")
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise UsageError(f"the name of the {what} is not UTF-8 text") from None


def _address(url: str) -> str:
    import httpx  # noqa: PLC0415

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        raise UsageError("--url is not an address; give one like http://127.0.0.1:8080") from None
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.query or parsed.fragment:
        raise UsageError(f"{_shown(url)} is not the address of a server; give one like http://127.0.0.1:8080")
    return url.rstrip("/")


def _shown(url: str) -> str:
    # A password may stand before the @.
    scheme, separator, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path


def _checked_token(token: str) -> str:
    token = token.strip()
    # Checked here, because the error of the HTTP library would print it.
    if not token.isascii() or not token.isprintable() or " " in token:
        raise UsageError("the token holds characters that cannot stand in a header")
    return token


def _answer(response: "httpx.Response", url: str) -> Answer:
    body: Any = None
    if response.content:
        try:
            body = response.json()
        except ValueError:
            if response.is_success:
                raise CliError(f"{url} answered something that is not JSON; is --url right?") from None
    headers = {name.lower(): value for name, value in response.headers.items()}
    if response.status_code >= 400:
        raise RefusedError(response.status_code, body, headers)
    if not response.is_success:
        target = headers.get("location", "nowhere")
        raise CliError(f"{url} answered {response.status_code}, a redirect to {target}; is --url right?")
    return Answer(body, headers)


def _page(answer: Answer) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    body = answer.record()
    records, pagination = body.get("data"), body.get("pagination")
    if not isinstance(records, list) or not isinstance(pagination, dict):
        raise CliError("the answer is not a list; is --url the address of a Steelyard server?")
    return [record for record in records if isinstance(record, dict)], pagination


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) else None
