"""What a live module says of itself, in the words of a ModelSpec: the truth that inspections are held against."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

Features = tuple[int, int]
# Families whose checkpoints hold their experts in one tensor, as the live module does.
_FUSED_EXPERTS = {"gpt_oss", "llama4_text", "granitemoe"}


def linear_layers(model: nn.Module) -> dict[str, Features]:
    """The features of each linear layer, by its name."""
    return {
        name: (module.weight.shape[0], module.weight.shape[1])
        if isinstance(module, Conv1D)
        else (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | Conv1D)
    }


def fused_layers(model: Any) -> Iterator[Features]:
    """The matrices of experts and routers that the module keeps as bare parameters and the checkpoint one by one."""
    known = {f"{name}.weight" for name in linear_layers(model)}
    for name, parameter in model.named_parameters():
        shape = tuple(parameter.shape)
        if name.endswith((".gate.weight", ".router.weight")) and name not in known:
            yield shape[1], shape[0]
        elif (
            ".experts." in name and len(shape) == 3 and model.config.get_text_config().model_type not in _FUSED_EXPERTS
        ):
            experts, rows, columns = shape
            halves = 2 if name.endswith("gate_up_proj") else 1
            yield from [(columns, rows // halves)] * (experts * halves)


def _first(config: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def sizes(model: Any) -> dict[str, Any]:
    """The fields that a config has too, by the live config: its text part where it has parts."""
    whole, text = model.config, model.config.get_text_config()
    hidden = text.hidden_size
    heads = _first(text, "num_attention_heads")
    ffn = _first(
        text,
        *("intermediate_size_mlp", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size", "hidden_dim", "encoder_ffn_dim"),
        "intermediate_size",
    )
    if text.model_type in {"mamba", "mamba2", "falcon_mamba"}:
        heads, ffn = 0, 0
    return {
        "family": whole.model_type,
        "num_layers": text.num_hidden_layers,
        "hidden_size": hidden,
        "vocab_size": text.vocab_size,
        "num_attention_heads": heads,
        "num_kv_heads": _kv_heads(text, heads),
        "ffn_hidden_size": 4 * hidden if ffn is None else ffn,
        "tied_embeddings": bool(_first(whole, "tie_word_embeddings")),
        "context_size": _context(text),
        "base_num_parameters": model.num_parameters(),
        "precision": {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}[model.dtype],
        "sliding_window_config": _window(text),
        "is_embedding_model": False,
    }


def _kv_heads(text: Any, heads: int) -> int:
    if text.model_type in {"falcon", "gpt_bigcode"} and text.multi_query:
        return text.num_kv_heads if getattr(text, "new_decoder_architecture", False) else 1
    return heads if heads == 0 else _first(text, "num_key_value_heads", "num_kv_heads") or heads


def _context(text: Any) -> int | None:
    if text.model_type in {"mamba", "mamba2", "falcon_mamba", "t5", "bloom"}:
        return None
    # Positions of these begin behind that of the padding.
    padded = text.model_type in {"roberta", "xlm-roberta", "mpnet"}
    return int(text.max_position_embeddings) - (text.pad_token_id + 1 if padded else 0)


def _window(text: Any) -> dict[str, int] | None:
    kinds = getattr(text, "layer_types", None)
    if getattr(text, "sliding_window", None) is None or (kinds is not None and "sliding_attention" not in kinds):
        return None
    return {"window_size": text.sliding_window}


def is_gated(model: Any) -> bool:
    """Whether a feed-forward block multiplies by a gate, by the names that the families' modules give it."""
    names = " ".join(name for name, _ in model.named_parameters())
    kind = model.config.get_text_config().model_type
    # ModernBERT and Granite keep both halves in one matrix, under names of their own.
    return kind == "modernbert" or any(part in names for part in ("gate_proj", "gate_up_proj", "wi_1", "input_linear"))


def cache_elements(model: Any, tokens: int) -> int:
    """How many numbers the model keeps after reading `tokens` tokens."""
    words = torch.ones(1, tokens, dtype=torch.long)
    more = {"decoder_input_ids": words} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        output = model.eval()(input_ids=words, use_cache=True, **more)
    cache = getattr(output, "past_key_values", None) or getattr(output, "cache_params", None)
    return _elements(cache, set()) if cache is not None else 0


def _elements(value: Any, seen: set[int]) -> int:
    """The numbers of all tensors within the layers of a cache."""
    if id(value) in seen:
        return 0
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        return value.numel() if value.dim() > 1 else 0
    if isinstance(value, dict):
        return sum(_elements(item, seen) for item in value.values())
    if isinstance(value, list | tuple):
        return sum(_elements(item, seen) for item in value)
    if type(value).__module__ == "transformers.cache_utils":
        return _elements(vars(value), seen)
    return 0
