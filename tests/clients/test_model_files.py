"""Models and their files, as the SDK sees them: the spec is read from the bytes, and trust is given to bytes."""

from pathlib import Path

import pytest
from nemo_platform import BadRequestError, NeMoPlatform  # type: ignore[import-not-found,unused-ignore]
from nemo_platform_plugin.client.errors import (  # type: ignore[import-not-found,unused-ignore]
    PermissionDeniedError,
)

from tests.clients.checkpoints import PARAMETERS, SHAPES, llama, written

CODE = b"class Llama: ...\n"


@pytest.fixture(autouse=True)
def _weights(sdk: NeMoPlatform, tmp_path: Path) -> None:
    """The fileset `weights`, with a Llama."""
    sdk.files.upload(local_path=written(tmp_path / "weights", llama()), fileset="weights", fileset_auto_create=True)


def test_a_model_that_is_made_with_a_fileset_has_the_spec_of_its_files(sdk: NeMoPlatform) -> None:
    model = sdk.models.create(name="llama", fileset="weights")

    spec = model.spec
    assert model.fileset == f"{sdk.workspace}/weights"
    assert (spec.family, spec.num_layers, spec.hidden_size, spec.ffn_hidden_size) == ("llama", 1, 8, 12)
    assert (spec.num_attention_heads, spec.num_kv_heads, spec.vocab_size, spec.context_size) == (2, 1, 10, 64)
    assert (spec.base_num_parameters, spec.precision) == (PARAMETERS, "bf16")
    assert (spec.tied_embeddings, spec.gated_mlp, spec.is_embedding_model) == (False, True, False)
    layers = {layer.name: (layer.out_features, layer.in_features) for layer in spec.linear_layers}
    assert layers == {name: shape for name, shape in SHAPES.items() if name.endswith(("proj", "lm_head"))}


@pytest.mark.parametrize("spelling", ["weights", "{workspace}/weights"])
def test_an_update_that_sets_the_fileset_answers_the_spec(sdk: NeMoPlatform, spelling: str) -> None:
    sdk.models.create(name="llama")

    after = sdk.models.update("llama", fileset=spelling.format(workspace=sdk.workspace))

    assert (after.fileset, after.spec.base_num_parameters) == (f"{sdk.workspace}/weights", PARAMETERS)
    assert [model.name for model in sdk.models.list(filter={"fileset": "weights"})] == ["llama"]


def test_the_spec_follows_when_the_files_change(sdk: NeMoPlatform) -> None:
    sdk.models.create(name="llama", fileset="weights")
    longer = llama()["config.json"].replace(b'"max_position_embeddings": 64', b'"max_position_embeddings": 128')

    sdk.files.upload_content(content=longer, remote_path="config.json", fileset="weights")

    assert sdk.models.retrieve("llama").spec.context_size == 128


def test_a_fileset_must_be_there_and_for_an_update_hold_files(sdk: NeMoPlatform) -> None:
    sdk.files.filesets.create(name="empty")

    assert sdk.models.create(name="early", fileset="empty").spec is None
    sdk.models.create(name="llama", fileset="weights")
    for fileset in ("empty", "none", "", "a/b/c"):
        with pytest.raises(BadRequestError):
            sdk.models.update("llama", fileset=fileset)
    with pytest.raises(BadRequestError, match="none"):
        sdk.models.create(name="other", fileset="none")

    assert sdk.models.retrieve("llama").fileset == f"{sdk.workspace}/weights"


def test_code_leaves_when_it_is_trusted_and_trust_ends_when_it_changes(sdk: NeMoPlatform) -> None:
    def put(code: bytes) -> None:
        sdk.files.upload_content(content=code, remote_path="modeling.py", fileset="weights")

    def got() -> bytes:
        content: bytes = sdk.files.download_content(remote_path="weights#modeling.py")
        return content

    put(CODE)
    assert sdk.models.create(name="llama", fileset="weights").trust_remote_code is False
    with pytest.raises(PermissionDeniedError, match="trust_remote_code"):
        got()

    assert sdk.models.update("llama", trust_remote_code=True).trust_remote_code is True
    assert got() == CODE

    put(CODE + b"import os\n")
    assert sdk.models.retrieve("llama").trust_remote_code is False
    with pytest.raises(PermissionDeniedError, match="trust_remote_code"):
        got()


def test_files_that_are_no_code_leave_in_any_case(sdk: NeMoPlatform) -> None:
    sdk.files.upload_content(content=CODE, remote_path="modeling.py", fileset="weights")
    sdk.models.create(name="llama", fileset="weights")

    assert sdk.files.download_content(remote_path="weights#config.json") == llama()["config.json"]
