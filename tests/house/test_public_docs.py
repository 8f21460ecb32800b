"""What is public says what it is: every module, and every public function and class of a module, has a docstring."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import SOURCE, Module, modules

# `errors.py` draws its tree once, at the top, with the meaning of each class beside it; a docstring below each would
# say it twice. The tree itself is held to the classes by a test of its own.
_DRAWN = "errors"


def undocumented(source: Path = SOURCE) -> Iterator[str]:
    """`file:line: name`, for each public thing without a docstring."""
    for module in modules(source):
        if module.tree.body and not ast.get_docstring(module.tree):
            yield f"{module.where(module.tree.body[0])}: the module"
        for node in module.tree.body:
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            if not (node.name.startswith("_") or _is_drawn(module, node) or ast.get_docstring(node)):
                yield f"{module.where(node)}: {node.name}"


def _is_drawn(module: Module, node: ast.stmt) -> bool:
    return module.package == _DRAWN and isinstance(node, ast.ClassDef)


def test_whatever_is_public_has_a_docstring() -> None:
    assert list(undocumented()) == []


def test_the_error_tree_draws_every_error() -> None:
    (module,) = [module for module in modules() if module.package == _DRAWN]
    drawn = ast.get_docstring(module.tree) or ""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef) and any(isinstance(base, ast.Name) for base in node.bases):
            assert f" {node.name} " in drawn, f"{module.where(node)}: {node.name} is not in the tree"


@pytest.mark.parametrize(
    "text",
    ["def make() -> None:\n    ...", "class Thing:\n    ...", "async def make() -> None:\n    ...", "import re"],
)
def test_a_missing_docstring_is_found(tmp_path: Path, text: str) -> None:
    source = tmp_path / "src" / "steelyard"
    source.mkdir(parents=True)
    (source / "new.py").write_text(text if text.startswith("import") else f'"""A module."""\n\n{text}\n')

    assert len(list(undocumented(source))) == 1
