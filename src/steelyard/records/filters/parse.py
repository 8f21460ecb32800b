"""The entry: from the pairs of a query string to one filter, whichever of the three syntaxes it is in."""

from collections.abc import Sequence

from steelyard.records.filters.ast import Filter, comparisons
from steelyard.records.filters.brackets import parse_brackets
from steelyard.records.filters.criteria import Scope
from steelyard.records.filters.fields import FilterFields, bad
from steelyard.records.filters.objects import parse_json
from steelyard.records.filters.text import parse_text

MAX_BYTES = 16 * 1024
MAX_COMPARISONS = 200


def parse_filter(query_items: Sequence[tuple[str, str]], fields: FilterFields, *, home: str) -> Filter | None:
    """Read the filter of a query string's decoded pairs, or None when it has none.

    One `filter` value wins over `filter[...]` keys; it is JSON when it starts with `{`, else text. `home` is
    the workspace that bare references are in, `-` for any. Raises BadFilter for everything that is wrong.
    """
    raw = [value for key, value in query_items if key == "filter"]
    brackets = [(key, value) for key, value in query_items if key.startswith("filter[")]
    if not raw and not brackets:
        return None
    if len(raw) > 1:
        raise bad("Parameter 'filter' stands more than once; join its filters with AND")
    texts = raw or [text for pair in brackets for text in pair]
    if sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) > MAX_BYTES:
        raise bad(f"The filter is longer than {MAX_BYTES // 1024} KiB")
    scope = Scope(fields, home)
    found = _raw(raw[0], scope) if raw else parse_brackets(brackets, scope)
    count = comparisons(found)
    if count > MAX_COMPARISONS:
        raise bad(f"The filter has {count} comparisons; at most {MAX_COMPARISONS} are taken ($in counts as one)")
    return found


def _raw(text: str, scope: Scope) -> Filter:
    start = text.strip()
    if not start:
        raise bad("The filter cannot be empty; leave it out to get everything")
    return parse_json(text, scope) if start.startswith("{") else parse_text(text, scope)
