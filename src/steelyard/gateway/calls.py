"""A request for inference while it is being answered, and what is sent upstream for it."""

from collections.abc import Mapping
from typing import Any

import orjson

from steelyard import __version__
from steelyard.errors import InvalidInput
from steelyard.gateway.headers import Header, lines
from steelyard.gateway.paths import OPERATIONS, OTHER, PATHS
from steelyard.gateway.table import Candidate, Target
from steelyard.gateway.telemetry import NoTelemetry, RequestSpan, Telemetry

_AGENT = f"steelyard/{__version__}".encode("ascii")
_KEPT_HEADS = 64
"""Paths are the client's, and could be any number."""
_ANTHROPIC_VERSION: Header = (b"anthropic-version", b"2023-06-01")
_TRANSLATED = frozenset({"openai.chat", "openai.responses", "anthropic.messages"})
_ONLY_OPENAI = frozenset({"openai.completions", "openai.embeddings"})
_OF_THE_BODY = frozenset({b"content-type", b"accept"})
_DIALECTS = frozenset(OPERATIONS.values())


def _id_upstream(request_id: str) -> str:
    """The id as upstreams get it: one of ours as the UUID that is in it, for there are servers that take no other."""
    return request_id[4:] if len(request_id) == 40 and request_id.startswith("req_") else request_id


class Call:
    """One request: what the client asks for, and what has been tried for it."""

    __slots__ = (
        "_bodies",
        "attempts",
        "body",
        "client_headers",
        "deadline",
        "dialect",
        "headers",
        "include_usage",
        "method",
        "name",
        "path",
        "query",
        "raw",
        "request_id",
        "span",
        "started",
        "stream",
    )

    def __init__(
        self,
        *,
        request_id: str,
        method: str,
        path: str,
        query: bytes,
        dialect: str,
        raw: bytes,
        body: dict[str, Any] | None,
        client_headers: Mapping[bytes, bytes],
        headers: list[Header],
        started: float,
    ) -> None:
        self.request_id = request_id
        self.method = method.encode("ascii")
        self.path = path
        self.query = query
        self.dialect = dialect
        self.raw = raw
        self.body = body
        self.client_headers = client_headers
        self.headers = [header for header in headers if header[0] != b"x-request-id"]
        """Those that go on."""
        self.headers.append((b"x-request-id", _id_upstream(request_id).encode("latin-1")))
        self.span: RequestSpan = NoTelemetry.off
        self.started = started
        self.deadline = float("inf")
        self.stream = bool(body and body.get("stream") is True)
        self.attempts = 0
        self.name = ""
        """The name by which the client knows what answers."""
        options = body.get("stream_options") if body else None
        self.include_usage = isinstance(options, dict) and options.get("include_usage") is True
        self._bodies: dict[tuple[int, str], dict[str, Any]] = {}

    def begin(self, telemetry: Telemetry, model: str, operation: str) -> None:
        """Its trace begins, where there are any."""
        parent, state = self.client_headers.get(b"traceparent"), self.client_headers.get(b"tracestate")
        self.span = telemetry.start(self.request_id, parent, operation, model, self.dialect, self.stream, state)

    @property
    def traced(self) -> bool:
        """Whether anything is noted of it in a trace."""
        return self.span is not NoTelemetry.off

    @property
    def hides_usage(self) -> bool:
        """Whether the upstream is asked for the usage of a stream although the client has not asked for it."""
        return self.stream and self.dialect in {"openai.chat", "openai.completions"} and not self.include_usage

    def upstream_dialect(self, candidate: Candidate) -> str:
        """The dialect in which `candidate` is asked. What is never translated stays in its own."""
        return candidate.dialect if self.dialect in _TRANSLATED else self.dialect

    def body_for(self, candidate: Candidate, served_name: str) -> dict[str, Any]:
        """The body in the dialect of `candidate`, with its prompt, for the model that the upstream calls `served_name`.

        Raises InvalidInput for what that cannot say.
        """
        found = self._bodies.get((id(candidate), served_name))
        if found is not None:
            return found
        # What can be said depends on the model that hears it.
        body = {**(self.body or {}), "model": served_name}
        if candidate.dialect == "anthropic.messages" and self.dialect in _ONLY_OPENAI:
            message = f"{candidate.model} is served in Anthropic's dialect, which has no {self.path}"
            raise InvalidInput.of(("path", self.path), "untranslatable", message)
        prompt, said = candidate.prompt, body
        if prompt is not None:
            body = prompt.introduce(body, self.dialect)
        upstream = self.upstream_dialect(candidate)
        if upstream != self.dialect:
            # Imported here: a gateway that translates nothing starts without it.
            from steelyard.gateway.dialects import translate_request  # noqa: PLC0415

            body = translate_request(body, self.dialect, upstream)
        if prompt is not None:
            body = prompt.tune(body, said, upstream)
        if self.stream and upstream in {"openai.chat", "openai.completions"}:
            options = body.get("stream_options")
            if not (isinstance(options, dict) and options.get("include_usage")):
                body = {**body, "stream_options": {**(options or {}), "include_usage": True}}
        self._bodies[id(candidate), served_name] = body
        return body


