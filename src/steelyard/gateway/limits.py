"""A limit as the gateway reads it: the bounds of one record, ready to be asked."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self

from steelyard.records.kinds import Row

UNITS = 1_000_000_000
"""Money is counted in whole billionths of a currency's unit: sums of those are exact, and end at nothing."""

Period = Literal["day", "month", "total"]


class Budget(NamedTuple):
    """At most so much money, in billionths, in each period; days and months are those of UTC."""

    units: int
    currency: str
    period: Period


@dataclass(frozen=True, slots=True)
class LimitRule:
    """A `limit` record. `model` is `workspace/name`, None for all that are called in the workspace; `key` is None for
    all callers; `per_key` means that each has its own count.
    """

    id: str
    name: str
    workspace: str
    model: str | None = None
    key: str | None = None
    per_key: bool = False
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget: Budget | None = None
    revision: int = 0

    @classmethod
    def of(cls, row: Row) -> Self:
        """The rule of a record."""
        fields = row.fields
        given = fields.get("budget")
        return cls(
            id=row.id,
            name=row.name,
            workspace=row.workspace,
            model=fields.get("model"),
            key=fields.get("key"),
            per_key=bool(fields.get("per_key")),
            requests_per_minute=fields.get("requests_per_minute"),
            tokens_per_minute=fields.get("tokens_per_minute"),
            budget=Budget(int(given["amount"] * UNITS), given["currency"], given["period"]) if given else None,
            revision=row.revision,
        )

    def covers(self, model: str, key: str | None) -> bool:
        """Whether it is about requests for `model` by a caller with `key`."""
        return (self.model is None or self.model == model) and (self.key is None or self.key == key)

    @property
    def title(self) -> str:
        """Its name, for a message."""
        return f"{self.workspace}/{self.name}"


def rules_of(rows: Iterable[Row]) -> tuple[LimitRule, ...]:
    """The rules of the records that are enabled."""
    return tuple(LimitRule.of(row) for row in rows if row.fields.get("enabled", True))
