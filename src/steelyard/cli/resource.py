"""What a kind of record looks like from the command line: where it lives, its columns, its options."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import typer

from steelyard.cli.address import segment
from steelyard.cli.errors import UsageError
from steelyard.cli.values import Reader


class Kind(Enum):
    """How the option of a field is written."""

    TEXT = "text"
    TEXTS = "texts"
    SWITCH = "switch"
    NUMBER = "number"
    JSON = "json"
    JSON_OR_TEXT = "json or text"
    HIDDEN = "hidden"


@dataclass(frozen=True, slots=True)
class Field:
    """A field that `create` and `update` set; `option` where its name would read badly as an option.

    `clearable` says whether it can be without a value, `fixed` that only `create` sets it; `least` is of a number.
    """

    name: str
    help: str
    kind: Kind = Kind.TEXT
    option: str = ""
    metavar: str = ""
    choices: tuple[str, ...] = ()
    clearable: bool = True
    fixed: bool = False
    least: int = 1

    @property
    def flag(self) -> str:
        """The option's name, dashes and all."""
        return self.option or "--" + self.name.replace("_", "-")

    def parameter(self) -> tuple[Any, Any]:
        """The annotation and the default of the command's parameter."""
        if self.kind is Kind.SWITCH:
            option = typer.Option(f"{self.flag}/--no-{self.flag[2:]}", help=self.help)
            return Annotated[bool | None, option], None
        if self.kind is Kind.NUMBER:
            return Annotated[int | None, typer.Option(self.flag, help=self.help, min=self.least)], None
        kind = {Kind.TEXT: "TEXT", Kind.TEXTS: "TEXT"}.get(self.kind, "JSON")
        option = typer.Option(
            self.flag,
            help=self.help + (" May be given several times." if self.kind is Kind.TEXTS else ""),
            metavar=self.metavar or kind,
            autocompletion=self._complete if self.choices else None,
        )
        if self.kind is Kind.TEXTS:
            return Annotated[list[str] | None, option], None
        return Annotated[str | None, option], None

    def read(self, reader: Reader, value: Any) -> Any:
        """What the field is set to by what the option was given. Raises `UsageError`."""
        if self.kind is Kind.JSON or (
            self.kind is Kind.JSON_OR_TEXT and (value == "-" or value.startswith(("{", "@", '"')))
        ):
            return reader.json(self.flag, value)
        return reader.secret(self.flag, value) if self.kind is Kind.HIDDEN else value

    def _complete(self, incomplete: str) -> list[str]:
        return [choice for choice in self.choices if choice.startswith(incomplete)]


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of record. `path` holds `{workspace}` where the record lives in one.

    `kind` is what manifests, exports and events call it, where that is not the noun.
    """

    noun: str
    plural: str
    path: str
    about: str
    columns: tuple[str, ...]
    fields: tuple[Field, ...]
    hidden_part: str = ""
    freezes: bool = False
    examples: tuple[str, ...] = ()
    kind: str = ""

    @property
    def clearable(self) -> list[str]:
        """The fields that `--unset` takes."""
        return [field.name for field in self.fields if field.clearable and not field.fixed]

    @property
    def scoped(self) -> bool:
        """Whether records live in a workspace."""
        return "{workspace}" in self.path

    def collection(self, workspace: str) -> str:
        """The path of the list. Raises `UsageError` for a name that no workspace can have."""
        return self.path.format(workspace=segment(workspace, "workspace")) if self.scoped else self.path

    def home(self, workspace: str) -> str:
        """The path of the list in one workspace, not in all of them. Raises `UsageError`."""
        if self.scoped and workspace == "-":
            raise UsageError(f"`-` is all workspaces; name the one of the {self.noun}")
        return self.collection(workspace)

    def item(self, workspace: str, name: str) -> tuple[str, str]:
        """The path of one record (`name` or `workspace/name`), and what to call it. Raises `UsageError`."""
        if not self.scoped:
            return f"{self.path}/{segment(name, self.noun)}", name
        if "/" in name:
            workspace, _, name = name.partition("/")
        return f"{self.home(workspace)}/{segment(name, self.noun)}", f"{workspace}/{name}"

    def parameters(self, *, create: bool = False) -> dict[str, tuple[Any, Any]]:
        """The parameters of the fields that can be changed, by name; for a `create` of all of them."""
        return {field.name: field.parameter() for field in self.fields if create or not field.fixed}

    def read(self, reader: Reader, values: Mapping[str, Any]) -> dict[str, Any]:
        """The fields that options set. Raises `UsageError`."""
        return {
            field.name: field.read(reader, values[field.name])
            for field in self.fields
            if values.get(field.name) not in (None, [])
        }
