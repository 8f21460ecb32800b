"""One attempt to deliver: what is sent, how it is signed, what the answer means, and what is kept of it."""

import logging
from dataclasses import dataclass

import orjson

from steelyard.actions import writes
from steelyard.actions.context import Caller, Context
from steelyard.actions.feed import EventFilter, event_document
from steelyard.actions.webhooks import find_event, message_id
from steelyard.errors import OutboundFailed, OutboundRefused, UnreadableSecret
from steelyard.outbound.transport import OutboundRequest, Timeouts, Transport
from steelyard.records.deliveries import (
    Delivery,
    DeliveryRules,
    WebhookState,
    seconds_between,
    unix_seconds,
)
from steelyard.records.history import Revision
from steelyard.records.kinds import Document, Row
from steelyard.records.signatures import signed_headers
from steelyard.records.webhooks import WEBHOOK
from steelyard.store.protocol import ReadTransaction, WriteTransaction

_log = logging.getLogger("steelyard.webhooks")

_SECRET = WEBHOOK.secrets[0]
_HEADERS = (("content-type", "application/json"), ("user-agent", "Steelyard-Webhooks/1"))
_GONE = 410
# How many changes of a webhook are looked through for secrets that it had a while ago.
_LOOKED_AT = 50


@dataclass(frozen=True, slots=True)
class Message:
    """What one delivery sends. `tokens` are the sealed secrets that sign it."""

    row: Row
    id: str
    event: str
    url: str
    body: bytes
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of sending; `error` is None where it was delivered. `asked` is the wait that the receiver wants."""

    status: int | None
    error: str | None
    asked: float | None = None

    @property
    def gone(self) -> bool:
        """Whether the receiver wants no more of this, ever."""
        return self.status == _GONE


def wants(workspace: str, kinds: list[str], revision: Revision) -> bool:
    """Whether a webhook of that workspace, for those kinds, is to be told of a change."""
    return EventFilter(workspace, kinds).wants(revision)


async def message_of_event(
    tx: ReadTransaction, context: Context, rules: DeliveryRules, row: Row, seq: int
) -> Message | None:
    """The message about a change; None if it has been purged."""
    revision = await find_event(tx, seq)
    if revision is None:
        return None
    document = await event_document(tx, revision, within=row.workspace)
    tokens = await _tokens(tx, context, rules, row)
    return _message(row, message_id(row.id, seq), document["event"], revision.at, document, tokens)


async def message_of_ping(
    tx: ReadTransaction, context: Context, rules: DeliveryRules, row: Row, ping: Delivery
) -> Message:
    """The test message."""
    data: Document = {"workspace": row.workspace, "webhook": row.name}
    tokens = await _tokens(tx, context, rules, row)
    return _message(row, ping.message_id, ping.event, ping.created_at, data, tokens)


def _message(row: Row, id: str, event: str, at: str, data: Document, tokens: tuple[str, ...]) -> Message:
    body = orjson.dumps({"type": event, "timestamp": at, "data": data})
    return Message(row, id, event, row.fields["url"], body, tokens)


async def _tokens(tx: ReadTransaction, context: Context, rules: DeliveryRules, row: Row) -> tuple[str, ...]:
    """The sealed secret, and those that it replaced a short while ago: a receiver may still know the old one only."""
    tokens = [row.fields["signing"]["secret"]]
    since = context.ago(rules.rotation)
    replaced_at = row.updated_at
    for revision in await tx.revisions(row.id, row.revision, _LOOKED_AT):
        if replaced_at < since or revision.fields is None:
            break
        token = (revision.fields["signing"] or {}).get("secret")
        if token and token not in tokens:
            tokens.append(token)
        replaced_at = revision.at
    return tuple(tokens)


async def send(transport: Transport, context: Context, rules: DeliveryRules, message: Message) -> Attempt:
    """Sends a message once. What goes wrong is in the answer, in words without secrets and without what came back."""
    try:
        secrets = [context.vault.open(token, f"{message.row.id}:{_SECRET}") for token in message.tokens]
    except UnreadableSecret:
        return Attempt(None, "the signing secret cannot be opened: another master key?")
    headers = signed_headers(message.id, unix_seconds(context.now()), message.body, secrets)
    timeouts = Timeouts(connect=rules.timeout, read=rules.timeout, total=rules.timeout)
    request = OutboundRequest("POST", message.url, (*_HEADERS, *headers), message.body, timeouts)
    try:
        async with transport.open(request) as answer:
            status = answer.status
            asked = _retry_after(dict(answer.headers).get("retry-after"))
    except (OutboundRefused, OutboundFailed) as error:
        return Attempt(None, error.message)
    if 200 <= status < 300:
        return Attempt(status, None)
    note = " (redirects are not followed)" if 300 <= status < 400 else ""
    return Attempt(status, f"the receiver answered {status}{note}", asked)


def _retry_after(value: str | None) -> float | None:
    return float(value) if value and value.isascii() and value.isdigit() and len(value) < 8 else None


async def settle(
    tx: WriteTransaction,
    context: Context,
    rules: DeliveryRules,
    message: Message,
    attempt: Attempt,
    *,
    seq: int,
    draw: float,
) -> WebhookState | None:
    """Keeps what came of an attempt that the feed asked for; after too many failures the webhook is disabled.

    None if the webhook is gone.
    """
    row = await tx.find(WEBHOOK.name, message.row.workspace, message.row.name)
    if row is None or row.id != message.row.id:
        return None
    now = context.now()
    state = await tx.webhook_state(row.id) or WebhookState(row.id, seq - 1)
    delivery = await tx.find_delivery(row.id, seq)
    if delivery is None:
        delivery = Delivery(0, row.id, message.id, message.event, seq, "feed", "retrying", 0, now)
    delivery = _tried(delivery, attempt, now)
    state = state._replace(last_attempt_at=now, last_status=attempt.status, last_error=attempt.error)
    if attempt.error is None:
        state = state.afresh()._replace(cursor=max(state.cursor, seq), last_success_at=now)
        delivery = delivery._replace(outcome="delivered")
    else:
        since, failures = state.failing_since or now, state.failures + 1
        state = state._replace(failures=failures, failing_since=since)
        if attempt.gone or rules.is_over(failures, seconds_between(since, now)):
            state = await _disable(tx, context, row, state, attempt)
            delivery = delivery._replace(outcome="failed")
        else:
            state = state._replace(next_attempt_at=context.ago(-rules.wait(failures, draw, attempt.asked)))
            delivery = delivery._replace(outcome="retrying", next_attempt_at=state.next_attempt_at)
    await tx.put_webhook_state(state)
    await tx.put_delivery(delivery)
    return state


async def settle_by_hand(
    tx: WriteTransaction, context: Context, message: Message, attempt: Attempt, delivery: Delivery
) -> None:
    """Keeps what came of a delivery that was asked for by hand: it is tried once, and no failure of the webhook's."""
    row = await tx.find(WEBHOOK.name, message.row.workspace, message.row.name)
    if row is None or row.id != message.row.id:
        return
    delivered = attempt.error is None
    await tx.put_delivery(
        _tried(delivery, attempt, context.now())._replace(outcome="delivered" if delivered else "failed")
    )
    state = await tx.webhook_state(row.id)
    if state is not None and delivered and state.next_attempt_at:
        # The receiver is there again: what waits for it need not wait longer.
        await tx.put_webhook_state(state._replace(next_attempt_at=None))
    elif attempt.gone and row.fields["enabled"]:
        last = state or WebhookState(row.id, await tx.webhook_start(row.id) or await tx.last_event())
        await tx.put_webhook_state(await _disable(tx, context, row, last, attempt))


def _tried(delivery: Delivery, attempt: Attempt, now: str) -> Delivery:
    return delivery._replace(
        attempts=delivery.attempts + 1,
        status=attempt.status,
        error=attempt.error,
        last_attempt_at=now,
        next_attempt_at=None,
    )


async def _disable(
    tx: WriteTransaction, context: Context, row: Row, state: WebhookState, attempt: Attempt
) -> WebhookState:
    if attempt.gone:
        reason = "the receiver answered 410 Gone"
    else:
        reason = f"{state.failures} attempts in a row failed since {state.failing_since}; the last: {attempt.error}"
    if row.fields["enabled"]:
        caller = Caller(name="steelyard", reason=f"disabled: {reason}")
        disabled = {**row.fields, "enabled": False}
        await writes.change_fields(tx, context, caller, WEBHOOK, row, disabled, stored_form=True)
        _log.warning("webhook %s/%s is disabled: %s", row.workspace, row.name, reason)
    return state._replace(next_attempt_at=None, disabled_reason=reason)
