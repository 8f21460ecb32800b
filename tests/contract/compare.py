"""Whether one schema of an OpenAPI document is compatible with one of another, $refs resolved.

A request schema is compatible when everything that the contract lets a client send is taken: no type is missing, no
stated limit is narrower, nothing more is required. (Where the contract states no limit, ours may; unknown fields of an
object that names its fields are not what a client of the contract sends.) An answer is compatible when all that the
contract says is answered is there, in a type that it allows.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Schema = dict[str, Any]
Direction = Literal["request", "answer"]

# A client that sends more of these than ours allows, or less, is refused: limit -> whether a greater one is wider.
_LIMITS = {
    **dict.fromkeys(("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties"), True),
    **dict.fromkeys(("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties"), False),
}
ANY = "any"


@dataclass(frozen=True)
class Document:
    """An OpenAPI document, which knows where its references lead."""

    body: Schema

    def resolve(self, schema: Schema) -> Schema:
        """The schema itself, references followed; what stands beside a reference is added to it."""
        while "$ref" in schema:
            target: Any = self.body
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
        return schema

    def alternatives(self, schema: Schema) -> list[Schema]:
        """The schemas, each of one type, of which a value must fit one. `type` is `any` where none is stated."""
        schema = self.resolve(schema)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return [one for part in schema[union] for one in self.alternatives(part)]
        if "allOf" in schema:
            merged: Schema = {}
            for part in schema["allOf"]:
                merged = {**merged, **self.resolve(part)}
            return self.alternatives(merged)
        if "const" in schema:
            schema = {**schema, "enum": [schema["const"]]}
        types = schema.get("type", ANY)
        return [{**schema, "type": one} for one in ([types] if isinstance(types, str) else types)]


@dataclass(frozen=True)
class Comparison:
    """The contract, our document, and which way the values go."""

    theirs: Document
    ours: Document
    direction: Direction
    patterns: Mapping[str, str] = field(default_factory=dict)
    """Pattern of the contract -> the pattern that we mean it to be."""

    def differences(self, theirs: Schema, ours: Schema, place: str) -> Iterator[str]:
        """What of `ours` is not compatible with `theirs`, each with the place where it is."""
        sent, taken = self.theirs.alternatives(theirs), self.ours.alternatives(ours)
        if self.direction == "answer":
            # What we answer, the client must be able to take.
            sent, taken = taken, sent
        for one in sent:
            attempts = [list(self._single(one, other, place)) for other in taken if _same_type(one, other)]
            if not attempts:
                types = sorted({other["type"] for other in taken})
                verb = "may be sent" if self.direction == "request" else "may be answered"
                yield f"{place}: {one['type']} {verb}, but only {types} can be taken"
            elif all(attempts):
                yield from min(attempts, key=len)

    def _single(self, sent: Schema, taken: Schema, place: str) -> Iterator[str]:
        """The differences of two schemas of the same type; `sent` goes in, `taken` says what may come."""
        theirs, ours = (sent, taken) if self.direction == "request" else (taken, sent)
        yield from _limits(sent, taken, place)
        wanted = self.patterns.get(theirs.get("pattern", ""), theirs.get("pattern"))
        if wanted and wanted != ours.get("pattern", wanted):
            yield f"{place}: the pattern is {ours['pattern']}, not {wanted}"
        if "items" in theirs:
            yield from self.differences(theirs["items"], ours.get("items", {}), f"{place}[]")
        for name, schema in theirs.get("properties", {}).items():
            if name in ours.get("properties", {}):
                yield from self.differences(schema, ours["properties"][name], f"{place}.{name}")
            elif self.direction == "answer" or not ours.get("additionalProperties", "properties" not in ours):
                yield f"{place}.{name}: is missing"
        if theirs.get("additionalProperties") and ours.get("additionalProperties") is False:
            yield f"{place}: other fields may be sent, but are not taken"
        if self.direction == "request":
            for name in sorted(set(ours.get("required", [])) - set(theirs.get("required", []))):
                yield f"{place}.{name}: is required, but may be left out"
        else:
            for name in sorted(set(theirs.get("required", [])) - set(ours.get("required", []))):
                yield f"{place}.{name}: may be missing, but is always there in the contract"


def _same_type(sent: Schema, taken: Schema) -> bool:
    return (
        taken["type"] == ANY
        or sent["type"] in {taken["type"], ANY}
        or (sent["type"] == "integer" and taken["type"] == "number")
    )


def _limits(sent: Schema, taken: Schema, place: str) -> Iterator[str]:
    for name, upwards in _LIMITS.items():
        if name in sent and name in taken:
            narrower = taken[name] < sent[name] if upwards else taken[name] > sent[name]
            if narrower:
                yield f"{place}: {name} is {taken[name]}, but {sent[name]} may be sent"
    if "enum" in taken:
        missing = set(sent["enum"]) - set(taken["enum"]) if "enum" in sent else {"anything"}
        if missing:
            yield f"{place}: {sorted(missing)} may be sent, but is none of the choices"
