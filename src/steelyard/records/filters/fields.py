"""Which fields a list can be filtered by, of what type each is, and where in a record it stands."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Literal

from steelyard.errors import BadFilter

Column = Literal["id", "kind", "name", "workspace", "project", "created_at", "updated_at"]

MAX_PATH_SEGMENTS = 16
_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")


class FieldType(Enum):
    """What a field holds, and so which values and operators it takes."""

    TEXT = "text"
    TIME = "time"
    ENUM = "enum"
    PRESENCE = "presence"
    TEXT_OR_PRESENCE = "text or presence"
    REFERENCE = "reference"
    FLAG = "flag"
    RELATION = "relation"
    ANY = "any"


@dataclass(frozen=True, slots=True)
class FilterField:
    """One field: a column of the record, a path in its JSON fields, or its children of one kind.

    `part` narrows a text `workspace/name` to what stands before or after the slash; a `keyed` one has strings below it.
    """

    name: str
    type: FieldType
    column: Column | None = None
    path: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    child_kind: str = ""
    fields: tuple["FilterField", ...] = ()
    part: Literal["", "workspace", "name"] = ""
    keyed: bool = False

    @classmethod
    def of(cls, type: FieldType, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A field at a path in the JSON fields, which is its own name when none is given."""
        return cls(name, type, path=tuple(path or (name,)))

    @classmethod
    def text(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A string, compared by code point."""
        return cls.of(FieldType.TEXT, name, path)

    @classmethod
    def time(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A timestamp, stored as `YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
        return cls.of(FieldType.TIME, name, path)

    @classmethod
    def enum(cls, name: str, values: Sequence[str], path: Sequence[str] | None = None) -> "FilterField":
        """One of some strings; a bool asks whether there is one."""
        return replace(cls.of(FieldType.ENUM, name, path), values=tuple(values))

    @classmethod
    def presence(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """Something that can only be asked for: there (not null, not an empty object) or not."""
        return cls.of(FieldType.PRESENCE, name, path)

    @classmethod
    def mapping(cls, name: str) -> "FilterField":
        """An object of strings by keys of the user's: `name.key` is a string, `name` itself can be asked for."""
        return replace(cls.presence(name), keyed=True)

    @classmethod
    def text_or_presence(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A string; a bool asks whether there is one."""
        return cls.of(FieldType.TEXT_OR_PRESENCE, name, path)

    @classmethod
    def reference(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A reference, stored as `workspace/name`; a bool asks whether there is one."""
        return cls.of(FieldType.REFERENCE, name, path)

    @classmethod
    def flag(cls, name: str, path: Sequence[str] | None = None) -> "FilterField":
        """A stored boolean."""
        return cls.of(FieldType.FLAG, name, path)

    @classmethod
    def relation(cls, name: str, child_kind: str, fields: Sequence["FilterField | str"]) -> "FilterField":
        """The records of a kind whose parent this one is, by their fields; a bare name is a text field."""
        children = tuple(cls.text(f) if isinstance(f, str) else f for f in fields)
        if any(child.type is FieldType.RELATION for child in children):
            raise ValueError(f"relation {name!r} holds another relation")
        return cls(name, FieldType.RELATION, child_kind=child_kind, fields=children)


COMMON = (
    FilterField("id", FieldType.TEXT, column="id"),
    FilterField("name", FieldType.TEXT, column="name"),
    FilterField("workspace", FieldType.TEXT, column="workspace"),
    FilterField("project", FieldType.REFERENCE, column="project"),
    FilterField("entity_type", FieldType.TEXT, column="kind"),
    FilterField("created_at", FieldType.TIME, column="created_at"),
    FilterField("updated_at", FieldType.TIME, column="updated_at"),
)
"""The fields that every kind has."""


@dataclass(frozen=True, slots=True)
class FilterFields(Mapping[str, FilterField]):
    """The fields of one kind: its own, the common ones, and `data.<path>` for what else its JSON holds.

    No filter reads a path of `secret_paths` or one under it. `open_data` is off for children.
    """

    kind: str
    fields: tuple[FilterField, ...] = ()
    secret_paths: tuple[str, ...] = ()
    open_data: bool = True
    _by_name: dict[str, FilterField] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for one in self.fields:
            if one.path and self._is_secret(one.path):
                raise ValueError(f"filter field {one.name!r} would read a secret")
        own = {f.name: f for f in self.fields}
        object.__setattr__(self, "_by_name", own | {f.name: f for f in COMMON if f.name not in own})

    def __getitem__(self, name: str) -> FilterField:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def children(self, relation: FilterField) -> "FilterFields":
        """The fields of the children by a relation: those it names and the common ones."""
        return FilterFields(relation.child_kind, relation.fields, open_data=False)

    def resolve(self, name: str) -> tuple[FilterField | None, FilterField]:
        """Find a field by its dotted name, with the relation it is reached through, if any.

        Raises BadFilter when there is no such field, or when it is a secret.
        """
        if name in self._by_name:
            return None, self._by_name[name]
        head, _, rest = name.partition(".")
        if head == "data" and self.open_data:
            return None, self._data(name, rest)
        owner = self._by_name.get(head)
        if owner is None:
            raise self._unknown(head)
        if owner.type is FieldType.RELATION:
            return owner, self.children(owner).resolve(rest)[1]
        if owner.keyed and _SEGMENT.fullmatch(rest):
            return None, FilterField.text(name, (*owner.path, rest))
        return None, self._part(owner, rest)

    def _data(self, name: str, rest: str) -> FilterField:
        path = tuple(rest.split(".")) if rest else ()
        if not path:
            raise bad("Filter field 'data' needs a path, such as 'data.spec.family'")
        if len(path) > MAX_PATH_SEGMENTS:
            raise bad(f"A 'data' path has at most {MAX_PATH_SEGMENTS} segments; this one has {len(path)}")
        for segment in path:
            if not _SEGMENT.fullmatch(segment):
                raise bad(
                    f"Segment {quoted(segment)} of {quoted(name)} is not valid; "
                    "a 'data' path has segments of A-Z a-z 0-9 _ - with dots between"
                )
        if self._is_secret(path):
            raise bad(f"Filter field {quoted(name)} is secret; records cannot be filtered by it")
        return FilterField(name, FieldType.ANY, path=path)

    def _is_secret(self, path: tuple[str, ...]) -> bool:
        secrets = (tuple(secret.split(".")) for secret in self.secret_paths)
        return any(path[: len(secret)] == secret for secret in secrets)

    def _part(self, owner: FilterField, rest: str) -> FilterField:
        takes_parts = owner.type in {FieldType.REFERENCE, FieldType.TEXT_OR_PRESENCE}
        if takes_parts and rest in {"name", "workspace"}:
            part: Literal["name", "workspace"] = "name" if rest == "name" else "workspace"
            return replace(owner, name=f"{owner.name}.{part}", type=FieldType.TEXT, part=part)
        operators = ("$eq", "$like", "$lt", "$lte", "$gt", "$gte", "$in", "$nin", "$exists")
        near = suggestion(f"${rest}", ("name", "workspace", *operators) if takes_parts else operators)
        raise bad(f"Filter field {quoted(owner.name)} has no part {quoted(rest)}{near}")

    def _unknown(self, name: str) -> BadFilter:
        names = [*self._by_name, *(["data.<path>"] if self.open_data else [])]
        of = "" if self.open_data else f" of {self.kind}"
        near = suggestion(name, names)
        return bad(f"Unknown filter field {quoted(name)}{of}{near} Valid fields: {', '.join(names)}")


def bad(message: str) -> BadFilter:
    """The error for a filter that cannot be understood."""
    return BadFilter(message, parameter="filter")


def suggestion(given: str, valid: Sequence[str]) -> str:
    """How the sentence about a wrong value ends: with the nearest valid one, if one is near."""
    near = difflib.get_close_matches(given[:80], valid, 1)
    return f"; did you mean {quoted(near[0])}?" if near else "."


def quoted(text: str) -> str:
    """A name as messages show it: in quotes, short, and always encodable."""
    return f"'{_short(text)}'"


def shown(value: object) -> str:
    """A value as messages show it: the JSON of a scalar, short, and always encodable."""
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else _short(json.dumps(value, ensure_ascii=False))


def _short(text: str) -> str:
    cut = text if len(text) <= 80 else text[:77] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
