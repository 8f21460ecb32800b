"""A kind with a field of every type, and short ways to read a filter for it."""

from collections.abc import Callable
from typing import Any

import pytest

from steelyard.errors import BadFilter
from steelyard.records.filters import Filter, FilterField, FilterFields, echo, parse_filter

Pair = tuple[str, str]


@pytest.fixture(scope="session")
def fields() -> FilterFields:
    return FilterFields(
        kind="model",
        fields=(
            FilterField.text("description"),
            FilterField.enum("finetuning_type", ("lora", "lora_merged", "grpo")),
            FilterField.text_or_presence("owner"),
            FilterField.reference("fileset"),
            FilterField.reference("base_model"),
            FilterField.presence("prompt"),
            FilterField.flag("trust_remote_code"),
            FilterField.time("served_at", path=("served", "at")),
            FilterField.relation(
                "adapters", "adapter", (FilterField.enum("finetuning_type", ("lora", "dora")), "description")
            ),
        ),
        secret_paths=("api_endpoint.api_key",),
    )


@pytest.fixture(scope="session")
def read(fields: FilterFields) -> Callable[..., Filter | None]:
    """Reads pairs, or one raw text, as a filter of a list in workspace `home`."""

    def read(*given: Pair | str, home: str = "here") -> Filter | None:
        pairs = [("filter", one) if isinstance(one, str) else one for one in given]
        return parse_filter(pairs, fields, home=home)

    return read


@pytest.fixture(scope="session")
def said(read: Callable[..., Filter | None]) -> Callable[..., dict[str, Any]]:
    """What the filter says, as JSON."""

    def said(*given: Pair | str, home: str = "here") -> dict[str, Any]:
        filter = read(*given, home=home)
        assert filter is not None
        return echo(filter)

    return said


@pytest.fixture(scope="session")
def refusal(read: Callable[..., Filter | None]) -> Callable[..., str]:
    """The message with which a filter is refused."""

    def refusal(*given: Pair | str, home: str = "here") -> str:
        with pytest.raises(BadFilter) as caught:
            read(*given, home=home)
        assert caught.value.details == {"parameter": "filter"}
        return caught.value.message

    return refusal
