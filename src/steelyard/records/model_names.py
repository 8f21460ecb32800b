"""The names by which models are called: a model, an alias, or a base model with one of its adapters.

name, workspace/name                            a model, or an alias where the name has an `@`
workspace/base&adapters/workspace/adapter       a base model with one of its adapters; each may go without workspace
"""

from typing import Any, NamedTuple

from steelyard.records.kinds import Link, reference_fault
from steelyard.records.models import model_kind
from steelyard.records.names import Reference, parse_reference

BETWEEN = "&adapters/"
"""What stands between a base model and its adapter."""
MODEL_NAME_LENGTH = 1100
MODEL_NAME_RULE = "a model is 'name', 'workspace/name', or 'workspace/base&adapters/adapter_workspace/adapter'"


class ModelName(NamedTuple):
    """What a name means: `base`, with `adapter` if there is one. As text it is in its canonical form."""

    base: Reference
    adapter: Reference | None = None

    def __str__(self) -> str:
        return f"{self.base}{BETWEEN}{self.adapter}" if self.adapter else str(self.base)

    @property
    def kind(self) -> str:
        """The kind of the record that `base` names: an alias has an `@` in its name, a model never has."""
        return model_kind(self.base)

    def links(self, field: str) -> list[Link]:
        """What a record names that has this name in `field`."""
        links = [Link(field, self.kind, self.base)]
        return [*links, Link(field, "adapter", self.adapter)] if self.adapter else links


def parse_model_name(text: str, home: str) -> ModelName | None:
    """What `text` means, a bare name being of the workspace `home`; None if it names no model."""
    before, found, after = text.partition(BETWEEN)
    base = parse_reference(before, home)
    if not found or base is None:
        return ModelName(base) if base else None
    adapter = parse_reference(after, home)
    return ModelName(base, adapter) if adapter and "@" not in base.name + adapter.name else None


def canonical_model_name(text: str, home: str, place: tuple[str | int, ...]) -> str:
    """`text` in its one spelling, with workspaces. Raises InvalidInput if it names no model."""
    name = parse_model_name(text, home)
    if name is None:
        raise reference_fault(place, MODEL_NAME_RULE)
    return str(name)


def links_of(field: str, text: Any, home: str) -> list[Link]:
    """The links of a field that holds the name of a model, or nothing."""
    name = parse_model_name(text, home) if isinstance(text, str) else None
    return name.links(field) if name else []
