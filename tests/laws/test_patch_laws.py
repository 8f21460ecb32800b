"""The laws of Update Model, held against the pure functions (many examples) and against a real server (fewer).

Each law is a function of a maker of models and of drawn data.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.records.forms import Form
from steelyard.records.inference import ApiEndpoint, PromptData
from steelyard.records.spec import ModelSpec
from tests.api.paths import LAYERS, SPEC, WORKSPACES
from tests.laws.strategies import FIELDS, WRONG, bodies, disjoint_pairs, layers, records, specs
from tests.laws.subjects import Make, PureModel, Refused, ServedModel, fields_of, spelled

Law = Callable[[Make, st.DataObject], None]
_FORMS: dict[str, type[Form]] = {"spec": ModelSpec, "api_endpoint": ApiEndpoint, "prompt": PromptData}


def what_is_absent_or_null_keeps_its_value(make: Make, data: st.DataObject) -> None:
    model, body = make(data.draw(records)), data.draw(bodies)
    before, after = model.get(), model.patch(body)
    for field in FIELDS:
        if body.get(field) is None and not (field == "backend_format" and field in body):
            assert spelled(after[field]) == spelled(before[field]), field


def null_clears_the_backend_format_alone(make: Make, data: st.DataObject) -> None:
    model = make({**data.draw(records), "backend_format": "OPENAI_CHAT"})
    before = fields_of(model.get())
    after = fields_of(model.patch(dict.fromkeys(FIELDS)))
    assert after == {**before, "backend_format": None}


def what_was_patched_is_what_is_read(make: Make, data: st.DataObject) -> None:
    model, body = make(data.draw(records)), data.draw(bodies)
    answered = model.patch(body)
    read = model.get()
    assert spelled(read) == spelled(answered)
    for field, value in body.items():
        if value is None or (field == "base_model" and value == ""):
            continue
        if field in _FORMS:
            _shows(read[field], _FORMS[field].model_validate(value).model_dump(mode="json"))
        else:
            assert spelled(read[field]) == spelled(value), field


def _shows(read: dict[str, Any], whole: dict[str, Any]) -> None:
    """Objects replace whole: what was not sent is at its default, but for the parts that answers hide."""
    for key, value in whole.items():
        if key not in {"api_key_set", "linear_layers"} or (key == "linear_layers" and value is not None):
            assert read[key] == value, key


def a_patch_twice_is_a_patch_once(make: Make, data: st.DataObject) -> None:
    model, body = make(data.draw(records)), data.draw(bodies)
    once = model.patch(body)
    assert model.patch(body) == once  # with the same revision and the same updated_at
    assert model.get() == once


def each_real_change_moves_the_revision_by_one(make: Make, data: st.DataObject) -> None:
    model = make(data.draw(records))
    before = model.get()
    assert before["revision"] == 1
    for body in data.draw(st.lists(bodies, min_size=1, max_size=4)):
        after = model.patch(body)
        changed = spelled(fields_of(after)) != spelled(fields_of(before))
        assert after["revision"] == before["revision"] + changed
        assert (after["updated_at"] > before["updated_at"]) is changed
        assert (after["id"], after["created_at"]) == (before["id"], before["created_at"])
        before = after


def the_order_of_disjoint_patches_does_not_matter(make: Make, data: st.DataObject) -> None:
    start = data.draw(records)
    left, right = data.draw(disjoint_pairs())
    one, other, both = make(start), make(start), make(start)
    one.patch(left)
    one.patch(right)
    other.patch(right)
    other.patch(left)
    both.patch({**left, **right})
    assert spelled(fields_of(one.get())) == spelled(fields_of(other.get())) == spelled(fields_of(both.get()))


def an_empty_text_clears_the_base_model(make: Make, data: st.DataObject) -> None:
    model = make({**data.draw(records), "base_model": "other/base"})
    before = fields_of(model.get())
    assert fields_of(model.patch({"base_model": ""})) == {**before, "base_model": None}
    assert make({"base_model": ""}).get()["base_model"] is None


def what_was_read_can_be_sent_back(make: Make, data: st.DataObject) -> None:
    model = make(data.draw(records))
    model.patch(data.draw(bodies))
    before = model.get()
    for verbose in (True, False):
        assert model.patch(model.get(verbose=verbose)) == before


def a_spec_keeps_its_layers_until_they_are_named(make: Make, data: st.DataObject) -> None:
    kept, other = data.draw(layers), data.draw(layers)
    spec = data.draw(specs.map(lambda spec: {key: spec[key] for key in spec if key != "linear_layers"}))
    model = make({"spec": {**SPEC, "linear_layers": kept}})
    assert model.patch({"spec": spec})["spec"]["linear_layers"] == kept
    assert model.patch({"spec": {**spec, "linear_layers": None}})["spec"]["linear_layers"] == kept
    assert model.patch({"spec": {**spec, "linear_layers": other}})["spec"]["linear_layers"] == other
    assert not model.patch({"spec": {**spec, "linear_layers": []}})["spec"]["linear_layers"]
    assert not model.patch({"spec": SPEC})["spec"]["linear_layers"]
    assert model.patch({"spec": {**SPEC, "linear_layers": LAYERS}})["spec"]["linear_layers"] == LAYERS


def a_patch_that_is_refused_changes_nothing_at_all(make: Make, data: st.DataObject) -> None:
    model = make(data.draw(records))
    before = model.get()
    body = {**data.draw(bodies), **data.draw(st.sampled_from(WRONG))}
    with pytest.raises(Refused):
        model.patch(body)
    assert model.get() == before


LAWS: list[Law] = [
    what_is_absent_or_null_keeps_its_value,
    null_clears_the_backend_format_alone,
    what_was_patched_is_what_is_read,
    a_patch_twice_is_a_patch_once,
    each_real_change_moves_the_revision_by_one,
    the_order_of_disjoint_patches_does_not_matter,
    an_empty_text_clears_the_base_model,
    what_was_read_can_be_sent_back,
    a_spec_keeps_its_layers_until_they_are_named,
    a_patch_that_is_refused_changes_nothing_at_all,
]


def _hold(law: Law, make: Make, examples: int) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        law(make, data)

    holds()


@pytest.mark.parametrize("law", LAWS)
def test_law_of_the_pure_functions(law: Law) -> None:
    _hold(law, PureModel, 150)


@pytest.fixture(scope="module")
def home(http: httpx.Client) -> str:
    """A workspace for all laws."""
    assert http.post(WORKSPACES, json={"name": "laws"}).status_code == 201
    return "laws"


@pytest.mark.parametrize("law", LAWS)
def test_law_of_the_server(law: Law, http: httpx.Client, home: str) -> None:
    _hold(law, partial(ServedModel, http, home), 25)


@pytest.mark.parametrize(("old", "new"), [(1, True), (True, 1), (1, 1.0), (0.0, -0.0), (0, False), ([1], [True])])
@pytest.mark.parametrize("served", [False, True], ids=["pure", "server"])
def test_values_that_python_takes_for_equal_are_a_change(
    http: httpx.Client, home: str, old: Any, new: Any, served: bool
) -> None:
    start = {"custom_fields": {"a": old}}
    model = ServedModel(http, home, start) if served else PureModel(start)
    assert spelled(model.patch({"custom_fields": {"a": new}})["custom_fields"]) == spelled({"a": new})
    assert model.get()["revision"] == 2
