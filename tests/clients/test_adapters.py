"""The SDK keeps adapters: under their model (`models.adapters`), and by their own names (`adapters`)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nemo_platform import (  # type: ignore[import-not-found,unused-ignore]
    BadRequestError,
    ConflictError,
    NeMoPlatform,
    NotFoundError,
    UnprocessableEntityError,
)

from tests.clients.checkpoints import llama, lora, written

NEW: dict[str, Any] = {"name": "polite", "fileset": "lora", "finetuning_type": "lora"}


@pytest.fixture(autouse=True)
def _base(sdk: NeMoPlatform, tmp_path: Path) -> None:
    """The model `llama` with weights, and the fileset `lora` with an adapter that fits it."""
    for name, files in {"weights": llama(), "lora": lora(), "misfit": lora(out_features=9)}.items():
        sdk.files.upload(local_path=written(tmp_path / name, files), fileset=name, fileset_auto_create=True)
    sdk.models.create(name="llama", fileset="weights")


def _nested(sdk: NeMoPlatform, **fields: Any) -> Any:
    return sdk.models.adapters.create("llama", **{**NEW, **fields})


def _top(sdk: NeMoPlatform, **fields: Any) -> Any:
    return sdk.adapters.create(**{**NEW, "model": "llama", **fields})


Create = Callable[..., Any]
BOTH = pytest.mark.parametrize("create", [_nested, _top], ids=["under the model", "by itself"])


@BOTH
def test_an_adapter_stands_by_itself_and_in_its_model(sdk: NeMoPlatform, create: Create) -> None:
    adapter = create(sdk, description="Says please")

    assert (adapter.name, adapter.workspace, adapter.model) == ("polite", sdk.workspace, f"{sdk.workspace}/llama")
    assert (adapter.fileset, adapter.finetuning_type) == (f"{sdk.workspace}/lora", "lora")
    assert (adapter.description, adapter.enabled) == ("Says please", True)
    assert adapter.created_at == adapter.updated_at
    assert sdk.adapters.retrieve("polite") == adapter
    (within,) = sdk.models.retrieve("llama").adapters
    assert (within.name, within.model, within.lora_config) == ("polite", adapter.model, adapter.lora_config)


@BOTH
def test_rank_and_alpha_are_read_from_the_files(sdk: NeMoPlatform, create: Create) -> None:
    adapter = create(sdk)

    assert (adapter.lora_config.rank, adapter.lora_config.alpha) == (4, 8)


@BOTH
def test_a_rank_that_is_not_the_one_of_the_files_is_refused(sdk: NeMoPlatform, create: Create) -> None:
    with pytest.raises(UnprocessableEntityError, match="rank"):
        create(sdk, lora_config={"rank": 16})

    assert list(sdk.adapters.list()) == []


@BOTH
def test_an_adapter_that_cannot_fit_its_base_is_refused(sdk: NeMoPlatform, create: Create) -> None:
    with pytest.raises(UnprocessableEntityError, match="q_proj"):
        create(sdk, fileset="misfit")

    assert sdk.models.retrieve("llama").adapters == []


@BOTH
def test_a_name_that_is_taken_is_a_conflict_whatever_the_model(sdk: NeMoPlatform, create: Create) -> None:
    create(sdk)
    sdk.models.create(name="other", fileset="weights")

    with pytest.raises(ConflictError):
        create(sdk)
    with pytest.raises(ConflictError):
        sdk.models.adapters.create("other", **NEW)


@BOTH
@pytest.mark.parametrize("fileset", ["none", "empty"])
def test_an_adapter_needs_a_fileset_with_files(sdk: NeMoPlatform, create: Create, fileset: str) -> None:
    sdk.files.filesets.create(name="empty")

    with pytest.raises(BadRequestError, match=fileset):
        create(sdk, fileset=fileset)


def test_an_adapter_needs_a_model(sdk: NeMoPlatform) -> None:
    with pytest.raises(NotFoundError):
        sdk.models.adapters.create("none", **NEW)
    with pytest.raises(NotFoundError):
        _top(sdk, model="none")


def test_the_base_may_live_in_another_workspace(sdk: NeMoPlatform, tmp_path: Path) -> None:
    other = f"{sdk.workspace}-b"
    sdk.workspaces.create(name=other)
    sdk.files.upload(local_path=written(tmp_path / "b", lora()), fileset=f"lora-{other}", fileset_auto_create=True)

    adapter = _top(sdk, workspace=other, model=f"{sdk.workspace}/llama", fileset=f"{sdk.workspace}/lora")

    assert (adapter.workspace, adapter.model) == (other, f"{sdk.workspace}/llama")
    assert [one.workspace for one in sdk.models.retrieve("llama").adapters] == [other]
    assert list(sdk.adapters.list()) == []
    assert [one.name for one in sdk.adapters.list(workspace=other)] == ["polite"]
    with pytest.raises(NotFoundError):
        sdk.models.adapters.update("polite", model_name="llama", description="x")


def test_an_update_changes_what_it_names_both_ways(sdk: NeMoPlatform) -> None:
    before = _nested(sdk, description="x")

    nested = sdk.models.adapters.update("polite", model_name="llama", enabled=False)
    top = sdk.adapters.patch("polite", description="")

    assert (nested.enabled, nested.description) == (False, "x")
    assert (top.enabled, top.description, top.fileset) == (False, "", before.fileset)
    assert before.updated_at < nested.updated_at < top.updated_at
    assert sdk.adapters.patch("polite", description=None, enabled=None, fileset=None) == top


def test_an_update_may_set_another_fileset_that_fits(sdk: NeMoPlatform, tmp_path: Path) -> None:
    _nested(sdk)
    sdk.files.upload(local_path=written(tmp_path / "r2", lora(rank=2)), fileset="second", fileset_auto_create=True)

    after = sdk.adapters.patch("polite", fileset="second")

    assert (after.fileset, after.lora_config.rank) == (f"{sdk.workspace}/second", 2)
    with pytest.raises(UnprocessableEntityError, match="q_proj"):
        sdk.adapters.patch("polite", fileset="misfit")
    assert sdk.adapters.retrieve("polite") == after


def test_an_adapter_is_only_found_under_its_own_model(sdk: NeMoPlatform) -> None:
    _nested(sdk)
    sdk.models.create(name="other", fileset="weights")

    with pytest.raises(NotFoundError):
        sdk.models.adapters.update("polite", model_name="other", description="x")
    with pytest.raises(NotFoundError):
        sdk.models.adapters.delete("polite", model_name="other")

    assert sdk.adapters.retrieve("polite").description is None


def test_lists_are_walked_filtered_and_sorted(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="other", fileset="weights")
    _nested(sdk, name="a")
    _nested(sdk, name="b", enabled=False)
    sdk.models.adapters.create("other", **{**NEW, "name": "c", "finetuning_type": "qlora"})

    def names(**query: Any) -> list[str]:
        return [one.name for one in sdk.adapters.list(**query)]

    assert names() == ["a", "b", "c"]
    assert names(sort="-name", page_size=1) == ["c", "b", "a"]
    assert names(filter={"model": "llama"}) == names(filter={"model": f"{sdk.workspace}/llama"}) == ["a", "b"]
    assert names(filter={"enabled": True}) == ["a", "c"]
    assert names(filter={"finetuning_type": "qlora"}) == ["c"]
    assert [model.name for model in sdk.models.list(filter={"adapters": True}, sort="name")] == ["llama", "other"]


def test_a_delete_takes_it_out_of_its_model_both_ways(sdk: NeMoPlatform) -> None:
    _nested(sdk, name="a")
    _nested(sdk, name="b")

    sdk.models.adapters.delete("a", model_name="llama")
    sdk.adapters.delete("b")

    assert sdk.models.retrieve("llama").adapters == []
    with pytest.raises(NotFoundError):
        sdk.adapters.retrieve("a")
    with pytest.raises(NotFoundError):
        sdk.adapters.delete("b")


def test_adapters_go_with_their_model(sdk: NeMoPlatform) -> None:
    _nested(sdk)

    sdk.models.delete("llama")

    assert list(sdk.adapters.list()) == []
