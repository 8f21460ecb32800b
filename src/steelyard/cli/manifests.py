"""Manifests: records as files say that they should be.

A manifest is an object with `kind`, `name`, `record` (the fields that can be written) and, where it is not the one of
the command, `workspace`. A file holds any number of them, as YAML documents, as lists, or as JSON values one after the
other; so the lines of an export are manifests too.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from steelyard.cli.errors import UsageError
from steelyard.cli.kinds import KINDS
from steelyard.cli.strict_yaml import yaml_values
from steelyard.cli.values import Reader, json_values

EXPORT_VERSION = 1
_KEYS = ("kind", "name", "workspace", "record")
_JSON = frozenset({".json", ".ndjson", ".jsonl"})
_YAML = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class Manifest:
    """A record as it should be; `workspace` is empty for a workspace itself. `origin` is the file and its line."""

    kind: str
    workspace: str
    name: str
    record: dict[str, Any]
    origin: str

    @property
    def home(self) -> str:
        """The workspace that it is in, or is."""
        return self.workspace or self.name


def read_manifests(paths: Sequence[str], workspace: str, reader: Reader) -> list[Manifest]:
    """All manifests of files, of folders with what is below them, and of the standard input (`-`).

    `workspace` is where those are that do not say it. Raises `UsageError` for what is none, and for two of one record.
    """
    found: dict[tuple[str, str, str], Manifest] = {}
    for path in chain.from_iterable(map(_files, paths)):
        for manifest in _manifests(path, reader.text("--file", path), workspace):
            key = (manifest.kind, manifest.workspace, manifest.name)
            if key in found:
                raise UsageError(
                    f"{manifest.origin}: {manifest.kind} {manifest.name} stands in {found[key].origin} already"
                )
            found[key] = manifest
    if not found:
        raise UsageError(f"no manifests in {', '.join(paths)}")
    return list(found.values())


def _files(path: str) -> list[str]:
    if path == "-" or not Path(path).is_dir():
        return [path]
    below = sorted(file for file in Path(path).rglob("*") if file.suffix in _JSON | _YAML and file.is_file())
    # Folders such as .git and .github belong to other tools.
    return [str(file) for file in below if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _manifests(path: str, text: str, workspace: str) -> Iterator[Manifest]:
    what = "the standard input" if path == "-" else path
    suffix = Path(path).suffix
    as_json = suffix in _JSON or (suffix not in _YAML and text.lstrip()[:1] in {"{", "["})
    exported = False
    for line, value in (json_values if as_json else yaml_values)(text, what):
        origin = f"{what}:{line}"
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and "steelyard_export" in item:
                if item["steelyard_export"] != EXPORT_VERSION:
                    raise UsageError(
                        f"{origin}: an export of version {item['steelyard_export']!r}, not {EXPORT_VERSION}"
                    )
                exported = True
            else:
                yield _manifest(item, origin, workspace, exported=exported)


def _manifest(item: Any, origin: str, workspace: str, *, exported: bool) -> Manifest:
    if not isinstance(item, dict):
        raise UsageError(f"{origin}: a manifest is an object with {', '.join(_KEYS)}")
    for key in item:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"a manifest has {', '.join(_KEYS)}"
            raise UsageError(f"{origin}: unknown key {key!r}; {hint}")
    kind, record = item.get("kind"), item.get("record", {})
    if kind not in KINDS:
        raise UsageError(f"{origin}: `kind` must be one of {', '.join(KINDS)}")
    if not isinstance(record, dict):
        raise UsageError(f"{origin}: `record` must be an object, with the fields of the {kind}")
    home = _text(item, "workspace", origin) if item.get("workspace") is not None else workspace
    if not KINDS[kind].scoped:
        # In an export it is the one that the lines are taken into, whatever it was called where it comes from.
        home, name = "", workspace if exported else _text(item, "name", origin)
    else:
        name = _text(item, "name", origin)
    if "-" in {home, name}:
        raise UsageError(f"{origin}: `-` is no workspace and no name; give one with --workspace")
    return Manifest(kind, home, name, record, origin)


def _text(item: dict[str, Any], key: str, origin: str) -> str:
    value = item.get(key)
    if not isinstance(value, str) or not value:
        raise UsageError(f"{origin}: `{key}` must be a text (in quotes, where it looks like something else)")
    return value
