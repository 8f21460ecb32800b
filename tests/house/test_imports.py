"""The house has one direction: records <- store, blobs, inspect <- actions <- api, gateway, cli, ui, mcp.

A package may import itself, and what stands in its line of `MAY_IMPORT`; a package that is new here gets a line when it
is made. What a package may not know of the outside world stands in `FOREIGN`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.sources import SOURCE, Import, Module, modules

_FOUNDATION = {"errors", "version"}
# What is known of a store: its duties, and the values that are handed to it.
_STORE = {"store.protocol", "store.queries"}
_FACE = {"errors", "version", "scope", "settings", "records", "actions", "auth", "outbound", *_STORE}

MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "scope": set(),
    "settings": {"errors"},
    "records": {"errors"},
    "store": _FOUNDATION | {"records"},
    "blobs": _FOUNDATION | {"records"},
    "inspect": _FOUNDATION | {"records"},
    "outbound": _FOUNDATION | {"records"},
    "sources": _FOUNDATION | {"records", "outbound", "blobs.protocol"},
    "auth": _FOUNDATION | {"records"},
    # An action knows a store by its protocol: which database it is, only `app` knows.
    "actions": _FOUNDATION | {"records", *_STORE, "blobs.protocol", "blobs.verify", "inspect", "outbound", "auth"},
    "api": _FACE,
    "ui": _FACE,
    "mcp": _FACE,
    "gateway": _FACE,
    "cli": {"errors", "version", "settings"},
    "app": {
        *_FACE,
        *("store", "blobs", "sources", "inspect", "api", "gateway", "ui", "mcp"),
    },
}

# `steelyard serve` builds the server; no other command may pay for it, so that import waits inside its function.
# `steelyard inspect` and `push` read checkpoints on their own machine, without a server.
LAZILY: dict[str, set[str]] = {"cli": {"app", "inspect"}}

_OUTSIDE_WORLD = {
    *("sqlite3", "asyncpg", "httpx", "aiohttp", "fastapi", "starlette", "uvicorn"),
    *("time", "random", "secrets", "uuid", "os", "pathlib", "io", "shutil", "tempfile", "socket", "subprocess"),
    *("asyncio", "threading", "urllib.request"),
}
_WEB = {"fastapi", "starlette", "uvicorn"}

# Module -> the packages that may import it.
FOREIGN: dict[str, set[str]] = {
    **{module: set(MAY_IMPORT) - {"records"} for module in _OUTSIDE_WORLD},
    "sqlite3": {"store"},
    "asyncpg": {"store"},
    "aiohttp": {"outbound"},
    "obstore": {"blobs"},
    "jwt": {"auth"},
    **{module: {"api", "gateway", "ui", "mcp", "app"} for module in _WEB},
    "httpx": {"cli"},
    "typer": {"cli"},
    "rich": {"cli"},
}


def _is_in(module: str, parents: set[str]) -> bool:
    return any(module == parent or module.startswith(f"{parent}.") for parent in parents)


def _ours(module: str) -> str | None:
    """What of our package an import names: `actions.models.create_model`, `version` for the package itself."""
    head, _, rest = module.partition(".")
    if head != "steelyard":
        return None
    return "version" if rest in {"", "__version__"} else rest


def _offends(package: str, item: Import) -> bool:
    ours = _ours(item.module)
    if ours is not None:
        allowed = MAY_IMPORT[package] | {package} | (LAZILY.get(package, set()) if item.lazy else set())
        return not _is_in(ours, allowed)
    known = [module for module in FOREIGN if _is_in(item.module, {module})]
    return any(package not in FOREIGN[module] for module in known)


def offences(source: Path = SOURCE) -> Iterator[str]:
    """`file:line: package imports module`, for each import that may not be."""
    for module in modules(source):
        for item in module.imports():
            if _offends(module.package, item):
                yield f"{item.where}: {module.package} imports {item.module}"


def test_every_package_of_the_house_has_its_line() -> None:
    assert {module.package for module in modules()} <= set(MAY_IMPORT)


def test_imports_go_one_way() -> None:
    assert list(offences()) == []


def test_the_direction_has_no_way_back() -> None:
    above = {name: {entry.partition(".")[0] for entry in entries} for name, entries in MAY_IMPORT.items()}

    def reached(name: str, seen: frozenset[str]) -> set[str]:
        assert name not in seen, f"{name} reaches itself through {sorted(seen)}"
        return {name}.union(*(reached(other, seen | {name}) for other in above.get(name, set())))

    for name in MAY_IMPORT:
        reached(name, frozenset())


def test_records_do_not_ask_what_time_it_is_or_open_files() -> None:
    calls = {"now", "utcnow", "today", "open", "read_text", "write_text", "print"}
    found = [
        f"{module.where(node)}: {name}()"
        for module in modules()
        if module.package == "records"
        for node, name in _calls(module)
        if name in calls
    ]
    assert found == []


def _calls(module: Module) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            function = node.func
            name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
            yield node, name


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("records/models.py", "from steelyard.store.sqlite import open_store"),
        ("records/models.py", "import sqlite3"),
        ("records/models.py", "def now():\n    import time"),
        ("records/models.py", "from os import path"),
        ("records/models.py", "from ..actions import records"),
        ("store/sqlite.py", "from steelyard.actions.records import create"),
        ("actions/models.py", "from steelyard import api"),
        ("actions/models.py", "from steelyard.store.sqlite import open_store"),
        ("actions/models.py", "from starlette.requests import Request"),
        ("api/models.py", "import sqlite3"),
        ("api/models.py", "from steelyard.cli import main"),
        ("cli/models.py", "from steelyard.actions import models"),
        ("cli/server.py", "from steelyard.app import serve"),
        ("auth/vault.py", "import steelyard.actions.records"),
    ],
)
def test_an_import_against_the_direction_is_found(tmp_path: Path, file: str, text: str) -> None:
    source = tmp_path / "src" / "steelyard"
    (source / file).parent.mkdir(parents=True)
    (source / file).write_text(f"{text}\n")

    (found,) = offences(source)

    assert found.startswith(f"src/steelyard/{file}:")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("api/models.py", "from steelyard.actions import models"),
        ("actions/models.py", "from steelyard.store.protocol import Store"),
        ("cli/server.py", "def run():\n    from steelyard.app import serve"),
        ("cli/__init__.py", "from steelyard import __version__"),
    ],
)
def test_an_import_with_the_direction_is_not_an_offence(tmp_path: Path, file: str, text: str) -> None:
    source = tmp_path / "src" / "steelyard"
    (source / file).parent.mkdir(parents=True)
    (source / file).write_text(f"{text}\n")

    assert list(offences(source)) == []
