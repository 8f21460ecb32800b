"""The routing table: what the records say of each name, made ready once and kept until a record changes.

The store tells of each commit before its writer is answered. What a commit may have changed is dropped then, and read
again when it is asked for: so the request that follows the answer to a write is routed by what was written.
"""

import random
from bisect import bisect
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from hashlib import blake2b
from itertools import accumulate, count
from typing import Any

from steelyard.actions.context import Context
from steelyard.actions.serving import read_provider, read_serving
from steelyard.errors import OutboundRefused, SecretMissing, SteelyardError, UpstreamFailure
from steelyard.gateway.headers import KEY_NAMES, Header, encoded
from steelyard.gateway.limiter import Limiter
from steelyard.gateway.limits import LimitRule, rules_of
from steelyard.gateway.paths import base_of
from steelyard.gateway.places import Place, Places, RetryBudget
from steelyard.gateway.prompt import prompt_of
from steelyard.gateway.recording import Recorder, recorder_for
from steelyard.gateway.timing import Patience
from steelyard.outbound.policy import OutboundPolicy, check_url
from steelyard.records.serving import Served, ServedBy, Serving
from steelyard.store.queries import EVERY, Key

DIALECTS: Mapping[str, str] = {"OPENAI_CHAT": "openai.chat", "ANTHROPIC_MESSAGES": "anthropic.messages"}
"""The dialect of each backend format."""
_MOST = 20_000
# Records of these kinds do not change who serves a model.
_UNRELATED = frozenset({"fileset", "project", "prompt", "webhook", "api-key", "role-binding"})
_MODEL = "model"
_BAD = frozenset({"ERROR", "LOST"})


class Target:
    """One place where a model can be asked, ready to be sent to."""

    __slots__ = (
        "base",
        "default_body",
        "default_headers",
        "fault",
        "given",
        "heads",
        "key",
        "outbound",
        "patience",
        "place",
        "plain",
        "provider",
        "required_body",
        "required_headers",
        "served_name",
        "unwell",
        "url",
        "weight",
        "workspace",
    )

    def __init__(self, by: ServedBy, place: Place, policy: OutboundPolicy, patience: Patience) -> None:
        self.place = place
        self.provider = by.provider or by.key
        self.url = by.url
        self.workspace = by.key.partition("/")[0]
        self.served_name = by.served_name
        self.weight = by.weight
        self.fault: SteelyardError | None = SecretMissing(f"{by.key}: {by.fault}") if by.fault else None
        """Why it cannot be asked."""
        self.unwell = by.status in _BAD
        self.patience = patience.of(by.timeouts)
        self.key: tuple[Header, ...] = ()
        """The header with its key, if it has one."""
        self.default_headers: tuple[Header, ...] = ()
        self.required_headers: tuple[Header, ...] = ()
        self.default_body, self.required_body = by.default_body, by.required_body
        self.heads: dict[bytes, tuple[bytes, bytes]] = {}
        """The beginnings of requests by their targets, for those that begin as all do."""
        try:
            self.outbound = check_url(policy, by.url)
            self.base = base_of(by.url)
            self.key = (encoded(*by.auth),) if by.auth else ()
            self.default_headers = tuple(encoded(*one) for one in (by.default_headers or {}).items())
            self.required_headers = tuple(encoded(*one) for one in (by.required_headers or {}).items())
        except OutboundRefused as error:
            self.fault = UpstreamFailure(f"{by.key}: {error.message}")
        except ValueError:
            # Not the library's words: they hold what is secret.
            self.fault = UpstreamFailure(f"{by.key}: a header of it, or its key, holds what no header can hold")
        self.given = frozenset(name for name, _ in (*self.default_headers, *self.required_headers))
        """The names of the headers that its record sets."""
        self.plain = not self.given and all(name in KEY_NAMES for name, _ in self.key)
        """Whether no header of a client can be one that its record sets."""
        _bound(place, by.limits)


def _bound(place: Place, limits: Mapping[str, Any] | None) -> None:
    given = {key: value for key, value in (limits or {}).items() if value is not None}
    place.bound(given.get("max_concurrency"), given.get("max_queue", 100), given.get("queue_seconds", 30.0))


class Candidate:
    """A model that can answer, and by whom."""

    __slots__ = (
        "budget",
        "cache_seconds",
        "choice",
        "dialect",
        "hedge_seconds",
        "model",
        "pricing",
        "prompt",
        "retries",
        "tag",
        "targets",
        "weight",
    )

    def __init__(self, served: Served, targets: Sequence[Target], budget: RetryBudget, retries: int) -> None:
        routing = served.routing or {}
        self.model = served.model
        self.tag = served.tag
        self.dialect = DIALECTS[served.format]
        self.prompt = prompt_of(served.prompt)
        self.pricing = served.pricing
        self.targets = tuple(targets)
        self.weight = served.weight
        self.choice: str = routing.get("choice") or "ordered"
        self.retries: int = retries if routing.get("retries") is None else routing["retries"]
        self.hedge_seconds: float | None = routing.get("hedge_seconds")
        self.cache_seconds: int = routing.get("cache_seconds") or 0
        self.budget = budget

    def elsewhere(self, workspace: str) -> bool:
        """Whether somebody of another workspace serves it."""
        return any(target.workspace != workspace for target in self.targets)

    def only(self, wanted: Callable[[str], bool]) -> "Candidate":
        """The same with the targets of the workspaces that are wanted."""
        kept = copy(self)
        kept.targets = tuple(target for target in self.targets if wanted(target.workspace))
        return kept

    def order(self) -> list[Target]:
        """The targets in the order in which this request tries them: those that are unwell last."""
        targets = self.targets
        if len(targets) == 1:
            return list(targets)
        if self.choice == "weighted":
            # Efraimidis and Spirakis (2006): the order of u^(1/w) draws by weight, without putting back.
            ordered = sorted(targets, key=lambda one: -(random.random() ** (1 / (one.weight or 1e-9))))  # noqa: S311
        elif self.choice == "least_outstanding":
            ordered = sorted(
                targets,
                key=lambda one: (one.place.in_flight / (one.weight or 1e-9), random.random()),  # noqa: S311
            )
        else:
            ordered = list(targets)
        ordered.sort(key=lambda one: one.unwell)
        return ordered


