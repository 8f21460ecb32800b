"""A small client for the HTTP API: one call, its answer, and errors that have an exit code.

`transport` is the seam: a test passes one that answers in the process.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from steelyard.cli.address import address, checked_token, shown
from steelyard.cli.errors import CliError, CutError, RefusedError, StartError

if TYPE_CHECKING:
    # httpx takes a third of a second to import; `--help` and `serve` do without it.
    import httpx

TIMEOUT_SECONDS = 30.0
_CURSOR_SORTS = frozenset({"name", "created_at"})
_JSON = {"content-type": "application/json"}

Query: TypeAlias = Mapping[str, str | int | list[str]]


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

        self._url = address(url)
        headers = {"accept": "application/json", "user-agent": "steelyard-cli"}
        if token:
            headers["authorization"] = f"Bearer {checked_token(token)}"
        self._http = httpx.Client(headers=headers, transport=transport, timeout=TIMEOUT_SECONDS)

    @property
    def address(self) -> str:
        """The address of the server, as it is written."""
        return self._url

    @property
    def url(self) -> str:
        """The address of the server, as a message may show it."""
        return shown(self._url)

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
        query: Query | None = None,
        body: Any = None,
        if_match: str | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Send one request with a JSON body, without following redirects and without trying again.

        Raises `StartError` when nobody answers, `RefusedError` for 400 and above, `CliError` for the rest.
        """
        # ASCII, so that an argument that was no text reaches the server as what it is and is refused there.
        content = None if body is None else json.dumps(body).encode()
        headers = {**({} if body is None else _JSON), **({"if-match": if_match} if if_match else {})}
        return self.send(method, path, query=query, content=content, headers=headers, seconds=seconds)

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float = TIMEOUT_SECONDS,
    ) -> Answer:
        """Send one request with any body, whole or in parts; the answer may take `seconds`. Raises as `call` does."""
        with self._talk(method, seconds):
            response = self._http.request(
                method, self._url + path, params=dict(query or {}), content=content, headers=headers, timeout=seconds
            )
        return _answer(response, shown(self._url))

    @contextmanager
    def stream(
        self,
        path: str,
        *,
        method: str = "GET",
        query: Query | None = None,
        headers: Mapping[str, str] | None = None,
        seconds: float,
    ) -> "Iterator[httpx.Response]":
        """An answer that is read while it comes, with at most `seconds` of silence. Raises as `call` does, also within
        the `with`: `CutError` where the answer breaks off.
        """
        with (
            self._talk(method, seconds),
            self._http.stream(
                method, self._url + path, params=dict(query or {}), headers=headers, timeout=seconds
            ) as response,
        ):
            if not response.is_success:
                response.read()
                _answer(response, shown(self._url))
            yield response

    def pages(self, path: str, query: Query, *, sort: str | None, first: int | None) -> Iterator[Page]:
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

    @contextmanager
    def _talk(self, method: str, seconds: float) -> Iterator[None]:
        import httpx  # noqa: PLC0415

        url = shown(self._url)
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise StartError(
                f"cannot connect to {url} ({error or 'timed out'}); "
                "start a server with `steelyard serve`, or name another with --url"
            ) from None
        except httpx.TimeoutException:
            fate = "" if method == "GET" else "; it is not known whether the change was made"
            raise CutError(f"{url} did not answer in {seconds:g} s{fate}") from None
        except httpx.HTTPError as error:
            raise CutError(f"{url} broke off: {error}") from None


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
