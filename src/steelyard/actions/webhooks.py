"""Webhooks: their writes, what is asked for by hand, and how they fare. The sending itself is in `deliveries.py`."""

import secrets
from dataclasses import dataclass, replace
from typing import Any

from steelyard.actions import writes
from steelyard.actions.addresses import require_allowed
from steelyard.actions.audit import note_in
from steelyard.actions.context import Caller, Context
from steelyard.actions.feed import EventFilter
from steelyard.actions.records import missing, shown
from steelyard.actions.writes import Write, Written
from steelyard.errors import Fault, InvalidInput, NotFound
from steelyard.records.conditions import Conditions
from steelyard.records.deliveries import Delivery, Trigger, WebhookState, delivery_document, state_document
from steelyard.records.dialects import MASK
from steelyard.records.history import Revision
from steelyard.records.kinds import Document, Fields, Row
from steelyard.records.patch import Said
from steelyard.records.permissions import KIND_PERMISSIONS
from steelyard.records.registry import KINDS
from steelyard.records.signatures import SECRET_BYTES, write_secret
from steelyard.records.webhooks import WEBHOOK
from steelyard.store.protocol import ReadTransaction, WriteTransaction

PING = "webhook.ping"
_ENDPOINT = ("url", "enabled", "signing")


@dataclass(frozen=True, slots=True)
class Deliveries:
    """A page of deliveries, newest first; `following` is the number that the next page starts with."""

    documents: list[Document]
    total: int
    following: int | None


def create_webhook(context: Context, caller: Caller, workspace: str, body: Any, conditions: Conditions) -> Write:
    """A new webhook; a secret that the server has to make is shown in the answer, and nowhere else.

    Raises InvalidInput; performed, AlreadyExists, PreconditionFailed, and InvalidInput for an address that is refused.
    """
    made, signing = None, body.get("signing") if isinstance(body, dict) else MASK
    if signing is None or (isinstance(signing, dict) and signing.get("secret") is None):
        made = write_secret(secrets.token_bytes(SECRET_BYTES))
        body = {**body, "signing": {**(signing or {}), "secret": made}}
    write = writes.create(context, caller, WEBHOOK, workspace, body, conditions, webhook_rules)

    async def run(tx: WriteTransaction) -> Written:
        written = await write.run(tx)
        return replace(written, once=_once(made)) if made else written

    return write._replace(run=run)


def _once(secret: str) -> Document:
    return {"signing": {"secret": secret, "secret_set": True}}


def update_webhook(
    context: Context, caller: Caller, workspace: str, name: str, said: Said, conditions: Conditions
) -> Write:
    """Changes a webhook. Raises InvalidInput; performed, InvalidInput, NotFound, PreconditionFailed."""
    return writes.update(context, caller, WEBHOOK, workspace, name, said, conditions, webhook_rules)