class Route:
    """What a name stands for, ready to be asked."""

    __slots__ = (
        "_bounds",
        "candidates",
        "elsewhere",
        "fallbacks",
        "name",
        "recorder",
        "rule_ids",
        "rules",
        "serial",
        "sticky_by",
        "virtual",
        "workspace",
    )

    def __init__(
        self, serving: Serving, candidates: Sequence[Candidate], fallbacks: Sequence[Candidate], serial: int
    ) -> None:
        self.serial = serial
        """Another number for each reading of the records."""
        self.name = serving.name
        self.workspace = serving.workspace
        self.virtual = serving.virtual
        self.candidates = tuple(candidates)
        self.fallbacks = tuple(fallbacks)
        homes = {one.model.partition("/")[0] for one in (*candidates, *fallbacks)}
        self.elsewhere = frozenset(homes - {serving.workspace})
        """The other workspaces whose models it leads to."""
        rules = rules_of(serving.limits)
        self.rule_ids = frozenset(rule.id for rule in rules)
        """Those of all limits of the workspace."""
        models = {one.model for one in (*candidates, *fallbacks)}
        self.rules: tuple[LimitRule, ...] = tuple(rule for rule in rules if rule.model is None or rule.model in models)
        """Those that can be about a request of the route."""
        self.recorder: Recorder | None = recorder_for(serving.recording)
        sticky = serving.sticky or {}
        self.sticky_by: bytes | None = None
        """The header that requests of one kind share, b"" for the field that names the user, None for nothing."""
        if sticky:
            self.sticky_by = (sticky.get("header") or "").lower().encode("latin-1") if sticky["by"] == "header" else b""
        self._bounds = list(accumulate(one.weight for one in self.candidates))

    def choose(self, sticky: str | None) -> list[Candidate]:
        """The candidate for a request, and behind it the fallbacks. The same `sticky` text gives the same one."""
        if len(self.candidates) == 1:
            chosen = self.candidates[0]
        else:
            share = random.random() if sticky is None else _share(f"{self.name}\0{sticky}")  # noqa: S311
            chosen = self.candidates[bisect(self._bounds, share * self._bounds[-1])]
        return [chosen, *self.fallbacks]


def _share(text: str) -> float:
    """A number in [0, 1) that only depends on the text."""
    bits = int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 11
    return bits / 2**53  # exact: the largest is still below 1


class Table:
    """The routes by name, and the providers."""

    def __init__(self, context: Context, places: Places, patience: Patience, retries: int, limiter: Limiter) -> None:
        self._context = context
        self._places = places
        self._patience = patience
        self._retries = retries
        self._limiter = limiter
        self._routes: dict[tuple[str, str], Route] = {}
        self._by_model: dict[Key, set[tuple[str, str]]] = {}
        self._providers: dict[tuple[str, str], tuple[Target, tuple[LimitRule, ...]]] = {}
        self._serials = count()
        self._limit_ids: dict[str, frozenset[str]] = {}
        context.store.watch(self._changed)

    def known(self, home: str, text: str) -> Route | None:
        return self._routes.get((home, text))

    async def route(self, home: str, text: str) -> Route:
        """The route of a name, a bare one being of the workspace `home`. Raises NotFound, Conflict."""
        route = self._routes.get((home, text))
        return route if route is not None else await self._read(home, text)

    async def provider(self, workspace: str, name: str) -> tuple[Target, tuple[LimitRule, ...]]:
        """A provider by itself, and the limits of its workspace. Raises NotFound."""
        found = self._providers.get((workspace, name))
        if found is None:
            by, limits = await read_provider(self._context, workspace, name)
            found = self._providers[workspace, name] = self._target(by), rules_of(limits)
        return found

    async def _read(self, home: str, text: str) -> Route:
        # Nothing is awaited that waits between the reading and the keeping: no commit can come in between.
        serving, models = await read_serving(self._context, home, text)
        candidates = [self._candidate(one) for one in serving.candidates]
        route = Route(serving, candidates, [self._candidate(one) for one in serving.fallbacks], next(self._serials))
        self._note_limits(route)
        if len(self._routes) >= _MOST:
            self._clear()
        self._routes[home, text] = route
        for key in models:
            self._by_model.setdefault(key, set()).add((home, text))
        return route

    def _candidate(self, served: Served) -> Candidate:
        targets = [self._target(by) for by in served.by]
        return Candidate(served, targets, self._places.budget(served.model), self._retries)

    def _target(self, by: ServedBy) -> Target:
        return Target(by, self._places.place(by.key), self._context.outbound, self._patience)

    def _note_limits(self, route: Route) -> None:
        """The counters of limits that are gone go too."""
        now = route.rule_ids
        for id in self._limit_ids.get(route.workspace, frozenset()) - now:
            self._limiter.forget(id)
        self._limit_ids[route.workspace] = now

    def _changed(self, keys: Sequence[Key]) -> None:
        for key in keys:
            if key.kind == _MODEL:
                for name in self._by_model.pop(key, ()):
                    self._routes.pop(name, None)
            elif key.kind == EVERY or key.kind not in _UNRELATED:
                self._clear()
                return

    def _clear(self) -> None:
        self._routes.clear()
        self._by_model.clear()
        self._providers.clear()
