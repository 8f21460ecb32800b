"""The laws of the dialects, held against pure functions (many examples) and a real server (fewer), for every kind.

Each law is a function of a maker of records, a kind of record and drawn data.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from steelyard.records.diff import same
from steelyard.records.forms import Form
from steelyard.records.inference import ApiEndpoint, PromptData
from steelyard.records.patch import Said
from steelyard.records.spec import ModelSpec
from tests.change.records import MODELS, SORTS, Make, PureRecord, Refused, ServedRecord, Sort, fields_of
from tests.change.test_rfc7396 import rfc7396

Law = Callable[[Make, Sort, st.DataObject], None]
Body = dict[str, Any]
_FORMS: dict[str, type[Form]] = {"spec": ModelSpec, "api_endpoint": ApiEndpoint, "prompt": PromptData}


def _complete(sort: Sort, field: str, value: Any) -> Any:
    """A field as it is answered when it is set to `value`, or to nothing."""
    if value is None:
        return sort.kind.defaults.get(field)
    if sort is MODELS and field in _FORMS:
        dumped = _FORMS[field].model_validate(value).model_dump(mode="json")
        return {**dumped, "api_key_set": False} if field == "api_endpoint" else dumped
    return value


def a_merge_patch_does_what_the_rfc_says(make: Make, sort: Sort, data: st.DataObject) -> None:
    record, patch = make(sort, data.draw(sort.records)), data.draw(sort.patches)
    before = record.get()
    expected = rfc7396(before, patch)
    try:
        after = record.change(Said(patch, "merge"))
    except Refused:
        with pytest.raises(Refused):  # what cannot be patched to cannot be created either
            _needs_trust(patch)
            make(sort, {key: value for key, value in fields_of(expected).items() if value is not None})
        assert record.get() == before
        return
    for field in sort.fields:
        assert same(after[field], _complete(sort, field, expected.get(field))), field
    assert record.get() == after


def _needs_trust(patch: Body) -> None:
    if patch.get("trust_remote_code", True) is None:
        raise Refused


def _leaves(body: Body, path: str = "") -> Iterator[str]:
    for key, value in body.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def _plain(target: Any, patch: Body) -> bool:
    """Whether merging goes through objects that are there, and says nothing with an empty one: then a mask can say the
    same."""
    for key, value in patch.items():
        if isinstance(value, dict):
            inside = target.get(key)
            if not value or not isinstance(inside, dict) or not _plain(inside, value):
                return False
    return True


def a_mask_of_the_paths_of_a_body_is_a_merge_patch(make: Make, sort: Sort, data: st.DataObject) -> None:
    start, body = data.draw(sort.records), data.draw(sort.patches)
    one, other = make(sort, start), make(sort, start)
    assume(body and _plain(one.get(), body))
    results = []
    for record, said in ((one, Said(body, mask=",".join(_leaves(body)))), (other, Said(body, "merge"))):
        try:
            results.append(fields_of(record.change(said)))
        except Refused as refused:
            results.append({"refused": refused.args[0]})
    assert same(results[0], results[1])


def where_no_null_and_no_object_is_said_all_dialects_agree(make: Make, sort: Sort, data: st.DataObject) -> None:
    start = data.draw(sort.records)
    body = {key: value for key, value in data.draw(sort.records).items() if not isinstance(value, dict)}
    operations = [{"op": "add", "path": f"/{key}", "value": value} for key, value in body.items()]
    ways = [Said(body), Said(body, "merge"), Said(operations, "json_patch")]
    if body:
        ways.append(Said(body, mask=",".join(body)))
    first, *others = [fields_of(make(sort, start).change(said)) for said in ways]
    for other in others:
        assert same(first, other)


def a_star_makes_the_record_exactly_the_body(make: Make, sort: Sort, data: st.DataObject) -> None:
    record, body = make(sort, data.draw(sort.records)), data.draw(sort.records)
    assert same(fields_of(record.change(Said(body, mask="*"))), fields_of(make(sort, body).get()))


def nothing_outside_of_the_mask_changes(make: Make, sort: Sort, data: st.DataObject) -> None:
    record, body = make(sort, data.draw(sort.records)), data.draw(sort.records)
    paths = st.sampled_from([*sort.fields, *(["custom_fields.a", "ownership.b.c"] if sort is MODELS else [])])
    mask = data.draw(st.lists(paths, min_size=1, max_size=3))
    before = record.get()
    try:
        after = record.change(Said(body, mask=",".join(mask)))
    except Refused:
        assert record.get() == before
        return
    for field in sort.fields:
        if field in mask:
            assert same(after[field], _complete(sort, field, body.get(field))), field
        else:
            inner = [path.split(".")[1] for path in mask if path.startswith(f"{field}.")]
            assert same(_outside(after[field], inner), _outside(before[field], inner)), field


def _outside(value: Any, keys: list[str]) -> Any:
    if not keys:
        return value
    return {key: item for key, item in (value or {}).items() if key not in keys}


def a_mask_alone_clears(make: Make, sort: Sort, data: st.DataObject) -> None:
    record = make(sort, data.draw(sort.records))
    mask = data.draw(
        st.sets(st.sampled_from([key for key in sort.fields if key not in sort.kind.never_null]), min_size=1)
    )
    after = record.change(Said({}, mask=",".join(mask)))
    for field in mask:
        assert after[field] == sort.kind.defaults.get(field)


def a_change_twice_is_a_change_once(make: Make, sort: Sort, data: st.DataObject) -> None:
    record, body = make(sort, data.draw(sort.records)), data.draw(sort.patches)
    said = Said(body, "merge") if data.draw(st.booleans()) else Said(body, mask="*")
    try:
        once = record.change(said)
    except Refused:
        return
    assert record.change(said) == once
    assert record.get() == once


def the_patches_between_two_records_lead_from_one_to_the_other(make: Make, sort: Sort, data: st.DataObject) -> None:
    start, wanted = data.draw(sort.records), fields_of(make(sort, data.draw(sort.records)).get())
    endpoint = wanted.get("api_endpoint")
    if endpoint:
        wanted["api_endpoint"] = {key: value for key, value in endpoint.items() if key != "api_key_set"}
    replaced = [{"op": "replace", "path": f"/{key}", "value": value} for key, value in wanted.items()]
    record = make(sort, start)
    assert same(fields_of(record.change(Said(replaced, "json_patch"))), fields_of(make(sort, wanted).get()))


def what_is_refused_changes_nothing(make: Make, sort: Sort, data: st.DataObject) -> None:
    record, body = make(sort, data.draw(sort.records)), data.draw(sort.records)
    before = record.get()
    operations = [{"op": "add", "path": f"/{key}", "value": value} for key, value in body.items()]
    failing = {"op": "test", "path": "/description", "value": "never a description"}
    operations.insert(data.draw(st.integers(0, len(operations))), failing)
    wrong: Body = data.draw(
        st.sampled_from([{"descripton": "typo"}, {"description": 5}, {"revision": 99}, {"id": "other"}])
    )
    for said, status in (
        (Said(operations, "json_patch"), 412),
        (Said({**body, **wrong}, "merge"), 422),
        (Said({**body, **wrong}), 422),
        (Said({**body, "description": 5}, mask="*"), 422),
        (Said(body, mask="description,descripton"), 422),
        (Said(body, mask="revision"), 422),
        (Said([*operations[:-1], {"op": "remove", "path": "/id"}], "json_patch"), None),
    ):
        with pytest.raises(Refused) as refused:
            record.change(said)
        assert status in {None, refused.value.args[0]}
        assert record.get() == before


LAWS: list[Law] = [
    a_merge_patch_does_what_the_rfc_says,
    a_mask_of_the_paths_of_a_body_is_a_merge_patch,
    where_no_null_and_no_object_is_said_all_dialects_agree,
    a_star_makes_the_record_exactly_the_body,
    nothing_outside_of_the_mask_changes,
    a_mask_alone_clears,
    a_change_twice_is_a_change_once,
    the_patches_between_two_records_lead_from_one_to_the_other,
    what_is_refused_changes_nothing,
]
_UNHURRIED = [HealthCheck.too_slow, HealthCheck.filter_too_much]


def _hold(law: Law, make: Make, sort: Sort, examples: int) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=_UNHURRIED)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        law(make, sort, data)

    holds()


@pytest.mark.parametrize("sort", SORTS, ids=repr)
@pytest.mark.parametrize("law", LAWS)
def test_law_of_the_pure_functions(law: Law, sort: Sort) -> None:
    _hold(law, PureRecord, sort, 60 if sort is MODELS else 25)


@pytest.mark.parametrize("sort", SORTS, ids=repr)
@pytest.mark.parametrize("law", LAWS)
def test_law_of_the_server(law: Law, sort: Sort, http: httpx.Client, workspace: str) -> None:
    _hold(law, partial(ServedRecord, http, workspace), sort, 12 if sort is MODELS else 4)
