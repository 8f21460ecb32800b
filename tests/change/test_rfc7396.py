"""JSON Merge Patch: the table of RFC 7396, appendix A, and the laws of merging and of making patches."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.records.dialects import merge
from steelyard.records.diff import merge_patch_between, same
from tests.change.values import json_values, objects

APPENDIX_A: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


def rfc7396(target: Any, patch: Any) -> Any:
    """The pseudocode of the RFC, section 2, line by line."""
    if isinstance(patch, dict):
        if not isinstance(target, dict):
            target = {}
        target = copy.deepcopy(target)
        for name, value in patch.items():
            if value is None:
                if name in target:
                    del target[name]
            else:
                target[name] = rfc7396(target.get(name), value)
        return target
    return patch


def without_nulls(value: Any) -> Any:
    """A value as a merge patch can say it: in objects, no key is null."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    return value


@pytest.mark.parametrize(("original", "patch", "result"), APPENDIX_A)
def test_the_table_of_the_rfc(original: Any, patch: Any, result: Any) -> None:
    assert merge(original, patch) == result
    assert rfc7396(original, patch) == result


@given(json_values, json_values)
def test_merging_is_what_the_pseudocode_does(target: Any, patch: Any) -> None:
    before = copy.deepcopy((target, patch))
    assert same(merge(target, patch), rfc7396(target, patch))
    assert same([target, patch], list(before)), "merging changes neither of the two"


@given(json_values, json_values)
def test_a_patch_twice_is_a_patch_once(target: Any, patch: Any) -> None:
    assert same(merge(merge(target, patch), patch), merge(target, patch))


@given(objects, objects)
def test_the_patch_between_two_leads_from_one_to_the_other(before: Any, after: Any) -> None:
    patch = merge_patch_between(before, after)
    assert same(without_nulls(rfc7396(before, patch)), without_nulls(after))


@given(objects)
def test_between_a_thing_and_itself_there_is_nothing_to_patch(value: Any) -> None:
    assert merge_patch_between(value, value) == {}


@given(st.dictionaries(st.sampled_from("ab"), st.sampled_from([0, 1, 1.0, True, False, "1"])), st.data())
def test_a_patch_knows_true_from_one(before: dict[str, Any], data: st.DataObject) -> None:
    after = {key: data.draw(st.sampled_from([0, 1, 1.0, True, False, "1"])) for key in before}
    assert same(rfc7396(before, merge_patch_between(before, after)), after)
