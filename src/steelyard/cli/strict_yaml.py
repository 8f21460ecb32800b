"""YAML as JSON would say it: every document a JSON value, and nothing that two readers would take for two things.

PyYAML's safe loader knows no types but plain ones; on top of that, here:

* a key that stands twice is refused, and so is a key that is not a text;
* `yes`, `no`, `on` and `off` are texts, `0o17` and `1:30` and dates too: only what JSON writes as a number, `true`,
  `false` and `null` (or `~`, or nothing) mean something else than they say (the core schema of YAML 1.2, near enough);
* aliases may repeat a value, but not so often that a small file becomes a large one, and never contain themselves.
"""

import math
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from steelyard.cli.errors import UsageError

if TYPE_CHECKING:
    import yaml

_MOST_VALUES = 1_000_000
_MOST_LEVELS = 100
_PLAIN: dict[str, tuple[str, str]] = {
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "null": (r"~|null|Null|NULL|", "~nN\0"),
    "int": (r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    "float": (r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+.0123456789"),
    "merge": (r"<<", "<"),
}


def yaml_values(text: str, what: str) -> Iterator[tuple[int, Any]]:
    """The documents of `text`, each with the number of its first line; empty ones are left out. Raises `UsageError`,
    which calls the text `what`.
    """
    import yaml  # noqa: PLC0415

    try:
        loader = _loader()(text)
        while node := loader.get_node() if loader.check_node() else None:
            value = loader.construct_document(node)
            _check(value, what)
            if value is not None:
                yield node.start_mark.line + 1, value
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise UsageError(f"{what} is not YAML that can be taken: {error.problem or error.context}{place}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{what} is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise UsageError(f"{what}: nested too deeply") from None


def _loader() -> "type[yaml.SafeLoader]":
    import yaml  # noqa: PLC0415

    class Loader(yaml.SafeLoader):
        """The safe loader, with fewer meanings and no second key."""

        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 - this is how the library is told

        def construct_mapping(self, node: "yaml.MappingNode", deep: bool = False) -> dict[Any, Any]:
            seen: set[str] = set()
            for key, _ in node.value:
                if key.tag.endswith(":merge"):
                    continue
                if not isinstance(key, yaml.ScalarNode) or not key.tag.endswith(":str"):
                    raise yaml.constructor.ConstructorError(None, None, "a key must be a text", key.start_mark)
                if key.value in seen:
                    message = f"the key {key.value!r} stands twice"
                    raise yaml.constructor.ConstructorError(None, None, message, key.start_mark)
                seen.add(key.value)
            return super().construct_mapping(node, deep)

    for name, (pattern, first) in _PLAIN.items():
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"^(?:{pattern})$"), list(first))
    # An empty scalar begins with nothing at all.
    Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^$"), [""])
    return Loader


def _check(value: Any, what: str) -> None:
    """Raises `UsageError` for what JSON cannot say, and for what aliases make too large."""
    waiting, count = [(value, 0)], 0
    while waiting:
        one, level = waiting.pop()
        count += 1
        if count > _MOST_VALUES or level > _MOST_LEVELS:
            raise UsageError(f"{what}: too large or nested too deeply, with what its aliases repeat")
        if isinstance(one, dict):
            waiting += [(item, level + 1) for item in one.values()]
        elif isinstance(one, list):
            waiting += [(item, level + 1) for item in one]
        elif not (one is None or isinstance(one, str | int | float)) or (
            isinstance(one, float) and not math.isfinite(one)
        ):
            raise UsageError(f"{what}: {type(one).__name__} is nothing that JSON can say")
