"""What was read of a checkpoint, as a person sees it: the spec with its sources, and what there is to look at."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from steelyard.cli.bars import size_text
from steelyard.cli.errors import printable
from steelyard.cli.output import Output

_LONGEST = 60
_MOST_FINDINGS = 20
_COLOURS = {"dangerous": "red", "suspicious": "yellow", "not scanned": "yellow"}

Inspection = Mapping[str, Any]
"""As the server answers it: see `GET …/models/{name}/inspection`."""


def show_findings(output: Output, inspection: Inspection) -> None:
    """Prints an inspection: a table of what is known, then a line for everything else that matters."""
    if output.quiet:
        return
    fields: Mapping[str, Mapping[str, Any]] = inspection["fields"]
    rows = [
        (name, _short(field["value"]), printable(field.get("source") or ""))
        for name, field in fields.items()
        if field.get("value") is not None
    ]
    if rows:
        output.table(("field", "value", "source"), rows)
    for text, colour in _lines(inspection):
        output.line(text, colour)


def _lines(inspection: Inspection) -> Iterator[tuple[str, str | None]]:
    if inspection.get("reason"):
        yield f"not read: {inspection['reason']}", "yellow"
    for name, field in inspection["fields"].items():
        if field.get("value") is None and field.get("missing") and name != "linear_layers":
            yield f"not known: {name}: {field['missing']}", None
    adapter = inspection.get("adapter")
    if adapter:
        yield _adapter(adapter), None
    yield from _code(inspection["remote_code"])
    for fault in inspection["faults"]:
        yield f"fault: {fault['path']}: {fault['message']}", "yellow"
    for pickle in inspection["pickles"]:
        yield from _pickle(pickle)
    read = inspection["read"]
    if read:
        yield f"read: {size_text(sum(file['nbytes'] for file in read))} of {len(read):,} files; nothing was run", None


def _adapter(adapter: Mapping[str, Any]) -> str:
    parts = [str(adapter.get("peft_type") or "of an unknown type")]
    parts += [f"{name} {adapter[name]:g}" for name in ("rank", "alpha") if adapter.get(name) is not None]
    modules = adapter.get("target_modules") or ()
    if modules:
        parts.append(f"on {', '.join(modules[:8])}" + (" and more" if len(modules) > 8 else ""))
    if adapter.get("base_model_name_or_path"):
        parts.append(f"of {adapter['base_model_name_or_path']}")
    return f"adapter: {', '.join(parts)}"


def _code(code: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    if not code["files"] and not code["needed"]:
        return
    needed = "cannot be loaded without" if code["needed"] else "brings, and need not run"
    for file in code["files"]:
        trusted = {True: ", trusted", False: ", not trusted"}.get(file.get("trusted"), "")
        text = (
            f"code: {file['path']}  {size_text(file['size'])}  sha256 {(file.get('sha256') or 'unknown')[:16]}{trusted}"
        )
        yield text, "yellow" if file.get("trusted") is False and code["needed"] else None
    yield f"code: what the checkpoint {needed}" + "".join(f"; {reason}" for reason in code["reasons"]), None


def _pickle(pickle: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    verdict = pickle["verdict"]
    yield f"pickle: {pickle['path']}: {verdict} ({pickle['kind']})", _COLOURS.get(verdict)
    findings = pickle["findings"]
    for finding in findings[:_MOST_FINDINGS]:
        where = f"{finding['where']}: " if finding["where"] else ""
        yield f"  {finding['level']}: {where}{finding['what']}", _COLOURS.get(finding["level"])
    if len(findings) > _MOST_FINDINGS:
        yield f"  and {len(findings) - _MOST_FINDINGS} more", None


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f"{len(value):,} of them"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = printable(text)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
