"""What configuration allows, as pure functions over values. Who may ask is decided elsewhere (`auth/`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from steelyard.errors import Forbidden, Frozen
from steelyard.records.file_policy import FilePolicy
from steelyard.records.forms import UnknownFields
from steelyard.records.trust import AllowLists


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that decide about records."""

    unknown_fields: UnknownFields = "refuse"
    strict_references: bool = False
    protect_references: bool = False
    allow_trust_remote_code: bool = True
    trusted_sources: AllowLists = AllowLists()  # noqa: RUF009 - frozen
    allow_tool_call_plugin: bool = False
    allow_secret_access: bool = False
    max_record_bytes: int = 1_048_576
    max_depth: int = 64
    files: FilePolicy = FilePolicy()  # noqa: RUF009 - frozen


FREEZABLE = ("spec", "fileset", "trust_remote_code")


def check_frozen(before: Mapping[str, Any], set_now: Mapping[str, Any]) -> None:
    """Raises Frozen if a frozen model would get another spec, fileset or trust; trust may always be taken back."""
    if not before.get("frozen"):
        return
    for field in FREEZABLE:
        if field in set_now and not (field == "trust_remote_code" and not set_now[field]):
            raise Frozen(f"the model is frozen: its {field} cannot be changed", field=field)


def check_trust(policy: Policy, values: Mapping[str, Any]) -> None:
    """Raises Forbidden if `values`, the fields that a caller sets on a model, ask for code that policy does not allow.

    Taking trust back is always allowed.
    """
    if values.get("trust_remote_code") and not policy.allow_trust_remote_code:
        raise Forbidden(
            "trust_remote_code is switched off on this server (setting models.trust_remote_code.enabled)",
            field="trust_remote_code",
        )
    if names_plugin(values) and not policy.allow_tool_call_plugin:
        raise Forbidden(
            "spec.tool_call_config.tool_call_plugin is code, and switched off on this server "
            "(setting models.tool_call_plugin.enabled)",
            field="spec.tool_call_config.tool_call_plugin",
        )


def names_plugin(values: Mapping[str, Any]) -> bool:
    """Whether `values`, the fields that a caller sets on a model, name a plugin, which is code."""
    return plugin_of(values) is not None


def plugin_of(values: Mapping[str, Any]) -> str | None:
    """The plugin that the fields of a model name."""
    tool_calls = (values.get("spec") or {}).get("tool_call_config") or {}
    return tool_calls.get("tool_call_plugin") or None
