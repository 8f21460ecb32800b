"""`GET …/models/{name}/memory`: the bytes that serving takes, from the headers of the files or from a spec."""

from typing import Any

import httpx
import pytest

from tests.insight.checkpoints import MODELS, PARAMETERS, make_fileset, make_model, tiny_files


def memory(http: httpx.Client, workspace: str, name: str, **query: Any) -> dict[str, Any]:
    answer = http.get(f"{MODELS.format(workspace=workspace)}/{name}/memory", params=query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def term(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [term for term in found["terms"] if term["name"] == name]
    return dict(one)


@pytest.fixture
def tiny(http: httpx.Client, workspace: str) -> str:
    """The name of the small llama in a new workspace."""
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")
    return "tiny"


def test_weights_and_cache_are_what_the_formulas_say(http: httpx.Client, workspace: str, tiny: str) -> None:
    found = memory(http, workspace, tiny, context=100, batch=3)

    assert found["basis"] == "files"
    assert term(found, "weights")["nbytes"] == 2 * PARAMETERS
    # Two layers, one key-value head of 4 and 4 features, two bytes each.
    assert term(found, "kv_cache")["nbytes"] == 2 * (4 + 4) * 2 * 100 * 3
    assert found["total"] == sum(term["nbytes"] for term in found["terms"])
    assert all(term["formula"] and term["source"] for term in found["terms"])


def test_the_context_is_the_models_own_unless_one_is_given(http: httpx.Client, workspace: str, tiny: str) -> None:
    found = memory(http, workspace, tiny)
    assert found["context"] == 64
    assert any("context_size" in text for text in found["assumed"])

    assert not any("context_size" in text for text in memory(http, workspace, tiny, context=5)["assumed"])


def test_a_context_that_nobody_knows_is_the_usual_one(http: httpx.Client, workspace: str, tiny: str) -> None:
    spec = http.get(f"{MODELS.format(workspace=workspace)}/{tiny}?verbose=true").json()["spec"]
    make_model(http, workspace, "hand", spec={**spec, "context_size": None})

    found = memory(http, workspace, "hand")

    assert (found["basis"], found["context"]) == ("spec", 4096)
    assert any("4096 tokens" in text for text in found["assumed"])


def test_a_spec_by_hand_gives_the_same_weights(http: httpx.Client, workspace: str, tiny: str) -> None:
    spec = http.get(f"{MODELS.format(workspace=workspace)}/{tiny}?verbose=true").json()["spec"]
    make_model(http, workspace, "hand", spec=spec)

    from_files, by_hand = memory(http, workspace, tiny), memory(http, workspace, "hand")

    assert term(by_hand, "weights")["nbytes"] == term(from_files, "weights")["nbytes"]
    assert term(by_hand, "kv_cache")["nbytes"] == term(from_files, "kv_cache")["nbytes"]


def test_types_ranks_and_splits(http: httpx.Client, workspace: str, tiny: str) -> None:
    plain = memory(http, workspace, tiny)
    found = memory(http, workspace, tiny, dtype="fp32", kv_dtype="fp8", gpus=2, adapter_rank=4, adapters=2)

    assert term(memory(http, workspace, tiny, dtype="fp32"), "weights")["nbytes"] == 4 * PARAMETERS
    assert "lora" not in {term["name"] for term in plain["terms"]}
    assert term(found, "lora")["nbytes"] > 0
    assert found["gpus"] == 2
    assert {split["gpus"]: split["per_gpu"] is not None for split in found["splits"]} == {
        1: True,
        2: True,
        4: False,
        8: False,
    }
    assert memory(http, workspace, tiny, gpus=3)["why_not"]


@pytest.mark.parametrize("query", [{"context": 0}, {"batch": -1}, {"gpus": 0}, {"dtype": "float13"}, {"adapters": "x"}])
def test_what_makes_no_sense_is_422(http: httpx.Client, workspace: str, tiny: str, query: dict[str, Any]) -> None:
    answer = http.get(f"{MODELS.format(workspace=workspace)}/{tiny}/memory", params=query)

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", *query]


def test_a_model_of_which_nothing_is_known_has_no_memory(http: httpx.Client, workspace: str) -> None:
    make_model(http, workspace, "none")

    answer = http.get(f"{MODELS.format(workspace=workspace)}/none/memory")

    assert answer.status_code == 422
    assert "set its fileset, or its spec" in answer.json()["detail"][0]["msg"]
