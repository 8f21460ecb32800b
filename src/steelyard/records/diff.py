"""What differs between two states of a record: for people as a list of paths, for programs as a merge patch."""

from collections.abc import Mapping
from typing import Any

from steelyard.records.dialects import MASK
from steelyard.records.kinds import Fields, Kind, split_path

Difference = dict[str, Any]


def differences(kind: Kind, before: Fields | None, after: Fields | None) -> list[Difference]:
    """The paths at which two states in stored form differ, each with `before` and `after`; None is a missing record.

    Lists and a caller's own objects are compared whole below their keys; a secret is shown as a mask, a large value by
    its digest.
    """
    found = list(_compare("", shown_fields(kind, before or {}), shown_fields(kind, after or {})))
    for path in kind.secrets:
        parent, child = split_path(path)
        old, new = ((state or {}).get(parent) or {} for state in (before, after))
        if child:
            old, new = old.get(child), new.get(child)
        if old and new and old != new:
            found.append({"path": path, "before": MASK, "after": MASK, "secret_changed": True})
    return found


def shown_fields(kind: Kind, fields: Fields) -> Fields:
    """Fields in stored form with secrets masked, for histories and diffs."""
    shown = fields
    for path in kind.secrets:
        parent, child = split_path(path)
        holder = fields.get(parent)
        if holder and not child:
            shown = {**shown, path: MASK}
        elif holder and holder.get(child):
            shown = {**shown, parent: {**holder, child: MASK}}
    return shown


def _compare(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    found = []
    for key in [*before, *(key for key in after if key not in before)]:
        old, new = before.get(key), after.get(key)
        place = f"{path}.{key}" if path else key
        if isinstance(old, dict) and isinstance(new, dict) and "sha256" not in old:
            found += _compare(place, old, new)
        # In a caller's own object a null is not the same as nothing, although both are shown as null.
        elif not same(old, new) or (path and (key in before) != (key in after)):
            found.append({"path": place, "before": old, "after": new})
    return found


def same(old: Any, new: Any) -> bool:
    """Whether two JSON values are the same; Python's equality takes 1, 1.0 and true for one another."""
    if old is new:
        return True
    if old != new or type(old) is not type(new):
        return False
    if isinstance(old, dict):
        return all(same(value, new[key]) for key, value in old.items())
    if isinstance(old, list):
        return all(map(same, old, new))
    return not isinstance(old, float) or str(old) == str(new)


def merge_patch_between(before: Any, after: Any) -> Any:
    """The merge patch (RFC 7396) that makes `after` of `before`.

    A null inside an object is the same to a merge patch as a key that is not there, so it is left out.
    """
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    patch: dict[str, Any] = {key: None for key in before if before[key] is not None and after.get(key) is None}
    for key, new in after.items():
        if new is None:
            continue
        old = before.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            if inner := merge_patch_between(old, new):
                patch[key] = inner
        elif not same(old, new):
            patch[key] = new
    return patch
