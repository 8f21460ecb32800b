"""Who serves a model, and how: what the gateway makes of the records of models, providers and virtual models."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.records.kinds import Fields, Row


@dataclass(frozen=True, slots=True)
class ServedBy:
    """One place where a model is served: a provider, or the endpoint of the model's own record.

    `key` names it (`workspace/provider`, or `workspace/model endpoint`). `auth` is the header with the secret in it;
    `fault` says why there is none though there should be.
    """

    key: str
    url: str
    served_name: str
    provider: str | None = None
    auth: tuple[str, str] | None = None
    fault: str | None = None
    status: str = "UNKNOWN"
    weight: int = 1
    limits: Mapping[str, Any] | None = None
    timeouts: Mapping[str, Any] | None = None
    default_headers: Mapping[str, str] | None = None
    required_headers: Mapping[str, str] | None = None
    default_body: Fields | None = None
    required_body: Fields | None = None

    def __repr__(self) -> str:
        return f"ServedBy({self.key!r})"  # the rest may hold secrets


@dataclass(frozen=True, slots=True)
class Served:
    """A model that can be asked: its dialect, its prompt, its prices, and who serves it, in the order of its record."""

    model: str
    tag: str
    """The entity tag of the record, which is another one after each change."""
    format: str
    by: tuple[ServedBy, ...]
    prompt: Fields | None = None
    pricing: Fields | None = None
    routing: Fields | None = None
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Serving:
    """What a name stands for: models to choose from by weight, and those to fall back to, in order.

    `name` is `workspace/name` as it was asked for; `limits` are the records of limits of its workspace, `recording` is
    what the workspace says of it.
    """

    name: str
    workspace: str
    candidates: tuple[Served, ...]
    fallbacks: tuple[Served, ...] = ()
    sticky: Fields | None = None
    limits: tuple[Row, ...] = ()
    recording: Fields | None = None
    virtual: bool = False
