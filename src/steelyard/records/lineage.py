"""What a model was made from and what was made from it, as a graph. Pure functions."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from steelyard.records.kinds import Document
from steelyard.records.names import Reference

Direction = Literal["up", "down"]


class Relative(NamedTuple):
    """A relative of a model, `depth` steps `up` (towards what it was made from) or `down`.

    `near` is the relative one step closer, by its kind and name, and `via` the alias by which one names the other.
    """

    direction: Direction
    depth: int
    kind: str
    reference: Reference
    near: tuple[str, Reference]
    via: str | None
    here: bool
    has_workspace: bool
    finetuning_type: str | None
    fileset: str | None

    @property
    def state(self) -> Literal["here", "missing", "external"]:
        """Whether the record is here. What names a workspace that this server does not have is another server's."""
        if self.here:
            return "here"
        return "missing" if self.has_workspace else "external"


def graph(start: Document, relatives: Iterable[Relative], limit: int) -> Document:
    """Nodes (up to `limit` of them, nearest first, each once) and edges from what was made to what it was made from."""
    nodes, edges = [start], []
    seen = {(start["kind"], start["workspace"], start["name"])}
    truncated = False
    for relative in sorted(relatives, key=lambda one: one.depth):
        key = (relative.kind, relative.reference.workspace, relative.reference.name)
        if key in seen:
            continue
        if len(nodes) >= limit:
            truncated = True
            break
        seen.add(key)
        nodes.append(_node(relative))
        edges.append(_edge(relative))
    return {"nodes": nodes, "edges": edges, "truncated": truncated}


def _node(relative: Relative) -> dict[str, Any]:
    relation = "adapter" if relative.kind == "adapter" else "ancestor" if relative.direction == "up" else "descendant"
    return {
        "workspace": relative.reference.workspace,
        "name": relative.reference.name,
        "kind": relative.kind,
        "depth": relative.depth,
        "relation": relation,
        "state": relative.state,
        "finetuning_type": relative.finetuning_type,
        "fileset": relative.fileset,
    }


def _edge(relative: Relative) -> dict[str, Any]:
    this, near = _end(relative.kind, relative.reference), _end(*relative.near)
    made, base = (near, this) if relative.direction == "up" else (this, near)
    return {"from": made, "to": base, "relation": _RELATIONS.get(made["kind"], "base_model"), "via": relative.via}


_RELATIONS = {"adapter": "model"}


def _end(kind: str, reference: Reference) -> dict[str, Any]:
    return {"kind": kind, "workspace": reference.workspace, "name": reference.name}
