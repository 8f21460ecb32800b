"""Names and references: the two patterns, from end to end."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.records.names import (
    NARROW_PATTERN,
    OPEN_PATTERN,
    Reference,
    is_narrow_name,
    is_open_name,
    parse_reference,
)

OPEN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
NARROW = "abcdefghijklmnopqrstuvwxyz0123456789-@.+_"
texts = st.text(max_size=6) | st.text(f"{OPEN}@+/ \n", max_size=6)


@pytest.mark.parametrize("name", ["a", "A", "9", "Llama-3", "a--b", "...", "_", "-", ".a", "a" * 255])
def test_open_names(name: str) -> None:
    assert is_open_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a" * 256, "a\n", "\na", "a b", "a/b", "a@b", "a+b", "é", "Ａ", "٣", "a\0"]
)
def test_what_is_no_open_name(name: str) -> None:
    assert not is_open_name(name)


@pytest.mark.parametrize("name", ["ab", "a1", "a@b.c+d_e", "a-b-c", "a.", "a" * 63])
def test_narrow_names(name: str) -> None:
    assert is_narrow_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a", "Ab", "1a", ".a", "..", "a--b", "ab-", "a" * 64, "ab\n", "\nab", "a\nb", "a b", "a/b", "aé", "a\0"],
)
def test_what_is_no_narrow_name(name: str) -> None:
    assert not is_narrow_name(name)


@given(texts)
def test_an_open_name_is_of_its_letters_and_no_step_of_a_path(text: str) -> None:
    assert is_open_name(text) == (bool(text) and set(text) <= set(OPEN) and text not in {".", ".."})


@given(texts)
def test_a_narrow_name_is_of_its_letters(text: str) -> None:
    expected = (
        2 <= len(text) <= 63
        and set(text) <= set(NARROW)
        and text[0].isalpha()
        and "--" not in text
        and not text.endswith("-")
    )
    assert is_narrow_name(text) == expected


@given(texts)
def test_the_stated_patterns_say_the_same_but_for_what_they_cannot(text: str) -> None:
    """A `$` lets a trailing newline pass, and a pattern alone knows no length and no dots: the code is the law."""
    plain = not text.endswith("\n")
    assert is_narrow_name(text) == (plain and re.search(NARROW_PATTERN, text) is not None)
    if text not in {".", ".."}:
        assert is_open_name(text) == (plain and re.search(OPEN_PATTERN, text) is not None)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("name", ("home", "name")),
        ("other/name", ("other", "name")),
        ("a@b/c+d", ("a@b", "c+d")),
        ("Llama-3", ("home", "Llama-3")),
        ("a" * 255 + "/" + "b" * 255, ("a" * 255, "b" * 255)),
    ],
)
def test_references(text: str, reference: tuple[str, str]) -> None:
    found = parse_reference(text, "home")
    assert found == Reference(*reference)
    assert str(found) == "/".join(reference)
    assert parse_reference(str(found), "elsewhere") == found


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            "a/b/c",
            ".",
            "..",
            "../a",
            "a/..",
            "./a",
            "a\n",
            "a/b\n",
            "a b",
            "é/a",
            "hf://a",
        ),
        "a" * 256,
    ],
)
def test_what_is_no_reference(text: str) -> None:
    assert parse_reference(text, "home") is None


@given(texts)
def test_a_reference_is_one_or_two_steps_and_never_a_way_up(text: str) -> None:
    found = parse_reference(text, "home")
    if found is not None:
        assert str(found) in {text, f"home/{text}"}
        assert not {found.workspace, found.name} & {"", ".", ".."}
