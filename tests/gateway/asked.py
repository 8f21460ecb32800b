"""Requests, models and those who serve them, as the gateway has them in hand, for tests below HTTP."""

from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

import orjson

from steelyard.gateway.calls import Call
from steelyard.gateway.paths import PATHS
from steelyard.gateway.places import BreakerRules, Place, Places, RetryBudget
from steelyard.gateway.table import Candidate, Target
from steelyard.gateway.timing import Patience
from steelyard.outbound.policy import OutboundPolicy
from steelyard.records.serving import Served, ServedBy

LOOPBACK = OutboundPolicy(allowed_networks=(ip_network("127.0.0.0/8"),))
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def call(
    body: dict[str, Any] | None = None,
    dialect: str = "openai.chat",
    headers: Sequence[tuple[bytes, bytes]] = (),
    **fields: Any,
) -> Call:
    """A request, with the headers of its client that may go on."""
    body = CHAT if body is None else body
    given: dict[str, Any] = {
        **{"request_id": "req-1", "method": "POST", "path": PATHS.get(dialect, "v1/other"), "query": b""},
        **{"dialect": dialect, "raw": orjson.dumps(body), "body": body, "client_headers": dict(headers)},
        **{"headers": list(headers), "started": 0.0},
    }
    made = Call(**{**given, **fields})
    made.name = "default/m"
    return made


def target(
    url: str = "http://127.0.0.1:1",
    place: Place | None = None,
    patience: Patience = Patience(),  # noqa: B008 - immutable
    policy: OutboundPolicy = LOOPBACK,
    **fields: Any,
) -> Target:
    """A place where the model is called `tiny`."""
    by = ServedBy(**{"key": "default/p", "url": url, "served_name": "tiny", "provider": "default/p", **fields})
    return Target(by, place or Place(by.key, BreakerRules()), policy, patience)


def candidate(
    *targets: Target, format: str = "OPENAI_CHAT", retries: int = 2, share: float = 0.2, **fields: Any
) -> Candidate:
    """A model that these serve."""
    served = Served(**{"model": "default/m", "tag": '"1"', "format": format, "by": (), **fields})
    return Candidate(served, targets, RetryBudget(share), retries)


def places(rules: BreakerRules = BreakerRules()) -> Places:  # noqa: B008 - immutable
    """Nobody knows anybody."""
    return Places(rules, 0.2)
