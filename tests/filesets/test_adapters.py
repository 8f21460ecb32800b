"""Adapters: they stand in their base model, fit it, and go with it."""

from typing import Any

import httpx
import pytest

from tests.api.paths import WORKSPACES, faults, made, models
from tests.filesets.checkpoints import adapters, filesets, get_model, llama, lora, put, weights
from tests.inspect.checkpoints import llama_tensors

NEW = {"name": "a", "fileset": "lora", "finetuning_type": "lora"}


@pytest.fixture
def base(http: httpx.Client, workspace: str) -> dict[str, Any]:
    """A model with weights, and a fileset with a LoRA that fits it."""
    put(http, workspace, "weights", llama())
    put(http, workspace, "lora", lora())
    return made(http, models(workspace), name="base", fileset="weights")


def nested(workspace: str, model: str = "base") -> str:
    return f"{models(workspace)}/{model}/adapters"


@pytest.mark.usefixtures("base")
def test_an_adapter_is_made_under_its_model_and_stands_in_it(http: httpx.Client, workspace: str) -> None:
    adapter = made(http, nested(workspace), **NEW)

    model = get_model(http, workspace, "base")
    assert adapter["model"] == f"{workspace}/base"
    assert adapter["fileset"] == f"{workspace}/lora"
    assert adapter["enabled"] is True
    assert [one["name"] for one in model["adapters"]] == ["a"]
    assert model["adapters"][0]["lora_config"] == {"rank": 4, "alpha": 8}


def test_the_model_moves_its_revision_for_it_is_answered_with_its_adapters(
    http: httpx.Client, workspace: str, base: dict[str, Any]
) -> None:
    made(http, nested(workspace), **NEW)

    model = get_model(http, workspace, "base")
    assert model["revision"] == base["revision"] + 1
    assert model["updated_at"] > base["updated_at"]


@pytest.mark.usefixtures("base")
def test_rank_and_scaling_are_read_from_the_files_and_a_contradiction_is_refused(
    http: httpx.Client, workspace: str
) -> None:
    answer = http.post(nested(workspace), json={**NEW, "lora_config": {"rank": 16}})

    assert faults(answer) == [(("body", "lora_config", "rank"), "adapter_mismatch")]
    assert "4" in answer.json()["detail"][0]["msg"]
    assert made(http, nested(workspace), **NEW, lora_config={"rank": 4})["lora_config"] == {"rank": 4, "alpha": 8}


@pytest.mark.usefixtures("base")
def test_an_adapter_that_cannot_fit_is_refused_with_the_first_misfit(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "wrong", lora(out_features=9))

    answer = http.post(nested(workspace), json={**NEW, "fileset": "wrong"})

    assert faults(answer) == [(("body", "fileset"), "adapter_misfit")]
    assert "q_proj" in answer.json()["detail"][0]["msg"]
    assert http.get(f"{adapters(workspace)}/a").status_code == 404
    assert get_model(http, workspace, "base")["adapters"] == []


@pytest.mark.usefixtures("base")
def test_a_name_is_unique_in_its_workspace_whatever_the_model(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="other", fileset="weights")
    made(http, nested(workspace), **NEW)

    answer = http.post(nested(workspace, "other"), json=NEW)

    assert (answer.status_code, answer.json()["code"]) == (409, "already_exists")


@pytest.mark.usefixtures("base")
def test_its_base_may_live_in_another_workspace(http: httpx.Client, workspace: str) -> None:
    elsewhere = f"{workspace}-b"
    http.post(WORKSPACES, json={"name": elsewhere})
    put(http, elsewhere, "lora", lora())

    made(http, adapters(elsewhere), **NEW, model=f"{workspace}/base")

    assert get_model(http, workspace, "base")["adapters"][0]["workspace"] == elsewhere
    assert http.get(f"{nested(workspace)}/a").status_code == 405
    assert http.delete(f"{nested(workspace)}/a").status_code == 404
    assert http.delete(f"{WORKSPACES}/{elsewhere}").status_code == 200
    assert get_model(http, workspace, "base")["adapters"] == []


def test_without_its_base_there_is_no_adapter(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "lora", lora())

    missing = http.post(adapters(workspace), json={**NEW, "model": "nobody"})

    assert missing.status_code == 404
    assert "nobody" in missing.json()["detail"]


@pytest.mark.usefixtures("base")
def test_its_fileset_must_be_there_and_hold_something(http: httpx.Client, workspace: str) -> None:
    http.post(filesets(workspace), json={"name": "empty"})

    answers = [http.post(nested(workspace), json={**NEW, "fileset": name}) for name in ("none", "empty", "")]

    assert [answer.status_code for answer in answers] == [400, 400, 400]


