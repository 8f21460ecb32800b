"""How a difference is shown to a person: a path, what stood there, what stands there now; and what a dry run says."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from steelyard.cli.output import Output

_ONE_LINE = 100
_CONTEXT_LINES = 1
_AT_THE_TOP = ("@@ -0", "@@ -1,", "@@ -1 ")
_COLOURS = {"-": "red", "+": "green"}
_AFFECTED: Mapping[str, str] = {
    "missing": "it would name what is not there",
    "dangling": "these would name what is gone",
    "released": "these would leave it",
    "removed": "records that would go with it",
    "adapters": "adapters that would lose their base",
    "routes": "requests to these would go another way",
}


def show_differences(output: Output, diff: Sequence[Mapping[str, Any]], indent: str = "") -> None:
    """Each path with what it loses (-) and what it gets (+)."""
    for difference in diff:
        output.line(f"{indent}{difference.get('path')}", "cyan")
        if difference.get("secret_changed"):
            output.line(f"{indent}  a secret, which is another one", "yellow")
            continue
        for line in _lines(difference.get("before"), difference.get("after")):
            output.line(f"{indent}  {line}", _COLOURS.get(line[:1]))


def show_preview(output: Output, title: str, preview: Mapping[str, Any]) -> None:
    """What a dry run says: what would change in the record, and what else it would touch."""
    diff = preview.get("diff") or []
    output.line(f"{title}; nothing was written" if diff else f"{title}: it would change nothing")
    show_differences(output, diff, "  ")
    show_affected(output, preview.get("affected") or {}, "  ")


def show_affected(output: Output, affected: Mapping[str, Any], indent: str = "") -> None:
    """What else a write would touch."""
    for key, meaning in _AFFECTED.items():
        if found := affected.get(key):
            output.line(f"{indent}{meaning}: {_named(found)}", "yellow")


def _named(found: Any) -> str:
    if not isinstance(found, list):
        return str(found)
    return ", ".join(
        f"{item.get('kind')} {item.get('reference')} ({item.get('field')})" if isinstance(item, dict) else str(item)
        for item in found
    )


def _lines(before: Any, after: Any) -> Iterator[str]:
    old, new = _written(before), _written(after)
    if len(old) < 2 or len(new) < 2:
        yield from (f"- {line}" for line in old)
        yield from (f"+ {line}" for line in new)
        return
    from difflib import unified_diff  # noqa: PLC0415

    # The first two lines are names of files, and each @@ is where equal lines are left out.
    for line in list(unified_diff(old, new, n=_CONTEXT_LINES, lineterm=""))[2:]:
        if not line.startswith("@@"):
            yield f"{line[0]} {line[1:]}"
        elif not line.startswith(_AT_THE_TOP):
            yield "…"


def _written(value: Any) -> list[str]:
    """A value as lines: a text of several lines as it is, all else as JSON."""
    if value is None:
        return []
    if isinstance(value, str) and "\n" in value:
        return value.splitlines()
    text = json.dumps(value, ensure_ascii=False)
    return [text] if len(text) <= _ONE_LINE else json.dumps(value, indent=2, ensure_ascii=False).splitlines()
