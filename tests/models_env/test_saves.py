"""However a model is saved (shards, types, tied tables, parts of it), the same model is read."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as hf
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from steelyard.inspect.files import FolderFiles
from tests.models_env.families import FAMILIES


def _inspected(folder: Path) -> Inspection:
    return inspect_checkpoint(FolderFiles(folder), "model")


def _spec(folder: Path) -> dict[str, Any]:
    spec = _inspected(folder).spec
    assert spec is not None
    return dict(spec)


def test_shards_and_one_file_are_the_same_model(tmp_path: Path) -> None:
    model = FAMILIES["mixtral"]()
    model.save_pretrained(tmp_path / "whole")
    model.save_pretrained(tmp_path / "shards", max_shard_size="100KB")

    assert len(list((tmp_path / "shards").glob("model-*.safetensors"))) > 3
    assert _spec(tmp_path / "shards") == _spec(tmp_path / "whole")
    assert _inspected(tmp_path / "shards").faults == ()


def test_a_missing_shard_is_named_and_what_depends_on_it_unknown(tmp_path: Path) -> None:
    FAMILIES["llama"]().save_pretrained(tmp_path, max_shard_size="100KB")
    missing = sorted(tmp_path.glob("model-*.safetensors"))[1]
    missing.unlink()

    inspection = _inspected(tmp_path)

    assert [fault.path for fault in inspection.faults] == [missing.name]
    assert inspection.spec is not None
    assert inspection.spec["num_layers"] == 3
    assert inspection.spec["base_num_parameters"] is None
    assert "missing or broken" in inspection.missing["base_num_parameters"]


@pytest.mark.parametrize(
    ("dtype", "precision"), [(torch.bfloat16, "bf16"), (torch.float16, "fp16"), (torch.float32, "fp32")]
)
def test_precision_is_the_type_of_the_weights(dtype: torch.dtype, precision: str, tmp_path: Path) -> None:
    FAMILIES["qwen2"]().to(dtype).save_pretrained(tmp_path)

    assert _spec(tmp_path)["precision"] == precision


def test_a_tied_head_that_was_saved_all_the_same_counts_once(tmp_path: Path) -> None:
    model = FAMILIES["llama-tied"]()
    model.save_pretrained(tmp_path)
    once = _spec(tmp_path)
    path = tmp_path / "model.safetensors"
    tensors = load_file(path)
    save_file({**tensors, "lm_head.weight": tensors["model.embed_tokens.weight"].clone()}, path, {"format": "pt"})

    twice = _spec(tmp_path)

    assert twice["base_num_parameters"] == once["base_num_parameters"] == model.num_parameters()
    assert twice["tied_embeddings"]
    assert sorted(map(str, twice["linear_layers"])) == sorted(map(str, once["linear_layers"]))


def test_a_text_part_that_says_only_what_differs_is_completed(tmp_path: Path) -> None:
    """Vision-language configs are written so by older versions of transformers."""
    config = hf.Gemma3Config(text_config={"num_hidden_layers": 2})
    said = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "num_hidden_layers": 2}}
    (tmp_path / "config.json").write_text(json.dumps(said))

    spec = _spec(tmp_path)

    text = config.get_text_config()
    assert spec["num_layers"] == 2
    assert spec["hidden_size"] == text.hidden_size
    assert spec["num_kv_heads"] == text.num_key_value_heads
    assert spec["sliding_window_config"] == {"window_size": text.sliding_window}


def test_chat_template_and_generation_are_read_as_saved(tmp_path: Path) -> None:
    template = "{% for message in messages %}{{ message.content }}{% endfor %}{% if tools %}{{ tools }}{% endif %}"
    tokenizer = hf.PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"a": 0}, unk_token="a")))
    tokenizer.chat_template = template
    tokenizer.save_pretrained(tmp_path)
    model = FAMILIES["llama"]()
    model.generation_config.temperature = 0.6
    model.generation_config.do_sample = True
    model.save_pretrained(tmp_path)

    inspection = _inspected(tmp_path)

    assert inspection.spec is not None
    assert inspection.spec["chat_template"] == template
    assert inspection.spec["is_chat"] is True
    assert inspection.chat.takes_tools
    assert inspection.chat.generation["temperature"] == 0.6
