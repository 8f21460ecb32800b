"""The names by which models are called, in their one spelling."""

import pytest

from steelyard.errors import InvalidInput
from steelyard.records.model_names import canonical_model_name, links_of, parse_model_name


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("m", "home/m"),
        ("w/m", "w/m"),
        ("Llama-3", "home/Llama-3"),
        ("llama@prod", "home/llama@prod"),
        ("w/base&adapters/a/polite", "w/base&adapters/a/polite"),
        ("base&adapters/a/polite", "home/base&adapters/a/polite"),
        ("base&adapters/polite", "home/base&adapters/home/polite"),
    ],
)
def test_a_name_has_one_spelling(text: str, canonical: str) -> None:
    assert canonical_model_name(text, "home", ("body", "model")) == canonical
    assert canonical_model_name(canonical, "elsewhere", ("body", "model")) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/b/c",
        "..",
        "w/..",
        "a b",
        "m&",
        "&adapters/a/x",
        "m&adapters/",
        "m&adapters/a/b/c",
        "m&adapter/a/x",
        "m@prod&adapters/a/x",
        "m&adapters/a/x@prod",
        "m&adapters/a/x&adapters/a/y",
    ],
)
def test_what_names_no_model(text: str) -> None:
    assert parse_model_name(text, "home") is None
    assert links_of("model", text, "home") == []
    with pytest.raises(InvalidInput) as refused:
        canonical_model_name(text, "home", ("body", "models", 0, "model"))
    assert refused.value.faults[0].location == ("body", "models", 0, "model")


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("m", [("model", "home/m")]),
        ("llama@prod", [("alias", "home/llama@prod")]),
        ("w/base&adapters/a/polite", [("model", "w/base"), ("adapter", "a/polite")]),
        (None, []),
    ],
)
def test_a_name_links_to_what_it_names(text: str | None, links: list[tuple[str, str]]) -> None:
    assert [(link.target_kind, str(link.target)) for link in links_of("model", text, "home")] == links
