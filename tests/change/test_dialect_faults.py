"""What each dialect says about names that nothing has, fields that cannot change, and fields that cannot be empty."""

from typing import Any

import httpx
import pytest

from steelyard.records.patch import Said
from tests.api.paths import SPEC, faults
from tests.change.records import MODELS, PROMPTS, SORTS, ServedRecord, Sort

EVERY_SORT = pytest.mark.parametrize("sort", SORTS, ids=repr)


@pytest.fixture
def model(http: httpx.Client, workspace: str) -> ServedRecord:
    """A model with something in each object."""
    return ServedRecord(
        http,
        workspace,
        MODELS,
        {
            "spec": SPEC,
            "api_endpoint": {"url": "https://a"},
            "prompt": {"system_prompt": "a"},
            "custom_fields": {"a": 1},
        },
    )


def test_a_field_that_cannot_be_empty_says_so_in_every_dialect(model: ServedRecord) -> None:
    model.change(Said({"trust_remote_code": True}))
    for said in (
        Said({"trust_remote_code": None}, "merge"),
        Said({}, mask="trust_remote_code"),
        Said({"trust_remote_code": None}, mask="description,trust_remote_code"),
        Said([{"op": "remove", "path": "/trust_remote_code"}], "json_patch"),
        Said([{"op": "replace", "path": "/trust_remote_code", "value": None}], "json_patch"),
    ):
        answer = model.send(said)
        assert faults(answer) == [(("body", "trust_remote_code"), "required")]
        assert "cannot be empty" in answer.json()["detail"][0]["msg"]
    assert model.change(Said({"trust_remote_code": None}))["trust_remote_code"] is True
    assert model.change(Said({}, mask="*"))["trust_remote_code"] is False


@EVERY_SORT
@pytest.mark.parametrize("field", ["id", "name", "created_at", "updated_at", "revision"])
def test_what_the_server_writes_cannot_be_changed(http: httpx.Client, workspace: str, sort: Sort, field: str) -> None:
    record = ServedRecord(http, workspace, sort, {"description": "a"})
    before = record.get()
    new: Any = 99 if field == "revision" else "other"
    for said in (
        Said({field: new}),
        Said({field: new}, "merge"),
        Said({field: None}, "merge"),
        Said([{"op": "replace", "path": f"/{field}", "value": new}], "json_patch"),
        Said([{"op": "remove", "path": f"/{field}"}], "json_patch"),
    ):
        assert faults(record.send(said)) == [(("body", field), "read_only")], said
    answer = record.send(Said({field: new}, mask=f"description,{field}"))
    assert faults(answer) == [(("query", "update_mask"), "update_mask")]
    assert field in answer.json()["detail"][0]["msg"]
    for said in (Said({field: before[field]}), Said({field: before[field]}, "merge"), Said({field: None})):
        assert record.change(said) == before, "the present value may come along"


@EVERY_SORT
def test_a_name_that_nothing_has_is_named(http: httpx.Client, workspace: str, sort: Sort) -> None:
    record = ServedRecord(http, workspace, sort, {"description": "a"})
    for said in (
        Said({"descripton": "b"}),
        Said({"descripton": "b"}, "merge"),
        Said({"descripton": None}, "merge"),
        Said([{"op": "add", "path": "/descripton", "value": "b"}], "json_patch"),
        Said({"descripton": "b"}, mask="*"),
    ):
        answer = record.send(said)
        assert faults(answer) == [(("body", "descripton"), "unknown_field")], said
        assert "description" in answer.json()["detail"][0]["msg"]
    answer = record.send(Said({"description": "b"}, mask="description,descripton"))
    assert faults(answer) == [(("query", "update_mask"), "update_mask")]
    assert "'descripton'" in answer.json()["detail"][0]["msg"]
    assert record.get()["description"] == "a"


@pytest.mark.parametrize(
    "path", ["spec.context_sise", "api_endpoint.uri", "prompt.systemprompt", "spec.moe_config.expert"]
)
def test_a_name_that_nothing_has_is_named_also_within_an_object(model: ServedRecord, path: str) -> None:
    outer, *steps, last = path.split(".")
    for value in (1, None):
        body: dict[str, Any] = {last: value}
        for step in reversed(steps):
            body = {step: body}
        answer = model.send(Said({outer: body}, "merge"))
        assert faults(answer) == [(("body", *path.split(".")), "unknown_field")]
    answer = model.send(Said({}, mask=path))
    assert faults(answer) == [(("query", "update_mask"), "update_mask")]
    assert last in answer.json()["detail"][0]["msg"]
    assert model.get()["revision"] == 1


def test_a_name_within_an_object_of_the_caller_may_be_any(model: ServedRecord) -> None:
    assert model.change(Said({"custom_fields": {"x": None, "y": {"z": None}}}, "merge"))["custom_fields"] == {
        "a": 1,
        "y": {},
    }
    assert model.change(Said({}, mask="custom_fields.nope.deeper"))["revision"] == 2
    said = Said({"prompt": {"inference_params": {"min_p": 0.1}}}, mask="prompt.inference_params.min_p")
    assert model.change(said)["prompt"]["inference_params"]["min_p"] == 0.1
    assert (
        "min_p"
        not in model.change(Said({"prompt": {"inference_params": {"min_p": None}}}, "merge"))["prompt"][
            "inference_params"
        ]
    )


@pytest.mark.parametrize(
    "mask", ["", ",", "description,", "description..x", ".description", "custom fields", "*,description"]
)
def test_a_mask_that_is_no_list_of_paths_is_refused(model: ServedRecord, mask: str) -> None:
    assert faults(model.send(Said({"description": "b"}, mask=mask))) == [(("query", "update_mask"), "update_mask")]


def test_a_mask_goes_through_objects_only(model: ServedRecord) -> None:
    for mask in ("custom_fields.a.b", "model_providers.0"):
        body = {"custom_fields": {"a": {"b": 1}}, "model_providers": ["x"]}
        assert faults(model.send(Said(body, mask=mask))) == [(("query", "update_mask"), "update_mask")]
    made = model.change(Said({"ownership": {"team": {"lead": "a"}}}, mask="ownership.team.lead"))
    assert made["ownership"] == {"team": {"lead": "a"}}


def test_a_mask_goes_with_application_json_alone(model: ServedRecord) -> None:
    for said in (Said({}, "merge", "description"), Said([], "json_patch", "description")):
        assert faults(model.send(said)) == [(("query", "update_mask"), "update_mask")]


@pytest.mark.parametrize("dialect", ["merge", "json_patch"])
def test_a_put_takes_no_patch(http: httpx.Client, workspace: str, dialect: Any) -> None:
    record = ServedRecord(http, workspace, PROMPTS, {})
    assert record.send(Said({}, dialect, put=True)).status_code == 415


@pytest.mark.parametrize("body", [[], "text", 5])
def test_a_merge_patch_and_a_masked_body_are_objects(model: ServedRecord, body: Any) -> None:
    for said in (Said(body, "merge"), Said(body, mask="description")):
        assert faults(model.send(said)) == [(("body",), "model_attributes_type")]
