"""What a write would do beyond its own record: asked within the transaction that is then taken back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from steelyard.actions.context import Context
from steelyard.actions.writes import Written
from steelyard.records.diff import Difference, differences
from steelyard.records.kinds import Kind, Row
from steelyard.records.names import Reference
from steelyard.store.protocol import ReadTransaction

# What the gateway routes by.
_ROUTING: Mapping[str, frozenset[str]] = {
    "model": frozenset({"api_endpoint", "backend_format", "model_providers", "prompt", "base_model", "routing"}),
    "virtual-model": frozenset({"default_model_entity", "models", "fallbacks", "sticky"}),
}
_NAMED, _LOOKED_AT = 100, 10_000
# What lets go of a record of a kind that is deleted: models of their providers; adapters go with their models.
_RELEASED: Mapping[str, str] = {"model-provider": "model", "model": "adapter", "project": "model"}


@dataclass(frozen=True, slots=True)
class Affected:
    """What else a write touches; each list names at most a hundred.

    `dangling`: records that would name something that is gone; `missing`: what the record would name that is not there;
    `released`: records that would leave the one that goes; `removed`: how many would go with it; `routes`: models whose
    requests would go another way; `adapters`: those that would lose their base.
    """

    dangling: list[dict[str, str]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    removed: int = 0
    routes: list[str] = field(default_factory=list)
    adapters: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a write would change in its record, and what else."""

    diff: list[Difference]
    affected: Affected

    def document(self) -> dict[str, Any]:
        """As it is answered."""
        return {"diff": self.diff, "affected": asdict(self.affected)}


async def preview(tx: ReadTransaction, written: Written, context: Context) -> Preview:
    """What `written` has done in the transaction `tx`, as far as whom `context` reads for sees it."""
    kind = written.kind
    before, after = (context.shown(row) if row else None for row in (written.before, written.after))
    diff = differences(kind, before.fields if before else None, after.fields if after else None)
    if after is None and before is not None:
        return Preview(diff, await _of_delete(tx, kind, before, written, context))
    assert after is not None  # noqa: S101 - a write that is no delete leaves a record
    changed = {difference["path"].partition(".")[0] for difference in diff}
    routed = not _ROUTING.get(kind.name, frozenset()).isdisjoint(changed)
    return Preview(
        diff,
        Affected(
            missing=[
                {"kind": link.target_kind, "reference": str(link.target), "field": link.field}
                for link in kind.links(after.fields, after.workspace)
                if not context.sees(link.target_kind, link.target.workspace, link.target.name)
                or not await tx.exists(link.target_kind, link.target.workspace, link.target.name)
            ][:_NAMED],
            routes=[_name(after)] if routed else [],
        ),
    )


async def _of_delete(tx: ReadTransaction, kind: Kind, row: Row, written: Written, context: Context) -> Affected:
    referrers = await tx.referrers(kind.name, Reference(row.workspace, row.name), row.id, _LOOKED_AT)
    dangling = [
        {"kind": other.kind, "reference": _name(other), "field": field}
        for other, field in referrers
        if context.sees(other.kind, other.workspace, other.name)
    ]
    dangling += [{"kind": name, "reference": str(reference)} for name, reference in written.left_behind]
    released = _RELEASED.get(kind.name, kind.name)
    children = [child for child in await tx.children(row.id, _LOOKED_AT) if context.sees(*_place(child))]
    return Affected(
        dangling=dangling[:_NAMED],
        released=[str(one) for one in written.released if context.sees(released, one.workspace, one.name)][:_NAMED],
        removed=written.removed,
        routes=[_name(row)] if kind.name in _ROUTING else [],
        adapters=[_name(child) for child in children[:_NAMED]],
    )


def _place(row: Row) -> tuple[str, str, str]:
    return row.kind, row.workspace, row.name


def _name(row: Row) -> str:
    return f"{row.workspace}/{row.name}" if row.workspace else row.name
