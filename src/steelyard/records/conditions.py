"""`If-Match` and `If-None-Match` (RFC 9110, 13.1): what a caller says of the record that it believes to be there."""

import re
from dataclasses import dataclass

from steelyard.errors import InvalidParameters, PreconditionFailed
from steelyard.records.kinds import Row

_TAG = re.compile(r'\s*(W/)?("[\x21\x23-\x7e\x80-\xff]*")\s*(?:,|$)')
_ANY = "*"


@dataclass(frozen=True, slots=True)
class Conditions:
    """The tags of both headers; None where a header is absent, `("*",)` where it asks only for existence."""

    match: tuple[str, ...] | None = None
    none_match: tuple[str, ...] | None = None

    def check_write(self, row: Row | None) -> None:
        """Raises PreconditionFailed if the record, or that there is none, is not what the caller believes."""
        etag = row.etag if row else None
        if self.match is not None and (etag is None or (self.match != (_ANY,) and etag not in self.match)):
            raise _failed("If-Match", etag)
        if etag and self.none_match is not None and (self.none_match == (_ANY,) or etag in _weakened(self.none_match)):
            raise _failed("If-None-Match", etag)

    def unchanged(self, row: Row) -> bool:
        """Whether a reader already has this record. Raises PreconditionFailed where `If-Match` does not hold."""
        return self.unchanged_since(row.etag)

    def unchanged_since(self, etag: str) -> bool:
        """Whether a reader already has what that tag is of. Raises PreconditionFailed, as `unchanged` does."""
        if self.match is not None and self.match != (_ANY,) and etag not in self.match:
            raise _failed("If-Match", etag)
        return self.none_match is not None and (self.none_match == (_ANY,) or etag in _weakened(self.none_match))


NONE = Conditions()


def parse_conditions(match: str | None, none_match: str | None) -> Conditions:
    """The conditions of the two header values. Raises InvalidParameters for what is no list of entity tags."""
    if match is None and none_match is None:
        return NONE
    return Conditions(_parse("If-Match", match), _parse("If-None-Match", none_match))


def _parse(header: str, value: str | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    if value.strip() == _ANY:
        return (_ANY,)
    tags, position = [], 0
    while position < len(value):
        found = _TAG.match(value, position)
        if found is None:
            message = 'must be "*" or entity tags in double quotes, as answered in ETag'
            raise InvalidParameters.of(("header", header), "entity_tag", message)
        position = found.end()
        # If-Match compares strongly: a weak tag matches nothing there. If-None-Match compares weakly.
        tags.append((found[1] or "") + found[2])
    if not tags:
        raise InvalidParameters.of(("header", header), "entity_tag", "must not be empty")
    return tuple(tags)


def _weakened(tags: tuple[str, ...]) -> set[str]:
    return {tag.removeprefix("W/") for tag in tags}


def _failed(header: str, etag: str | None) -> PreconditionFailed:
    if etag is None:
        return PreconditionFailed(f"{header} does not hold: there is no such record")
    mend = "read it again and repeat the change" if header == "If-Match" else "it is there already"
    message = f"{header} does not hold: the record is at {etag} now; {mend}"
    return PreconditionFailed(message, headers={"ETag": etag}, current_etag=etag)
