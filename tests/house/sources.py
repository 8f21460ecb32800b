"""The source as the tests of this folder read it: parsed, never imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "steelyard"


@dataclass(frozen=True)
class Import:
    """One import of one module. `module` is absolute; `lazy` says that it stands inside a function."""

    where: str
    module: str
    lazy: bool


@dataclass(frozen=True)
class Module:
    """A file of the product. `package` is the folder (or file) of `src/steelyard/` that it belongs to."""

    file: Path
    source: Path = SOURCE

    @property
    def package(self) -> str:
        return self.file.relative_to(self.source).parts[0].removesuffix(".py")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.file.read_text(), str(self.file))

    def where(self, node: ast.stmt | ast.expr) -> str:
        """The place of a node, as an editor opens it."""
        return f"{self.file.relative_to(self.source.parents[1])}:{node.lineno}"

    def imports(self) -> Iterator[Import]:
        """All imports, those inside functions too. `from a import b` counts as `a.b`, which may be a module."""
        yield from self._imports(self.tree, lazy=False)

    def _imports(self, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(self.where(child), alias.name, lazy)
            elif isinstance(child, ast.ImportFrom):
                base = self._absolute(child)
                for alias in child.names:
                    yield Import(self.where(child), f"{base}.{alias.name}", lazy)
            else:
                inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                yield from self._imports(child, lazy=lazy or inside)

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        parts = ("steelyard", *self.file.relative_to(self.source).parts[:-1])
        return ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])


def modules(source: Path = SOURCE) -> list[Module]:
    """Every Python file of the product."""
    return [Module(file, source) for file in sorted(source.rglob("*.py"))]
