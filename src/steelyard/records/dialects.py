"""The ways to say a change to a whole document: merge patch, update mask, JSON patch. Each makes a new document.

A document here is a record as it is answered, with its large values, and with `MASK` where a secret is kept.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import jsonpatch
import jsonpointer
import orjson

from steelyard.errors import InvalidInput, InvalidParameters, PreconditionFailed
from steelyard.records.forms import unknown_field_message, unknown_step
from steelyard.records.kinds import Document, Kind

Transform = Callable[[Document], Document]

MASK = "********"
"""Stands for a secret that is kept; sent back, it keeps it."""

_MOST_OPERATIONS = 1000
_MOST_PATHS = 200
EVERYTHING = "*"
"""The mask that makes the record exactly the body."""


def merge(target: Any, patch: Any) -> Any:
    """`target` after the merge patch `patch`: the algorithm of RFC 7396, section 2."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def merge_patch(patch: Any) -> Transform:
    """The change that a merge patch says. Raises InvalidInput if it is no object."""
    if not isinstance(patch, dict):
        raise InvalidInput.of(("body",), "model_attributes_type", "a merge patch of a record is a JSON object")
    return lambda document: merge(document, patch)


def masked(kind: Kind, body: Any, mask: str) -> Transform:
    """The change of the paths in `mask` (comma separated, dots between steps) to what `body` has there.

    What the body lacks at a path is cleared; what it has outside of them is not looked at. `*` is the whole record.
    Raises InvalidInput, InvalidParameters.
    """
    if not isinstance(body, dict):
        raise InvalidInput.of(("body",), "model_attributes_type", "must be a JSON object")
    paths = [path.strip() for path in mask.split(",")]
    if paths == [EVERYTHING]:
        return _everything(kind, body)
    if len(paths) > _MOST_PATHS:
        raise _bad_mask(f"has more than {_MOST_PATHS} paths")
    for path in paths:
        first = path.split(".", maxsplit=1)[0]
        if first in kind.read_only:
            raise _bad_mask(f"names {first!r}, which cannot be changed")
        if first not in kind.order or not all(path.split(".")):
            raise _bad_mask(f"names {path[:200]!r}; valid fields: {', '.join(kind.order)}")
        if unknown := unknown_step(kind.update, path.split(".")):
            raise _bad_mask(f"names {path[:200]!r}: {unknown_field_message(kind.update, unknown)}")

    def transform(document: Document) -> Document:
        changed = copy.deepcopy(document)
        for path in paths:
            _put(changed, path.split("."), _value_at(body, path.split(".")))
        return changed

    return transform


def _everything(kind: Kind, body: Document) -> Transform:
    """Makes the record what `body` says; what the server writes is kept, and must be the same where it came along."""
    # What always has a value cannot be meant to be cleared by a body that lacks it.
    defaults = {key: kind.defaults.get(key) for key in kind.never_null}

    def transform(document: Document) -> Document:
        kept = {key: document[key] for key in kind.read_only if key in document}
        return copy.deepcopy({**kept, **defaults, **body})

    return transform


def _bad_mask(message: str) -> InvalidParameters:
    return InvalidParameters.of(("query", "update_mask"), "update_mask", f"update_mask {message}")


def _value_at(body: Document, steps: Sequence[str]) -> Any:
    value: Any = body
    for step in steps:
        if not isinstance(value, dict):
            return None
        value = value.get(step)
    return value


def _put(document: Document, steps: Sequence[str], value: Any) -> None:
    holder: Any = document
    for step in steps[:-1]:
        inner = holder.get(step)
        if inner is None:
            if value is None:
                return  # clearing what is not there
            inner = holder[step] = {}
        if not isinstance(inner, dict):
            raise _bad_mask(f"goes through {step!r}, which is not an object")
        holder = inner
    if value is None:
        holder.pop(steps[-1], None)
    else:
        holder[steps[-1]] = value


def json_patch(operations: Any, max_bytes: int) -> Transform:
    """The change that a JSON patch (RFC 6902) says; a `test` that fails raises PreconditionFailed.

    Raises InvalidInput for what is no patch, does not apply, or makes a document of more than `max_bytes` bytes.
    """
    if not isinstance(operations, list) or len(operations) > _MOST_OPERATIONS:
        raise InvalidInput.of(
            ("body",), "json_patch", f"a JSON patch is an array of up to {_MOST_OPERATIONS} operations"
        )
    patches = []
    for index, operation in enumerate(operations):
        try:
            patches.append(jsonpatch.JsonPatch([operation]))
        except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, AttributeError):
            message = "an operation has 'op' (add, remove, replace, move, copy, test), 'path', and 'value' or 'from'"
            raise InvalidInput.of(("body", index), "json_patch", message) from None

    def transform(document: Document) -> Document:
        changed = copy.deepcopy(document)
        for index, patch in enumerate(patches):
            try:
                changed = patch.apply(changed, in_place=True)
            except jsonpatch.JsonPatchTestFailed:
                raise PreconditionFailed(
                    f"the test operation number {index} of the patch failed", operation=index
                ) from None
            except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, KeyError, ValueError):
                path = str(operations[index].get("path"))[:200]
                message = f"the operation does not apply: look at its path {path!r}"
                raise InvalidInput.of(("body", index), "json_patch", message) from None
            if operations[index].get("op") == "copy":  # the only one that can make much out of little
                _check_size(changed, max_bytes, index)
        if not isinstance(changed, dict):
            raise InvalidInput.of(
                ("body",), "json_patch", "the patch makes something other than an object of the record"
            )
        return changed

    return transform


def _check_size(document: Any, max_bytes: int, index: int) -> None:
    try:
        size = len(orjson.dumps(document))
    except TypeError:  # nested too deeply to be written
        size = max_bytes + 1
    if size > max_bytes:
        raise InvalidInput.of(("body", index), "too_large", f"the patch makes a record of more than {max_bytes} bytes")