def delete_webhook(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Removes a webhook. Performed, it raises NotFound, PreconditionFailed, StillReferenced."""
    return writes.delete(context, caller, WEBHOOK, workspace, name, conditions)


def rotate_secret(context: Context, caller: Caller, workspace: str, name: str, conditions: Conditions) -> Write:
    """Gives a webhook a new secret, which is shown in the answer. Performed, it raises NotFound, PreconditionFailed."""
    made = write_secret(secrets.token_bytes(SECRET_BYTES))

    async def run(tx: WriteTransaction) -> Written:
        before = await tx.find(WEBHOOK.name, workspace, name)
        await writes.check_conditions(tx, WEBHOOK, before, conditions)
        if before is None:
            raise missing(WEBHOOK, workspace, name)
        fields = {**before.fields, "signing": {"secret": made}}
        row = await writes.change_fields(tx, context, caller, WEBHOOK, before, fields, webhook_rules)
        return Written(WEBHOOK, before, row, await shown(tx, WEBHOOK, row, verbose=False), once=_once(made))

    return Write(WEBHOOK, "update", run)


async def webhook_rules(tx: WriteTransaction, context: Context, caller: Caller, row: Row, fields: Fields) -> None:
    """What a webhook keeps to beyond its form: an address that policy allows, kinds that there are, and a secret.

    A change of where or whether deliveries go takes their failures back: they are tried again at once.
    """
    old = row.fields
    if fields["url"] != old.get("url"):
        require_allowed(context, fields["url"], ("body", "url"))
    if fields["kinds"] != old.get("kinds"):
        fields["kinds"] = list(dict.fromkeys(fields["kinds"]))
        _check_kinds(fields["kinds"])
    if any(fields[field] != old.get(field) for field in ("url", "kinds", "enabled")):
        for kind in fields["kinds"] or KINDS:  # nobody has themselves told what they may not read
            caller.require(f"{KIND_PERMISSIONS[kind]}.read", row.workspace)
    signing = fields["signing"] or {}
    if not (signing.get("secret") or signing.get("secret_set")):
        message = "a webhook always has a secret: leave it out to keep it, or send another one"
        raise InvalidInput.of(("body", "signing", "secret"), "required", message)
    if old and any(fields[field] != old.get(field) for field in _ENDPOINT):
        state = await tx.webhook_state(row.id)
        if state is not None:
            await tx.put_webhook_state(state.afresh())


def _check_kinds(kinds: list[str]) -> None:
    unknown = [(index, kind) for index, kind in enumerate(kinds) if kind not in KINDS]
    if unknown:
        message = f"not a kind of record; kinds: {', '.join(KINDS)}"
        raise InvalidInput([Fault(("body", "kinds", index), "kind", message) for index, _ in unknown])


async def list_deliveries(context: Context, workspace: str, name: str, *, newest: int | None, limit: int) -> Deliveries:
    """A page of the remembered deliveries of a webhook, from the number `newest` down. Raises NotFound."""

    async def action(tx: ReadTransaction) -> Deliveries:
        row = await _require(tx, workspace, name)
        found = await tx.deliveries(row.id, 2**62 if newest is None else newest, limit + 1)
        documents = [delivery_document(delivery) for delivery in found[:limit]]
        following = found[limit].number if len(found) > limit else None
        return Deliveries(documents, await tx.count_deliveries(row.id), following)

    return await context.store.scan(action)


async def webhook_status(context: Context, workspace: str, name: str) -> Document:
    """How a webhook fares: how far it has come, and what has failed since when. Raises NotFound."""

    async def action(tx: ReadTransaction) -> Document:
        row = await _require(tx, workspace, name)
        last = await tx.last_event()
        state = await tx.webhook_state(row.id)
        if state is None:
            start = await tx.webhook_start(row.id)
            state = WebhookState(row.id, last if start is None else start)
        return state_document(row.fields["enabled"], state, last)

    return await context.store.scan(action)


async def ping(context: Context, caller: Caller, workspace: str, name: str) -> Document:
    """Has a test message sent, once, and answers the delivery that waits for it. Raises NotFound."""

    async def action(tx: WriteTransaction) -> Document:
        row = await _require(tx, workspace, name)
        await note_in(tx, context, caller, PING, "webhook", workspace, name)
        return await _queue(tx, context, row, "ping", context.new_id("ping"), PING, None)

    return await context.store.write(action)


async def redeliver(context: Context, caller: Caller, workspace: str, name: str, cursor: int) -> Document:
    """Has a change of the workspace sent again, once, and answers the delivery that waits for it. Raises NotFound."""

    async def action(tx: WriteTransaction) -> Document:
        row = await _require(tx, workspace, name)
        event = await find_event(tx, cursor)
        if event is None or not EventFilter(workspace).wants(event):
            raise NotFound(f"there is no change {cursor} in the workspace {workspace!r}")
        await note_in(tx, context, caller, "webhook.redeliver", "webhook", workspace, name, str(cursor))
        return await _queue(
            tx, context, row, "redelivery", message_id(row.id, cursor), f"{event.kind}.{event.action}", cursor
        )

    return await context.store.write(action)


async def _queue(
    tx: WriteTransaction, context: Context, row: Row, trigger: Trigger, id: str, event: str, seq: int | None
) -> Document:
    delivery = Delivery(0, row.id, id, event, seq, trigger, "waiting", 0, context.now())
    await tx.put_delivery(delivery)
    return delivery_document(delivery)


async def find_event(tx: ReadTransaction, seq: int) -> Revision | None:
    """The change of that number, unless it has been purged."""
    found = await tx.events(seq - 1, 1)
    return found[0] if found and found[0].seq == seq else None


def message_id(webhook_id: str, seq: int) -> str:
    """The id of the message about a change: the same however often it is sent, so that a receiver can tell."""
    return f"{webhook_id}-{seq}"


async def _require(tx: ReadTransaction, workspace: str, name: str) -> Row:
    row = await tx.find(WEBHOOK.name, workspace, name)
    if row is None:
        raise missing(WEBHOOK, workspace, name)
    return row
