"""The leaves of the tree of settings: the key and the variable of each, and what may stand there in words."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from steelyard.settings.tree import DELIMITER, PREFIX, Settings


@dataclass(frozen=True, slots=True)
class Setting:
    """One leaf of the tree: its dotted key, and what may stand there in words."""

    key: str
    field: FieldInfo
    kind: str

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return PREFIX + self.key.replace(".", DELIMITER).upper()

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return _is_secret(self.field.annotation)


def _is_secret(annotation: Any) -> bool:
    return annotation is SecretStr or any(map(_is_secret, get_args(annotation)))


def all_settings(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[Setting]:
    """Every leaf of the tree, in the order in which it is written."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from all_settings(field.annotation, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, field, _kind(prefix + name, field))


_KINDS = {
    "data_dir": "the path of a folder",
    "master_key": "32 bytes in base64",
    "outbound.schemes": "a list of https, http",
    "outbound.allowed_hosts": "a list of host names",
    "outbound.allowed_networks": "a list of networks, as 10.0.0.0/8",
    "outbound.ca_bundle": "the path of a file",
    "models.trust_remote_code.hf_allow_list": "a list of names or regular expressions",
    "models.trust_remote_code.ngc_allow_list": "a list of names or regular expressions",
    "files.source_hosts": "a list of host names",
    "files.folders": "a list of name=path",
    "telemetry.otlp_endpoint": "an http or https URL",
    "telemetry.otlp_headers": "a list of name=value",
    "master_key_file": "the path of a file",
    "master_key_command": "a command and its arguments",
    "master_key_previous": "a list of keys in base64, or paths of files",
}


def _kind(key: str, field: FieldInfo) -> str:
    if key in _KINDS:
        return _KINDS[key]
    bounds = {type(item).__name__: item for item in field.metadata}
    if field.annotation is float:
        least = f"from {bounds['Ge'].ge}" if "Ge" in bounds else f"above {bounds['Gt'].gt}"
        return f"a number {least} to {bounds['Le'].le}"
    if "Ge" in bounds:
        return f"a whole number from {bounds['Ge'].ge} to {bounds['Le'].le}"
    if field.annotation is bool:
        return "true or false"
    choices = [one for one in getattr(field.annotation, "__args__", ()) if isinstance(one, str)]
    return "one of " + ", ".join(choices) if choices else "a non-empty text"