def request_for(call: Call, candidate: Candidate, target: Target, trace: tuple[Header, ...]) -> tuple[bytes, bytes]:
    """Head and body of the request to one target. Raises InvalidInput for what cannot be said in its dialect."""
    if call.body is None:
        return raw_request_for(call, target, trace)
    upstream = call.upstream_dialect(candidate)
    body: Mapping[str, Any] = call.body_for(candidate, target.served_name)
    if target.default_body:
        body = {**target.default_body, **body}
    if target.required_body:
        body = {**body, **target.required_body}
    data = orjson.dumps({**body, "model": target.served_name})
    path = PATHS[upstream] if upstream != call.dialect and upstream in _DIALECTS else call.path
    if call.dialect == OTHER:
        return _head(call, target, path, upstream, None, len(data), trace), data
    accept = b"text/event-stream" if call.stream else b"application/json"
    return _head(call, target, path, upstream, accept, len(data), trace), data


def raw_request_for(call: Call, target: Target, trace: tuple[Header, ...]) -> tuple[bytes, bytes]:
    """The request to a provider as the client has made it, but for the body that the provider's record adds to it."""
    data = call.raw
    if call.body is not None and (target.default_body or target.required_body):
        data = orjson.dumps({**(target.default_body or {}), **call.body, **(target.required_body or {})})
    return _head(call, target, call.path, None, None, len(data), trace), data


def _head(
    call: Call,
    target: Target,
    path: str,
    dialect: str | None,
    accept: bytes | None,
    length: int,
    trace: tuple[Header, ...],
) -> bytes:
    key = b"%b %b %b" % (call.method, path.encode("ascii"), accept or b"")
    begin = target.heads.get(key)
    if begin is None:
        line = b"%b %b" % (call.method, target.base.join(path))
        begin = line, b" HTTP/1.1\r\nhost: %b\r\n" % target.base.host
        if target.plain:
            begin = line, begin[1] + lines((*_own(accept).items(), *target.key))
        if len(target.heads) < _KEPT_HEADS:
            target.heads[key] = begin
    headers = call.headers
    if dialect == "anthropic.messages" and not _says_version(headers, target):
        headers = [*headers, _ANTHROPIC_VERSION]
    if trace:
        names = {name for name, _ in trace}
        headers = [*(one for one in headers if one[0] not in names), *trace]
    if not target.plain:
        # Each name once, whoever says it: the key's last, for nothing may stand in its place.
        own = _own(accept)
        merged = own | dict(target.default_headers)
        merged |= {name: own[name] for name in _OF_THE_BODY & own.keys()}
        merged |= dict(headers) | dict(target.required_headers) | dict(target.key)
        headers = list(merged.items())
    query = target.base.query
    if call.query:
        query = b"%b&%b" % (query, call.query) if query else call.query
    if query:
        query = b"?" + query
    return b"%b%b%b%bcontent-length: %d\r\n\r\n" % (begin[0], query, begin[1], lines(headers), length)


def _says_version(headers: list[Header], target: Target) -> bool:
    name = _ANTHROPIC_VERSION[0]
    return name in target.given or any(header[0] == name for header in headers)


def _own(accept: bytes | None) -> dict[bytes, bytes]:
    """What the gateway says by itself, where it has made the body (which it then has in JSON), or has not."""
    own = {b"user-agent": _AGENT, b"accept-encoding": b"identity"}
    if accept is not None:
        own |= {b"content-type": b"application/json", b"accept": accept}
    return own