@pytest.mark.usefixtures("base")
def test_an_update_shows_in_the_model_and_what_cannot_change_is_refused(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    changed = http.patch(f"{adapters(workspace)}/a", json={"enabled": False, "description": "off"})
    refused = http.patch(f"{adapters(workspace)}/a", json={"finetuning_type": "qlora"})

    assert changed.status_code == 200, changed.text
    summary = get_model(http, workspace, "base")["adapters"][0]
    assert (summary["enabled"], summary["description"]) == (False, "off")
    assert summary["updated_at"] == changed.json()["updated_at"]
    assert refused.status_code == 422


@pytest.mark.usefixtures("base")
def test_with_another_fileset_rank_and_scaling_are_those_of_its_files(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "smaller", lora(rank=2, alpha=2))
    put(http, workspace, "bare", {"notes.txt": b"no configuration"})
    made(http, nested(workspace), **NEW, lora_config={"rank": 4})

    smaller = http.patch(f"{adapters(workspace)}/a", json={"fileset": "smaller"})
    bare = http.patch(f"{adapters(workspace)}/a", json={"fileset": "bare"})

    assert (smaller.status_code, smaller.json()["lora_config"]) == (200, {"rank": 2, "alpha": 2})
    assert (bare.status_code, bare.json()["lora_config"]) == (200, {"rank": 2, "alpha": 2})


@pytest.mark.usefixtures("base")
def test_adapters_are_filtered_by_their_model_and_models_by_their_adapters(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="bare")
    made(http, nested(workspace), **NEW)
    made(http, nested(workspace), **{**NEW, "name": "b"}, enabled=False)

    def names(path: str, **query: str) -> list[str]:
        answer = http.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return [one["name"] for one in answer.json()["data"]]

    assert names(adapters(workspace), **{"filter[model]": "base"}) == ["a", "b"]
    assert names(adapters(workspace), **{"filter[enabled]": "false"}) == ["b"]
    assert names(models(workspace), **{"filter[adapters]": "true"}) == ["base"]
    assert names(models(workspace), **{"filter[adapters]": "false"}) == ["bare"]
    assert names(models(workspace), **{"filter[adapters][finetuning_type]": "lora"}) == ["base"]


@pytest.mark.usefixtures("base")
def test_they_go_with_their_model_and_come_back_with_it(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    http.delete(f"{models(workspace)}/base")
    gone = http.get(f"{adapters(workspace)}/a").status_code
    http.post(f"{models(workspace)}/base:undelete")

    assert gone == 404
    assert http.get(f"{adapters(workspace)}/a").status_code == 200
    assert [one["name"] for one in get_model(http, workspace, "base")["adapters"]] == ["a"]


@pytest.mark.usefixtures("base")
def test_one_that_is_deleted_leaves_its_model_and_returns_to_it(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    deleted = http.delete(f"{nested(workspace)}/a")
    without = get_model(http, workspace, "base")["adapters"]
    http.post(f"{adapters(workspace)}/a:undelete")

    assert (deleted.status_code, without) == (204, [])
    assert [one["name"] for one in get_model(http, workspace, "base")["adapters"]] == ["a"]


@pytest.mark.usefixtures("base")
def test_when_its_files_change_its_rank_follows(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    put(http, workspace, "lora", lora(rank=2))

    adapter = http.get(f"{adapters(workspace)}/a").json()
    assert adapter["lora_config"] == {"rank": 2, "alpha": 8}
    assert get_model(http, workspace, "base")["adapters"][0]["lora_config"]["rank"] == 2


@pytest.mark.usefixtures("base")
def test_one_that_no_longer_fits_is_switched_off_and_cannot_be_switched_on(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    put(http, workspace, "lora", lora(out_features=9))

    adapter = http.get(f"{adapters(workspace)}/a").json()
    why = http.get(f"{adapters(workspace)}/a/revisions").json()["data"][0]
    on = http.patch(f"{adapters(workspace)}/a", json={"enabled": True})
    assert adapter["enabled"] is False
    assert (why["action"], "q_proj" in why["reason"]) == ("inspect", True)
    assert get_model(http, workspace, "base")["adapters"][0]["enabled"] is False
    assert faults(on) == [(("body", "fileset"), "adapter_misfit")]


@pytest.mark.usefixtures("base")
def test_other_files_of_the_base_are_asked_too(http: httpx.Client, workspace: str) -> None:
    made(http, nested(workspace), **NEW)

    wider = {**llama_tensors(), "model.layers.0.self_attn.q_proj.weight": ("BF16", (16, 8))}
    put(http, workspace, "weights", {"model.safetensors": weights(wider)})

    why = http.get(f"{adapters(workspace)}/a/revisions").json()["data"][0]
    assert http.get(f"{adapters(workspace)}/a").json()["enabled"] is False
    assert (why["action"], "q_proj" in why["reason"]) == ("inspect", True)
