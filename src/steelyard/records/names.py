"""Names of records, and references from one record to another.

Two patterns, both of which a name must match from end to end (no trailing newline, ASCII only):

* the open one, for models, adapters, providers, prompts and secrets: 1 to 255 letters of both cases, digits, `_ - .`;
* the narrow one, for workspaces, projects, filesets and virtual models: 2 to 63 characters, a lower-case letter first,
  then lower-case letters, digits and `- @ . + _`, without `--` and without a `-` at the end.

`.` and `..` are no names. Names are compared exactly, case and all.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

OPEN_PATTERN = r"^[A-Za-z0-9_\-.]+$"
NARROW_PATTERN = r"^[a-z](?!.*--)[a-z0-9\-@.+_]{1,62}(?<!-)$"
PROJECT_PATTERN = r"^[A-Za-z0-9_\-.@+/]+$"
OPEN_LENGTH = 255
REFERENCE_LENGTH = 511

_OPEN = re.compile(r"[A-Za-z0-9_\-.]{1,255}")
_NARROW = re.compile(r"[a-z](?!.*--)[a-z0-9\-@.+_]{1,62}(?<!-)")
_SEGMENT = re.compile(r"[A-Za-z0-9_\-.@+]{1,255}")

OPEN_RULE = "a name has 1 to 255 ASCII letters, digits, '_', '-' or '.', and is not '.' or '..'"
NARROW_RULE = (
    "a name has 2 to 63 characters: first a lower-case letter, then lower-case letters, digits, '-', '@', '.', '+' or "
    "'_', without '--' and without '-' at the end"
)
REFERENCE_RULE = "a reference is 'name' or 'workspace/name'"


def is_open_name(name: str) -> bool:
    """Whether `name` can be the name of a model, adapter, provider, prompt or secret."""
    return _OPEN.fullmatch(name) is not None and name not in {".", ".."}


def is_narrow_name(name: str) -> bool:
    """Whether `name` can be the name of a workspace, project, fileset or virtual model."""
    return _NARROW.fullmatch(name) is not None


def _open(name: str) -> str:
    if not is_open_name(name):
        raise PydanticCustomError("name", OPEN_RULE)
    return name


def _narrow(name: str) -> str:
    if not is_narrow_name(name):
        raise PydanticCustomError("name", NARROW_RULE)
    return name


# The schema states the pattern, the validator is the law: a `$` alone would let a trailing newline pass.
OpenName = Annotated[
    str,
    AfterValidator(_open),
    Field(json_schema_extra={"pattern": OPEN_PATTERN, "minLength": 1, "maxLength": OPEN_LENGTH}),
]
NarrowName = Annotated[str, AfterValidator(_narrow), Field(json_schema_extra={"pattern": NARROW_PATTERN})]


@dataclass(frozen=True, slots=True)
class Reference:
    """The workspace and the name of a record, whether or not it exists."""

    workspace: str
    name: str

    def __str__(self) -> str:
        return f"{self.workspace}/{self.name}"


def parse_reference(text: str, home: str) -> Reference | None:
    """The reference that `text` spells, a bare name being of the workspace `home`; None if it spells none."""
    parts = text.split("/")
    if len(parts) == 1:
        parts.insert(0, home)
    if len(parts) != 2 or not all(_SEGMENT.fullmatch(part) and part not in {".", ".."} for part in parts):
        return None
    return Reference(*parts)
