"""Paths of files: what a fileset takes, and what it never does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.records.paths import folders_above, path_fault


@pytest.mark.parametrize("path", ["a", "a/b.txt", "weights/model-00001-of-00002.safetensors", "ü/名.json", "a b/c"])
def test_an_ordinary_path_is_fine(path: str) -> None:
    assert path_fault(path) is None


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a/.", "..\\a", "C:\\x", "c:x", "a\0b", "a\nb"),
        "\x7f",
        *("a" * 256, "/".join("a" for _ in range(65)), "/".join(["a" * 200] * 6), "a.", "a ", "b ./c", "\ud800"),
    ],
)
def test_a_path_that_could_lie_elsewhere_or_that_some_system_cannot_have_is_not(path: str) -> None:
    assert path_fault(path)


@given(st.text(max_size=60))
def test_what_is_fine_stays_below_its_folder_everywhere(path: str) -> None:
    if path_fault(path) is None:
        for separator in ("/", "\\"):
            steps = path.split(separator)
            assert not {"", ".", ".."} & set(steps)


def test_the_folders_above_a_file_are_told_from_the_outermost() -> None:
    assert folders_above("a/b/c.txt") == ["a", "a/b"]
    assert folders_above("c.txt") == []
