"""One question to a provider: which models it lists."""

from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from steelyard.actions.secrets import SecretReader
from steelyard.errors import BadReference, OutboundFailed, OutboundRefused, UnreadableSecret
from steelyard.outbound.transport import OutboundRequest, Timeouts, Transport
from steelyard.records.discovery import Listed, list_url, read_list
from steelyard.records.kinds import Row
from steelyard.records.providers import DEFAULT_AUTH_HEADER, parse_auth_header

_MOST_BYTES = 4 * 1_048_576
_MOST_PAGES = 50
_HEADERS = (("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", "Steelyard-Discovery/1"))
# A server that has no such route serves models all the same.
_NO_LIST = frozenset({404, 405, 501})


class Asked(NamedTuple):
    """What a provider answered: its list (None: it has none that can be read), or why it did not answer."""

    listed: list[Listed] | None = None
    failure: str | None = None


async def ask(transport: Transport, secret: SecretReader, row: Row, seconds: float) -> Asked:
    """Asks the provider `row` for its models. What goes wrong is in the answer, without secrets or what came back."""
    try:
        headers = await _headers(secret, row)
    except (BadReference, UnreadableSecret, ValueError) as error:
        return Asked(failure=f"Its key cannot be used: {error}")
    first = list_url(row.fields["host_url"])
    url, found = first, list[Listed]()
    for _ in range(_MOST_PAGES):
        try:
            status, value = await _get(transport, url, headers, seconds)
        except (OutboundRefused, OutboundFailed) as error:
            return Asked(failure=f"It cannot be asked for its models: {error.message}")
        if status in _NO_LIST:
            return Asked()
        if status != 200:
            note = "; its key may be wrong" if status in {401, 403} else ""
            return Asked(failure=f"It answered {status} to the question for its models{note}")
        listed = read_list(value)
        if listed is None:
            return Asked()
        found += listed
        following = _following(value)
        if following is None:
            break
        url = f"{first}?after_id={quote(following, safe='')}"
    return Asked(found)


async def _headers(secret: SecretReader, row: Row) -> list[tuple[str, str]]:
    """What goes with the question. Raises BadReference, UnreadableSecret, ValueError."""
    fields = row.fields
    extra = {**(fields["default_extra_headers"] or {}), **(fields["required_extra_headers"] or {})}
    headers = {name.lower(): value for name, value in (*_HEADERS, *extra.items())}
    if named := fields["api_key_secret_name"]:
        form = parse_auth_header(fields["auth_header_format"] or DEFAULT_AUTH_HEADER)
        value = await secret(row.workspace, named, "api_key_secret_name")
        if not value.isprintable() or not value.isascii():
            raise ValueError("the secret has characters that no header can have")
        headers[form.name.lower()] = f"{form.prefix}{value}{form.suffix}"
    return list(headers.items())


async def _get(transport: Transport, url: str, headers: list[tuple[str, str]], seconds: float) -> tuple[int, Any]:
    """The status and the JSON of an answer (None for what is no JSON). Raises OutboundRefused, OutboundFailed."""
    timeouts = Timeouts(connect=min(seconds, 10.0), read=seconds, total=seconds)
    async with transport.open(OutboundRequest("GET", url, headers, timeouts=timeouts)) as answer:
        if answer.status != 200:
            return answer.status, None
        body = bytearray()
        async for chunk in answer.chunks():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise OutboundFailed(f"the list is longer than {_MOST_BYTES} bytes", reason="too_large")
    try:
        return 200, orjson.loads(body)
    except orjson.JSONDecodeError:
        return 200, None


def _following(value: Any) -> str | None:
    """Where the next page begins, in the way of Anthropic's API."""
    last = value.get("last_id") if value.get("has_more") is True else None
    return last if isinstance(last, str) and last else None
