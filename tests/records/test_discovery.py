"""What a provider's list of models says."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from steelyard.records.discovery import (
    MOST_MODELS,
    Listed,
    backend_format,
    bases_of,
    entity_name,
    entries,
    list_url,
    pause,
    read_list,
    read_served,
    ready_message,
)
from steelyard.records.names import Reference


def _none(model: Reference) -> Sequence[Mapping[str, Any]]:
    return ()


@pytest.mark.parametrize(
    ("id", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("meta/Llama-3.1-8B-Instruct", "meta-llama-3-1-8b-instruct"),
        ("home/gpt-4o", "gpt-4o"),
        ("Home/gpt-4o", "gpt-4o"),
        ("other/gpt-4o", "other-gpt-4o"),
        ("01-ai/Yi", "m-01-ai-yi"),
        ("a__b  c", "a-b-c"),
        ("models/gemini.", "models-gemini"),
        ("模型", None),
        ("///", None),
        ("x" * 255, "x" * 255),
        ("1" * 255, None),
        ("x" * 256, None),
    ],
)
def test_an_id_has_one_name(id: str, name: str | None) -> None:
    assert entity_name(id, "home") == name


@pytest.mark.parametrize(
    ("id", "dialect"),
    [
        ("claude-sonnet-4", "ANTHROPIC_MESSAGES"),
        ("anthropic.claude-v2", "ANTHROPIC_MESSAGES"),
        ("anthropic/claude", "ANTHROPIC_MESSAGES"),
        ("my-claude-3", "OPENAI_CHAT"),
        ("gpt-4o", "OPENAI_CHAT"),
    ],
)
def test_an_id_tells_the_dialect(id: str, dialect: str) -> None:
    assert backend_format(id) == dialect


@pytest.mark.parametrize(
    "value", [None, [], "x", {}, {"data": {}}, {"data": ["gpt"]}, {"data": [{"name": "x"}]}, {"data": [{"id": ""}]}]
)
def test_what_is_no_list_of_models_is_none(value: Any) -> None:
    assert read_list(value) is None


def test_a_list_is_read_in_its_order_and_each_id_once() -> None:
    value = {"data": [{"id": "b", "parent": None}, {"id": "a", "parent": "b", "root": "/x"}, {"id": "b"}]}
    assert read_list(value) == [Listed("b"), Listed("a", "b")]
    assert read_list({"data": []}) == []


def test_ids_that_cannot_be_taken_are_told() -> None:
    listed = [Listed("Llama.3"), Listed("llama-3"), Listed("///")]

    reading = read_served(listed, "home", None, _none)

    assert entries(reading.served) == [{"model_entity_id": "home/llama-3", "served_model_name": "Llama.3"}]
    assert len(reading.skipped) == 2
    assert "serves 1 model; not taken: 'llama-3': its record home/llama-3" in ready_message(reading)


def test_a_message_is_never_too_long() -> None:
    reading = read_served([Listed("/" * 5000 + str(n)) for n in range(5)], "home", None, _none)
    assert reading.served == []
    assert len(ready_message(reading)) <= 1000
    assert "lists no models" in ready_message(None)


def test_only_enabled_ids_are_taken() -> None:
    listed = [Listed("Llama.3"), Listed("qwen")]
    assert [one.id for one in read_served(listed, "home", ["Llama.3", "absent"], _none).served] == ["Llama.3"]
    assert read_served(listed, "home", [], _none).served == []


def test_no_provider_fills_the_database() -> None:
    reading = read_served([Listed(f"m{n}") for n in range(MOST_MODELS + 2)], "home", None, _none)
    assert (len(reading.served), len(reading.skipped)) == (MOST_MODELS, 2)


@pytest.mark.parametrize("id", ["poems", "team/poems", "Poems"])
def test_an_adapter_that_is_known_is_served_as_one(id: str) -> None:
    def adapters(model: Reference) -> Sequence[Mapping[str, Any]]:
        return [{"workspace": "team", "name": "poems"}] if model == Reference("home", "llama") else []

    reading = read_served([Listed("Llama"), Listed(id, "Llama")], "home", None, adapters)

    assert [str(one.name) for one in reading.served] == ["home/llama", "home/llama&adapters/team/poems"]


def test_an_adapter_that_is_not_known_is_a_model_of_its_own() -> None:
    (served,) = read_served([Listed("poems", "Llama")], "home", None, _none).served
    assert str(served.name) == "home/poems"


def test_bases_are_found() -> None:
    listed = [Listed("Llama"), Listed("poems", "Llama"), Listed("odd", "///")]
    assert bases_of(listed, "home") == {Reference("home", "llama")}


def test_pauses_grow_with_failures_up_to_fifteen_minutes_and_a_fifth() -> None:
    assert [pause(failures, 60, 0.5) for failures in (0, 1, 2, 5, 50)] == pytest.approx([60, 5, 10, 80, 900])
    assert (pause(0, 60, 0), pause(0, 60, 1)) == pytest.approx((48, 72))


@pytest.mark.parametrize("host", ["http://h", "http://h/", "http://h/v1", "http://h/v1/", "http://h/v1?x=1"])
def test_the_version_stands_once_in_the_url(host: str) -> None:
    assert list_url(host) == "http://h/v1/models"
