"""What every action is given: the store, the vault, the policy, the clock, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from steelyard.auth.vault import Sealer
from steelyard.outbound.policy import OutboundPolicy
from steelyard.records.history import Note, Verb
from steelyard.records.policy import Policy
from steelyard.store.protocol import Store


class Caller(NamedTuple):
    """Who is asking, and why. `name` is None where nobody had to say (a server without authentication)."""

    name: str | None = None
    request_id: str = ""
    reason: str | None = None

    def note(self, action: Verb, at: str, cause: str | None = None) -> Note:
        """The note that a change by this caller leaves in the history."""
        return Note(action, at, self.name, self.request_id, self.reason, cause)


@dataclass(frozen=True, slots=True)
class Context:
    """The outside world of the actions; one value, made when the server starts."""

    store: Store
    vault: Sealer
    policy: Policy
    now: Callable[[], str]
    """The present time, as records write it."""
    ago: Callable[[float], str]
    """The time that many seconds ago, as records write it."""
    new_id: Callable[[str], str]
    """A new id with the given prefix."""
    outbound: OutboundPolicy = OutboundPolicy()  # noqa: RUF009 - frozen
    """Where the server may send requests."""
