"""A spec while it is written: each field with its source, or with the reason why it is not known."""

from typing import Any

from steelyard.records.spec import ModelSpec


class Draft:
    """The fields of a ModelSpec as they become known. What is neither set nor explained is simply not so: null."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = dict.fromkeys(ModelSpec.model_fields)
        self.sources: dict[str, str] = {}
        self.missing: dict[str, str] = {}

    def set(self, field: str, value: Any, source: str) -> None:
        """Says what a field is and where that was read."""
        self.values[field] = value
        self.sources[field] = source
        self.missing.pop(field, None)

    def unknown(self, field: str, reason: str) -> None:
        """Says why a field is not known. What was said before stays."""
        if self.values[field] is None:
            self.missing[field] = reason
