"""Whose code may run: what counts as code in a checkpoint, and which rule lets it be trusted. Pure functions."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

_CODE = (".py", ".pyc", ".pyi", ".so", ".pyd", ".dll", ".dylib")
DANGEROUS = "dangerous"
"""The verdict of a scan about what would run, when it is loaded, what no weights need."""
BY_CALLER = "caller"
"""The rule of a server where the caller may decide it."""


def is_code(path: str) -> bool:
    """Whether a file is one that an engine would run, or load into itself, when it trusts the model's code."""
    return path.lower().endswith(_CODE)


def code_files(files: Iterable[tuple[str, str, str | None]]) -> dict[str, str]:
    """What trust is given to, of files by path, what identifies their contents, and the verdict of the scan: the code
    files, and the pickles that would run something dangerous.
    """
    return {path: content for path, content, verdict in sorted(files) if is_code(path) or verdict == DANGEROUS}


class AllowLists(NamedTuple):
    """The sources whose code may be trusted without asking anybody: names, or regular expressions of whole names."""

    huggingface: tuple[str, ...] = ()
    ngc: tuple[str, ...] = ()


def rule_for(allowed: AllowLists, storage: Mapping[str, Any] | None) -> str:
    """The rule by which trust may be given to what comes from `storage` (None: to a model without a fileset)."""
    if storage and storage["type"] == "huggingface" and (entry := _listed(allowed.huggingface, storage["repo_id"])):
        return f"allow list huggingface: {entry}"
    if storage and storage["type"] == "ngc":
        target = "/".join(part for part in (storage["org"], storage["team"], storage["target"]) if part)
        if entry := _listed(allowed.ngc, target):
            return f"allow list ngc: {entry}"
    return BY_CALLER


def _listed(entries: Iterable[str], name: str) -> str | None:
    """The first entry that is the name or, as a regular expression, matches all of it."""
    return next((entry for entry in entries if entry == name or _matches(entry, name)), None)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:
        return False
