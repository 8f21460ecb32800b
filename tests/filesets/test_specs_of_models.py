"""A model's spec is read from its files: when its fileset is set, and whenever the files change."""

import httpx
import pytest

from tests.api.paths import SPEC, made, models
from tests.filesets.checkpoints import filesets, get_model, llama, put, revisions

MERGE = {"Content-Type": "application/merge-patch+json"}


def test_a_model_that_is_made_with_a_fileset_has_the_spec_of_its_files(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())

    model = made(http, models(workspace), name="m", fileset="weights")

    assert model["fileset"] == f"{workspace}/weights"
    spec = model["spec"]
    assert (spec["family"], spec["num_layers"], spec["hidden_size"]) == ("llama", 2, 8)
    assert spec["base_num_parameters"] == 2 * 10 * 8 + 8 + 2 * (8 + 2 * 64 + 2 * 32 + 3 * 96)
    assert {"name": "model.layers.1.mlp.down_proj", "in_features": 12, "out_features": 8} in spec["linear_layers"]
    assert spec["checkpoint_model_name"] == f"{workspace}/weights"
    assert (spec["minimum_gpus_all_weights"], spec["minimum_gpus_lora"]) == (1, 1)
    origin = model["spec_origin"]
    assert (origin["fileset"], origin["complete"], origin["by_hand"]) == (f"{workspace}/weights", True, [])
    assert origin["commit"] == http.get(f"{filesets(workspace)}/weights").json()["commit"]


def test_an_update_that_sets_the_fileset_answers_the_spec(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m")

    answer = http.patch(f"{models(workspace)}/m", json={"fileset": "weights"})

    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["num_layers"] == 2
    assert answer.json()["revision"] == 2


def test_a_fileset_without_files_is_taken_by_a_new_model_and_refused_by_an_update(
    http: httpx.Client, workspace: str
) -> None:
    http.post(filesets(workspace), json={"name": "empty"})

    model = made(http, models(workspace), name="m", fileset="empty")
    made(http, models(workspace), name="n")
    answer = http.patch(f"{models(workspace)}/n", json={"fileset": "empty"})

    assert model["spec"] is None
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_reference")
    assert "empty" in answer.json()["detail"]


def test_when_the_files_change_the_spec_follows_with_a_revision_that_says_so(
    http: httpx.Client, workspace: str
) -> None:
    put(http, workspace, "weights", llama(layers=2))
    made(http, models(workspace), name="m", fileset="weights")

    put(http, workspace, "weights", llama(layers=3))

    model = get_model(http, workspace, "m")
    assert model["spec"]["num_layers"] == 3
    assert revisions(http, workspace, "m")[0]["action"] == "inspect"
    assert model["spec_origin"]["commit"] == http.get(f"{filesets(workspace)}/weights").json()["commit"]


def test_files_that_come_after_the_model_fill_its_spec(http: httpx.Client, workspace: str) -> None:
    http.post(filesets(workspace), json={"name": "later"})
    made(http, models(workspace), name="m", fileset="later")

    put(http, workspace, "later", llama())

    assert get_model(http, workspace, "m")["spec"]["num_layers"] == 2


def test_what_a_user_wrote_wins_field_by_field_and_is_shown_as_such(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    read = made(http, models(workspace), name="m", fileset="weights")["spec"]

    written = http.patch(f"{models(workspace)}/m", json={"spec": {**read, "context_size": 77, "family": "mine"}}).json()
    put(http, workspace, "weights", llama(layers=3))
    after = get_model(http, workspace, "m")

    assert written["spec_origin"]["by_hand"] == ["family", "context_size"]
    assert (after["spec"]["family"], after["spec"]["context_size"]) == ("mine", 77)
    assert after["spec"]["num_layers"] == 3
    assert after["spec_origin"]["by_hand"] == ["family", "context_size"]


def test_a_spec_that_was_there_before_the_files_wins_over_them(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m", spec=SPEC)

    model = http.patch(f"{models(workspace)}/m", json={"fileset": "weights"}, params={"verbose": "true"}).json()

    assert model["spec"]["base_num_parameters"] == SPEC["base_num_parameters"]
    assert "base_num_parameters" in model["spec_origin"]["by_hand"]
    assert model["spec"]["context_size"] == 64, "what nobody wrote is read"


def test_a_get_sent_back_changes_nothing(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m", fileset="weights")
    model = http.get(f"{models(workspace)}/m").json()

    answer = http.patch(f"{models(workspace)}/m", json=model)

    assert answer.status_code == 200, answer.text
    assert answer.json()["revision"] == model["revision"]


def test_metadata_about_tool_calls_reaches_the_spec(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    metadata = {"model": {"tool_calling": {"tool_call_parser": "hermes", "auto_tool_choice": True}}}
    http.patch(f"{filesets(workspace)}/weights", json={"metadata": metadata})

    spec = made(http, models(workspace), name="m", fileset="weights")["spec"]

    assert spec["tool_call_config"]["tool_call_parser"] == "hermes"


def test_files_that_say_too_little_leave_the_spec_empty(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "notes", {"README.md": b"# nothing to see"})

    model = made(http, models(workspace), name="m", fileset="notes")

    assert model["spec"] is None
    assert model["spec_origin"]["complete"] is False


def test_broken_weights_are_no_error_of_the_model(http: httpx.Client, workspace: str) -> None:
    files = llama()
    put(http, workspace, "broken", {**files, "model.safetensors": files["model.safetensors"][:100]})

    answer = http.post(models(workspace), json={"name": "m", "fileset": "broken"})

    assert answer.status_code == 201, answer.text


def test_without_its_fileset_a_model_keeps_its_spec_as_written(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m", fileset="weights")

    answer = http.patch(f"{models(workspace)}/m", content=b'{"fileset": null}', headers=MERGE)

    assert answer.status_code == 200, answer.text
    assert answer.json()["spec"]["num_layers"] == 2
    assert answer.json()["spec_origin"] is None


@pytest.mark.parametrize("way", ["put", "delete"])
def test_the_files_of_a_frozen_model_do_not_change(http: httpx.Client, workspace: str, way: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m", fileset="weights")
    http.post(f"{models(workspace)}/m:freeze")

    path = f"{filesets(workspace)}/weights/-/config.json"
    answer = http.put(path, content=b"{}") if way == "put" else http.delete(path)

    assert (answer.status_code, answer.json()["code"]) == (409, "frozen")
    assert f"{workspace}/m" in answer.json()["detail"]


def test_when_the_metadata_change_the_spec_follows(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", llama())
    made(http, models(workspace), name="m", fileset="weights")

    metadata = {"model": {"tool_calling": {"tool_call_parser": "hermes"}}}
    http.patch(f"{filesets(workspace)}/weights", json={"metadata": metadata})

    assert get_model(http, workspace, "m")["spec"]["tool_call_config"]["tool_call_parser"] == "hermes"
    assert revisions(http, workspace, "m")[0]["action"] == "inspect"
