"""Where settings come from: flags, the environment, a TOML file and defaults.

A value is taken from the first of these that has it.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import EnvSettingsSource

from steelyard.errors import StartupError
from steelyard.settings.keys import Setting, all_settings
from steelyard.settings.tree import DELIMITER, PREFIX, Settings

# Variables with our prefix that belong to the command line and not to a server.
CLIENT_VARIABLES = frozenset(
    {"STEELYARD_CONFIG", "STEELYARD_URL", "STEELYARD_WORKSPACE", "STEELYARD_TOKEN", "STEELYARD_API_KEY"}
)
# Kubernetes writes these into every pod beside a service whose name starts with `steelyard`.
_SERVICE_LINK = re.compile(
    r"STEELYARD_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_SERVICE_LINK_URL = re.compile(r"(tcp|udp|sctp)://\S+")


@dataclass(frozen=True, slots=True)
class Resolved:
    """Settings, and for each key that is not at its default the words for where the value came from."""

    settings: Settings
    origins: Mapping[str, str]

    def value(self, key: str) -> Any:
        """The value at a dotted key."""
        value: Any = self.settings
        for part in key.split("."):
            value = getattr(value, part)
        return value


def load_settings(flags: Mapping[str, Any], *, config: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a server; `flags` maps dotted keys to values, and None there means "not given".

    Without `config` the file that `STEELYARD_CONFIG` names is read, if it names one.
    Raises `StartupError` for a name that is unknown, a value that is wrong or a file that cannot be read.
    """
    return resolve_settings(flags, config=config, environ=environ).settings


def resolve_settings(flags: Mapping[str, Any], *, config: Path | None, environ: Mapping[str, str]) -> Resolved:
    """Like `load_settings`, and says where each value came from."""
    known = {setting.key: setting for setting in all_settings()}
    # In rising order: a later one replaces what an earlier one gave.
    found = [
        *_from_file(config or _named_file(environ), known),
        *_from_environ(environ, known),
        *_from_flags(flags, known),
    ]
    values = {item.key: item for item in found}
    try:
        settings = Settings(**_tree(values))
    except ValidationError as error:
        # `from None`: the error of pydantic may hold a secret.
        faults = dict.fromkeys(_fault(item["loc"], values, known) for item in error.errors())
        raise StartupError("; ".join(faults)) from None
    return Resolved(settings, {key: item.origin for key, item in values.items()})


@dataclass(frozen=True, slots=True)
class _Given:
    key: str
    value: Any
    origin: str


def _named_file(environ: Mapping[str, str]) -> Path | None:
    name = environ.get("STEELYARD_CONFIG")
    return Path(name) if name else None


def _from_file(file: Path | None, known: Mapping[str, Setting]) -> Iterator[_Given]:
    if file is None:
        return
    for key, value in _leaves(_read_toml(file), known):
        if key not in known:
            raise StartupError(f"{file}: there is no setting {key!r}{_nearest(key, known, '.')}")
        yield _Given(key, value, str(file))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise StartupError(f"cannot read the settings file {file}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise StartupError(f"the settings file {file} is not UTF-8 text") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StartupError(f"the settings file {file} is not TOML: {error}") from None


def _from_environ(environ: Mapping[str, str], known: Mapping[str, Setting]) -> Iterator[_Given]:
    variables = {setting.variable: setting for setting in known.values()}
    ours: dict[str, str | None] = {}
    for name, value in environ.items():
        upper = name.upper()
        if not upper.startswith(PREFIX) or upper in CLIENT_VARIABLES or _from_kubernetes(upper, value):
            continue
        if upper not in variables:
            hint = _nearest(upper, [*variables, *sorted(CLIENT_VARIABLES)], DELIMITER)
            raise StartupError(f"the environment variable {name} names no setting{hint}")
        ours[name.lower()] = value
    source = EnvSettingsSource(Settings)
    # The library reads `os.environ`; ours is the one that was passed in.
    source.env_vars = ours
    for key, value in _leaves(source(), known):
        yield _Given(key, value, known[key].variable)


def _from_kubernetes(name: str, value: str) -> bool:
    if _SERVICE_LINK.fullmatch(name):
        return True
    return name.endswith("_PORT") and _SERVICE_LINK_URL.fullmatch(value) is not None


def _from_flags(flags: Mapping[str, Any], known: Mapping[str, Setting]) -> Iterator[_Given]:
    for key, value in flags.items():
        if key not in known:
            raise StartupError(f"the command line: there is no setting {key!r}{_nearest(key, known, '.')}")
        if value is not None:
            yield _Given(key, value, "the command line")


def _leaves(tree: Mapping[str, Any], known: Mapping[str, Setting], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        key = prefix + name
        section = any(other.startswith(f"{key}.") for other in known)
        if isinstance(value, Mapping) and (value or section):
            yield from _leaves(value, known, f"{key}.")
        else:
            yield key, value


def _tree(values: Mapping[str, _Given]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, item in values.items():
        *parents, name = key.split(".")
        branch = tree
        for parent in parents:
            branch = branch.setdefault(parent, {})
        branch[name] = item.value
    return tree


def _nearest(name: str, valid: Iterable[str], separator: str) -> str:
    names = list(valid)
    inside = [other for other in names if other.startswith(name + separator)]
    if inside:
        return f"; it is a group: {', '.join(inside)}"
    # The prefix, which every variable has, would make all of them look alike.
    bare = {other.removeprefix(PREFIX): other for other in names}
    close = difflib.get_close_matches(name.removeprefix(PREFIX), bare, n=1)
    return f"; did you mean {bare[close[0]]}?" if close else "; `steelyard settings docs` lists them all"


def _fault(location: tuple[int | str, ...], values: Mapping[str, _Given], known: Mapping[str, Setting]) -> str:
    # A union adds the name of its branch to the location, which is no part of the key.
    parts = [str(part) for part in location]
    key = next(key for end in range(len(parts), 0, -1) if (key := ".".join(parts[:end])) in known)
    setting, given = known[key], values[key]
    value = "" if setting.secret else f", not {json.dumps(given.value, default=str, ensure_ascii=False)}"
    return f"{key} must be {setting.kind}{value} (from {given.origin})"
