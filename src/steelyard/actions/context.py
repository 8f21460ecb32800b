"""What every action is given: the store, the vault, the policy, the clock, and who is asking."""

from collections.abc import Callable
from dataclasses import dataclass

from steelyard.auth.vault import Sealer
from steelyard.records.policy import Policy
from steelyard.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is asking. `name` is None where nobody had to say (a server without authentication)."""

    name: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """The outside world of the actions; one value, made when the server starts."""

    store: Store
    vault: Sealer
    policy: Policy
    now: Callable[[], str]
    """The present time, as records write it."""
    new_id: Callable[[str], str]
    """A new id with the given prefix."""
