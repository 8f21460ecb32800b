"""What is kept of deliveries to webhooks, beside the records, and the rules by which they are tried again."""

from datetime import datetime
from typing import Any, Literal, NamedTuple

from steelyard.records.kinds import Fields


class WebhookState(NamedTuple):
    """How far a webhook has come. It is no part of the record: a delivery is no change of it."""

    webhook_id: str
    cursor: int
    """The number of the last change that is delivered, or that it does not want."""
    failures: int = 0
    """How many attempts in a row have failed."""
    failing_since: str | None = None
    next_attempt_at: str | None = None
    last_attempt_at: str | None = None
    last_success_at: str | None = None
    last_status: int | None = None
    last_error: str | None = None
    disabled_reason: str | None = None

    def afresh(self) -> "WebhookState":
        """The same without its failures: after a change that may have mended what was wrong."""
        return self._replace(failures=0, failing_since=None, next_attempt_at=None, disabled_reason=None)


Trigger = Literal["feed", "redelivery", "ping"]
Outcome = Literal["waiting", "retrying", "delivered", "failed"]


class Delivery(NamedTuple):
    """One message to one receiver, however often it had to be tried. `number` orders them; 0 before it is stored."""

    number: int
    webhook_id: str
    message_id: str
    event: str
    seq: int | None
    """The number of the change; None for a ping."""
    trigger: Trigger
    outcome: Outcome
    attempts: int
    created_at: str
    status: int | None = None
    error: str | None = None
    last_attempt_at: str | None = None
    next_attempt_at: str | None = None


class Follower(NamedTuple):
    """A webhook as the deliveries see it."""

    workspace: str
    name: str
    id: str
    revision: int
    fields: Fields
    state: WebhookState | None


class DeliveryRules(NamedTuple):
    """How deliveries are tried, in seconds and numbers. See the settings `webhooks`."""

    timeout: float = 15
    concurrency: int = 16
    backoff: float = 5
    backoff_max: float = 3600
    disable_after_failures: int = 20
    disable_after: float = 24 * 3600
    rotation: float = 24 * 3600
    kept: int = 1000

    def wait(self, failures: int, draw: float, asked: float | None = None) -> float:
        """How long to wait after so many failures in a row: twice as long each time, up to the most, less up to half of
        it by `draw` (0 to 1), so that receivers that failed together are not tried together; at least what the receiver
        has `asked` for (`Retry-After`), up to the most.
        """
        longest = min(self.backoff * 2.0 ** min(failures - 1, 30), self.backoff_max)
        return max(longest * (1 - draw / 2), min(asked or 0, self.backoff_max))

    def is_over(self, failures: int, failing_seconds: float) -> bool:
        """Whether a webhook with so many failures in a row, over so long, is to be disabled."""
        return failures >= self.disable_after_failures and failing_seconds >= self.disable_after


def seconds_between(earlier: str, later: str) -> float:
    """The time from one timestamp of a record to another."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def unix_seconds(at: str) -> int:
    """A timestamp of a record as whole seconds since 1970."""
    return int(datetime.fromisoformat(at).timestamp())


def delivery_document(delivery: Delivery) -> dict[str, Any]:
    """A delivery as it is answered."""
    return {
        "message_id": delivery.message_id,
        "event": delivery.event,
        "cursor": None if delivery.seq is None else str(delivery.seq),
        "trigger": delivery.trigger,
        "outcome": delivery.outcome,
        "attempts": delivery.attempts,
        "status": delivery.status,
        "error": delivery.error,
        "created_at": delivery.created_at,
        "last_attempt_at": delivery.last_attempt_at,
        "next_attempt_at": delivery.next_attempt_at,
    }


def state_document(enabled: bool, state: WebhookState, last_event: int) -> dict[str, Any]:
    """How a webhook fares, as it is answered. `behind` counts the changes of the whole server since its cursor."""
    health = "disabled" if not enabled else "failing" if state.failures else "ok"
    return {
        "health": health,
        "cursor": str(state.cursor),
        "behind": max(last_event - state.cursor, 0),
        "consecutive_failures": state.failures,
        "failing_since": state.failing_since,
        "next_attempt_at": state.next_attempt_at,
        "last_attempt_at": state.last_attempt_at,
        "last_success_at": state.last_success_at,
        "last_status": state.last_status,
        "last_error": state.last_error,
        "disabled_reason": None if enabled else state.disabled_reason,
    }
