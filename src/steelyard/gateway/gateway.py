"""The gateway as a whole: answers requests for inference, from the name that they call to the usage that they leave."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from starlette.types import Send

from steelyard.actions.context import forbidden
from steelyard.actions.serving import missing_elsewhere
from steelyard.errors import Forbidden, NotServed, SteelyardError
from steelyard.gateway.answering import error_answer, send_error
from steelyard.gateway.attempts import AttemptFailed, Attempts, Opened
from steelyard.gateway.cache import CachedAnswer, ResponseCache, key_of
from steelyard.gateway.calls import Call
from steelyard.gateway.cost import cost_of, estimate
from steelyard.gateway.headers import HeaderLists
from steelyard.gateway.ledger import Ledger
from steelyard.gateway.limiter import Limiter, Reservation
from steelyard.gateway.meter import Usage
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.paths import OTHER
from steelyard.gateway.places import Places
from steelyard.gateway.pool import Pool
from steelyard.gateway.recording import Recordings
from steelyard.gateway.sending import Tape, send_raw, send_stream, send_whole
from steelyard.gateway.table import Candidate, Route, Table
from steelyard.gateway.telemetry import Telemetry
from steelyard.gateway.trials import Trials, moves_on
from steelyard.records.access import Access
from steelyard.records.usage import UsageRow

_EXEC = "inference.gateway.model.exec"
_LEFT = 499
"""What is written down of a request whose client has left."""
_CACHED = frozenset(
    {"openai.chat", "openai.completions", "openai.embeddings", "openai.responses", "anthropic.messages"}
)


class Asker(NamedTuple):
    """Who asks: the id of a key, the name of its owner, and what they may; a server without authentication knows none
    of these, and lets everybody.
    """

    key: str | None = None
    name: str | None = None
    access: Access | None = None

    def require(self, permission: str, workspace: str) -> None:
        """Raises Forbidden if they do not have a permission; it does not tell whether there is such a workspace."""
        if self.access is not None and not self.access.may(permission, workspace):
            raise forbidden(permission, workspace)

    def require_model(self, name: str) -> None:
        """Raises Forbidden if their key is not for that name."""
        if self.access is not None and not self.access.may_call(name):
            raise Forbidden(f"this key is not for the model {name!r}")

    def require_unbound(self) -> None:
        """Raises Forbidden if their key is for some models only: a provider can be asked for any."""
        if self.access is not None and self.access.models is not None:
            raise Forbidden("this key is for some models only, and asks no provider directly")

    def require_reach(self, workspaces: Iterable[str], name: str) -> None:
        """Raises NotFound if what a name stands for is in a workspace in which they may not ask: as if it were not
        there.
        """
        if self.access is not None and not all(self.access.may(_EXEC, one) for one in workspaces):
            raise missing_elsewhere(name)


@dataclass(slots=True)
class Parts:
    """What a gateway is made of."""

    table: Table
    places: Places
    pool: Pool
    lists: HeaderLists
    attempts: Attempts
    trials: Trials
    limiter: Limiter
    ledger: Ledger
    cache: ResponseCache
    metrics: GatewayMetrics
    telemetry: Telemetry
    recordings: Recordings
    now: Callable[[], str]
    """The present time as records write it."""


class Told(NamedTuple):
    """What is written down of a request."""

    status: int
    code: str | None = None
    usage: Usage | None = None
    provider: str | None = None
    first_token: float | None = None
    cache: str | None = None
    reasons: Sequence[str] = ()

    @classmethod
    def left(cls, usage: Usage | None = None, provider: str | None = None, first: float | None = None) -> "Told":
        """The client has left; what had been used until then is known where the upstream had told it."""
        return cls(_LEFT, "client_left", usage, provider, first)


class Gateway:
    """Answers calls. Used from one event loop."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._loop = asyncio.get_running_loop()

    async def answer(self, call: Call, route: Route, asker: Asker, send: Send) -> None:
        """Answers one request whose name means `route`; whatever goes wrong, the client is told in its dialect."""
        parts = self.parts
        call.name = route.name
        candidates = route.choose(_sticky(call, route))
        candidate = candidates[0]
        reservation: Reservation | None = None
        told: Told | None = None
        opened: Opened | None = None
        tape = Tape(route.recorder.tape_bytes) if route.recorder is not None else None
        try:
            failure: SteelyardError | AttemptFailed | None = None
            for chosen in candidates:
                candidate = chosen
                try:
                    candidate = _for(asker, route, chosen)
                    if route.rules:
                        reservation = self._reserve(call, route, candidate, asker, reservation)
                    found = self._cached(call, route, candidate, asker)
                    if found is not None:
                        told = Told(200, usage=found.usage, provider=found.provider, cache="hit")
                        await send_whole(send, 200, [*found.headers, (b"x-steelyard-cache", b"hit")], found.body)
                        return
                    opened = await parts.trials.open(call, candidate)
                    break
                except (AttemptFailed, SteelyardError) as failed:
                    # What the first model said is what the client is told, unless it was only not served at all.
                    failure = failed if failure is None or isinstance(failure, NotServed) else failure
                    if not moves_on(failed):
                        failure = failed
                        break
            if opened is None:
                assert failure is not None  # noqa: S101 - there is at least one candidate
                told = await self._refuse(call, failure, send)
                return
            told = await self._deliver(call, route, candidate, opened, asker, reservation, send, tape)
        finally:
            if opened is not None and told is None:
                parts.attempts.closed(opened, "cancelled")
            if told is None and opened is not None:
                usage = opened.stream.usage if opened.stream is not None else opened.usage
                told = Told.left(usage, opened.target.provider, opened.first_token)
            dialect = None if told and told.cache else call.upstream_dialect(candidate)
            self.settle(
                *(call, route.workspace, candidate.model, dialect, candidate.pricing),
                *(asker, reservation, told or Told.left()),
                route.name,
            )
            if tape is not None and route.recorder is not None and told is not None:
                parts.recordings.add(
                    route.recorder, call.request_id, route.workspace, candidate.model, call.raw, tape.data
                )

    async def _deliver(
        self,
        call: Call,
        route: Route,
        candidate: Candidate,
        opened: Opened,
        asker: Asker,
        reservation: Reservation | None,
        send: Send,
        tape: Tape | None,
    ) -> Told:
        headers = [*opened.headers, (b"x-steelyard-provider", opened.target.provider.encode("latin-1", "replace"))]
        if reservation is not None and route.rules:
            own = reservation.headers
            headers = [header for header in headers if not header[0].startswith(b"x-ratelimit-")]
            headers += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in own.items()]
        provider = opened.target.provider
        if call.dialect == OTHER:
            headers.append((b"x-steelyard-model", candidate.model.encode("latin-1", "replace")))
            sent = await send_raw(send, call, opened, headers, tape)
        elif opened.stream is None:
            await send_whole(send, opened.status, headers, opened.body)
            if tape is not None:
                tape.add(opened.body)
            self.parts.attempts.closed(opened)
            if candidate.cache_seconds and call.dialect in _CACHED:
                self._keep(call, route, candidate, asker, opened)
            return Told(opened.status, usage=opened.usage, provider=provider, reasons=opened.reasons)
        else:
            sent = await send_stream(send, call, opened, headers, tape)
        self.parts.attempts.closed(opened, sent.outcome)
        usage = opened.stream.usage if opened.stream is not None else None
        if sent.error is not None:
            opened.target.place.failed(self._loop.time())
            return Told(sent.error.status, sent.error.code, usage, provider, opened.first_token)
        reasons = opened.stream.reasons if opened.stream is not None else ()
        return Told(opened.status, None, usage, provider, opened.first_token, reasons=reasons)

    async def _refuse(self, call: Call, failure: SteelyardError | AttemptFailed, send: Send) -> Told:
        said = error_answer(failure, call.dialect)
        await send_error(send, said)
        return Told(said.status, said.code)

    def _reserve(
        self, call: Call, route: Route, candidate: Candidate, asker: Asker, before: Reservation | None
    ) -> Reservation | None:
        if not route.rules:
            return None
        expected = estimate(call.body or {}, len(call.raw), output=call.dialect != "openai.embeddings")
        pricing = candidate.pricing
        return self.parts.limiter.reserve(
            route.rules,
            workspace=route.workspace,
            model=candidate.model,
            key=asker.key,
            tokens=expected.total,
            cost=cost_of(pricing, expected) or 0.0,
            currency=_currency(pricing),
            after=before,
        )

    def _cached(self, call: Call, route: Route, candidate: Candidate, asker: Asker) -> CachedAnswer | None:
        if not candidate.cache_seconds or call.stream or call.body is None or call.dialect not in _CACHED:
            return None
        return self.parts.cache.get(_cache_key(call, route, candidate, asker))

    def _keep(self, call: Call, route: Route, candidate: Candidate, asker: Asker, opened: Opened) -> None:
        headers = tuple(header for header in opened.headers if header[0].startswith(b"x-steelyard-"))
        usage, provider = opened.usage or Usage(), opened.target.provider
        answer = CachedAnswer(opened.body, headers, usage, candidate.model, provider)
        self.parts.cache.put(_cache_key(call, route, candidate, asker), answer, candidate.cache_seconds)

    def _paid(
        self,
        call: Call,
        workspace: str,
        model: str,
        pricing: Mapping[str, Any] | None,
        asker: Asker,
        held: Reservation | None,
        told: Told,
    ) -> float | None:
        """What a request has cost, which the limits are told. One that failed has used nothing, unless somebody says
        so; of one that a client has left, what was held counts: it would else be a way to pay nothing.
        """
        usage = told.usage
        cost = 0.0 if told.cache else None if usage is None else cost_of(pricing, usage)
        if held is None:
            limiter, currency = self.parts.limiter, _currency(pricing)
            limiter.spent(workspace=workspace, model=model, key=asker.key, cost=cost or 0.0, currency=currency)
            return cost
        failed = call.attempts == 0 or (told.status >= 400 and told.status != _LEFT)
        if usage is None and not told.cache and failed:
            held.release()
            return None
        if cost is None and held.cost:
            cost = held.cost
        held.settle(0 if told.cache else None if usage is None else usage.total, cost)
        return cost

    def settle(
        self,
        call: Call,
        workspace: str,
        model: str,
        upstream_dialect: str | None,
        pricing: Mapping[str, Any] | None,
        asker: Asker,
        held: Reservation | None,
        told: Told,
        route: str = "",
    ) -> None:
        """The limits get what was used, and the usage is written down."""
        usage = told.usage
        cost = self._paid(call, workspace, model, pricing, asker, held, told)
        parts, now = self.parts, self._loop.time()
        seconds = now - call.started
        first = told.first_token - call.started if told.first_token is not None else None
        usage = usage or Usage()
        parts.metrics.request(workspace, model, call.dialect, told.status, seconds, first, usage)
        call.span.end(told.status, told.usage, told.reasons, told.code, model, first)
        parts.ledger.add(
            UsageRow(
                parts.now(),
                call.request_id,
                workspace,
                model,
                route or model,
                told.provider,
                call.dialect,
                upstream_dialect,
                call.stream,
                told.status,
                told.code,
                *usage,
                cost,
                _currency(pricing),
                round(seconds * 1000, 3),
                None if first is None else round(first * 1000, 3),
                call.attempts,
                told.cache,
                asker.key,
                asker.name,
            )
        )


def _for(asker: Asker, route: Route, candidate: Candidate) -> Candidate:
    """The candidate, as far as the asker may use who serves it: a record that names a provider of another workspace
    does not lend them its keys. Where nobody is left, nobody serves it.
    """
    access = asker.access
    if access is None or not candidate.elsewhere(route.workspace):
        return candidate
    return candidate.only(lambda workspace: workspace == route.workspace or access.may(_EXEC, workspace))


def _sticky(call: Call, route: Route) -> str | None:
    """What requests that belong together have in common, if the route asks for it."""
    by = route.sticky_by
    if by is None:
        return None
    if by:
        found = call.client_headers.get(by)
        return None if found is None else found.decode("latin-1")
    body = call.body or {}
    metadata = body.get("metadata")
    user = body.get("user") or (metadata.get("user_id") if isinstance(metadata, dict) else None)
    return user if isinstance(user, str) else None


def _cache_key(call: Call, route: Route, candidate: Candidate, asker: Asker) -> bytes:
    tag = f"{route.serial} {candidate.tag}"
    return key_of(route.workspace, asker.key, route.name, tag, call.dialect, call.body or {})


def _currency(pricing: Mapping[str, Any] | None) -> str:
    return (pricing or {}).get("currency") or "USD"
