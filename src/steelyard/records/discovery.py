"""What a provider's own list of models says, and which records it stands for: pure functions over `GET /v1/models`."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from steelyard.records.inference import BackendFormat
from steelyard.records.kinds import Document
from steelyard.records.model_names import ModelName
from steelyard.records.names import OPEN_LENGTH, Reference

MOST_MODELS = 2000
"""How many models of one provider are taken; what else it lists is told in its status."""

_OTHERS = re.compile(r"[^a-z0-9]+")
_ANTHROPIC = ("claude-", "anthropic.", "anthropic/")
_ID_LENGTH = 255
_NAMED = 3
_MESSAGE_LENGTH = 1000


class Listed(NamedTuple):
    """A model as a provider lists it; `parent` is the id of its base where it is an adapter."""

    id: str
    parent: str | None = None


class Served(NamedTuple):
    """A model that a provider serves by the name `id`, and the record that stands for it: a model, or an adapter."""

    id: str
    name: ModelName

    @property
    def model(self) -> Reference:
        """The model, which is the base where it is an adapter."""
        return self.name.base


class Reading(NamedTuple):
    """What of a list of models is taken, and what is not, each with the reason."""

    served: list[Served]
    skipped: list[str]


def entity_name(id: str, workspace: str) -> str | None:
    """The name of the model record of the workspace that stands for the model `id`; None if there can be none.

    In lower case and without the workspace before it, what is neither letter nor digit becomes `-`, and none stands at
    the ends; `m-` goes before a digit.
    """
    name = _OTHERS.sub("-", id.lower().removeprefix(f"{workspace.lower()}/")).strip("-")
    if name[:1].isdigit():
        name = f"m-{name}"
    return name if 0 < len(name) <= OPEN_LENGTH and len(id) <= _ID_LENGTH else None


def backend_format(id: str) -> BackendFormat:
    """The dialect that the model `id` is spoken to in."""
    anthropic = id.lower().startswith(_ANTHROPIC)
    return BackendFormat.ANTHROPIC_MESSAGES if anthropic else BackendFormat.OPENAI_CHAT


def read_list(value: Any) -> list[Listed] | None:
    """The models of an answer; None if it is no list of models as OpenAI's API has it."""
    listed = value.get("data") if isinstance(value, dict) else None
    if not isinstance(listed, list):
        return None
    found: dict[str, Listed] = {}
    for one in listed:
        id = one.get("id") if isinstance(one, dict) else None
        if not isinstance(id, str) or not id:
            return None
        parent = one.get("parent")
        found.setdefault(id, Listed(id, parent if isinstance(parent, str) and parent else None))
    return list(found.values())


def read_served(
    listed: Sequence[Listed],
    workspace: str,
    enabled: Iterable[str] | None,
    adapters: Callable[[Reference], Sequence[Mapping[str, Any]]],
) -> Reading:
    """Which records the models that a provider of the workspace lists stand for.

    `enabled` are the ids that are allowed (None: all). `adapters` answers what adapters a model has.
    """
    allowed = None if enabled is None else set(enabled)
    taken: dict[str, Served] = {}
    skipped = []
    for one in listed:
        if allowed is not None and one.id not in allowed:
            continue
        if len(taken) == MOST_MODELS:
            skipped.append(f"{one.id!r}: only {MOST_MODELS} models are taken")
            continue
        served = _served(one, workspace, adapters)
        if served is None:
            skipped.append(f"{one.id[:_ID_LENGTH]!r}: no record can be named so")
        elif (entity := str(served.name)) in taken:
            skipped.append(f"{one.id!r}: its record {entity} stands for {taken[entity].id!r}")
        else:
            taken[entity] = served
    return Reading(list(taken.values()), skipped)


def _served(one: Listed, workspace: str, adapters: Callable[[Reference], Sequence[Mapping[str, Any]]]) -> Served | None:
    name = entity_name(one.id, workspace)
    if name is None:
        return None
    parent = entity_name(one.parent, workspace) if one.parent else None
    if parent is not None:
        base = Reference(workspace, parent)
        for adapter in adapters(base):
            home = Reference(adapter["workspace"], adapter["name"])
            if one.id in {home.name, str(home)} or name == entity_name(home.name, workspace):
                return Served(one.id, ModelName(base, home))
    return Served(one.id, ModelName(Reference(workspace, name)))


def bases_of(listed: Iterable[Listed], workspace: str) -> set[Reference]:
    """The models that some of `listed` are adapters of."""
    names = {entity_name(one.parent, workspace) for one in listed if one.parent}
    return {Reference(workspace, name) for name in names if name}


def entries(served: Iterable[Served]) -> list[Document]:
    """`served` as a provider's record has it."""
    return [{"model_entity_id": str(one.name), "served_model_name": one.id} for one in served]


def ready_message(reading: Reading | None) -> str:
    """What the status of a provider says that has answered; `reading` is None where it lists no models."""
    if reading is None:
        return "The provider answers, but lists no models; name those that it serves in 'served_models'"
    count = len(reading.served)
    said = f"The provider answers; it serves {count} model{'' if count == 1 else 's'}"
    if reading.skipped:
        more = len(reading.skipped) - _NAMED
        said += f"; not taken: {'; '.join(reading.skipped[:_NAMED])}{f'; and {more} more' if more > 0 else ''}"
    return said[:_MESSAGE_LENGTH]


def pause(failures: int, interval: float, draw: float) -> float:
    """How many seconds to wait after so many failures in a row before a provider is asked again.

    Without a failure that is the interval; with failures, 5 seconds that double up to 15 minutes. `draw`, from 0 to 1,
    moves it by up to a fifth either way, so that many servers do not ask at the same time.
    """
    seconds = interval if failures == 0 else min(5.0 * 2.0 ** min(failures - 1, 20), 900.0)
    return seconds * (0.8 + 0.4 * draw)


def list_url(host_url: str) -> str:
    """Where a provider lists its models; its address may end with `/v1` or not."""
    base = host_url.partition("#")[0].partition("?")[0].rstrip("/")
    return f"{base}/models" if base.endswith("/v1") else f"{base}/v1/models"
