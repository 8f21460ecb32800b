"""The spec of a model out of its config, its weights and its tokenizer: each field with its source, or a reason."""

import re
from collections.abc import Sequence

from steelyard.inspect.architecture import Architecture, architecture_of
from steelyard.inspect.attention import LayerKind, window
from steelyard.inspect.config import Config, Count, ModelConfig
from steelyard.inspect.draft import Draft
from steelyard.inspect.feedforward import FeedForward, feed_forward
from steelyard.inspect.layout import Layout
from steelyard.inspect.layouts import layout_of
from steelyard.inspect.mixers import mamba_config, moe_config
from steelyard.inspect.modules import Linear, embedding
from steelyard.inspect.reading import Reading, is_clean_text
from steelyard.inspect.tokenizer import Chat
from steelyard.inspect.weights import Weights, precision_of, text_linears, tie

MAX_LINEAR_LAYERS = 50_000
_POSITIONS = (
    *("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "max_seq_len", "seq_length"),
    *("max_target_positions", "model_max_length"),
)
# The first positions of these are for padding: tables of 514 rows serve 512 tokens.
_PADDED_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet"}
_BOUNDLESS = {"mamba", "mamba2", "falcon_mamba", "t5", "mt5", "umt5", "bloom"}
_UNGATED = {"gpt2", "gpt_bigcode", "gptj", "gpt_neo", "gpt_neox", "bloom", "falcon", "opt", "phi", "nemotron", "bert"}
_DTYPES = {"bfloat16": "bf16", "float16": "fp16", "float32": "fp32", "float64": "fp64"}
_UNREAD = "the weights cannot be read: safetensors and GGUF are"
_LOCAL = re.compile(r"^[./\\~]|^[A-Za-z]:|\\")


def describe(draft: Draft, reading: Reading, config: ModelConfig, weights: Weights | None, name: str) -> Layout | None:
    """Fills `draft` from a config and, where they can be read, the weights. Answers the layout, if it is known."""
    text = config.text
    tied, why = tie(weights, config, reading) if weights is not None else _tie_by_config(config)
    parameters = weights.parameters if weights is not None else None
    linears = text_linears(weights.linears) if weights is not None else ()
    table = embedding(parameters.by_name) if parameters is not None else None
    forward = FeedForward()
    if parameters is not None:
        forward = feed_forward(linears, parameters.by_name, table.shape[1] if table is not None else None)
    if weights is not None and not weights.whole:
        # What is missing contradicts nothing: the config alone is believed.
        sizes = architecture_of(text, None, (), FeedForward())
    else:
        sizes = architecture_of(text, parameters, linears, forward)
    _sizes(draft, sizes)
    _names(draft, config, name)
    _put(draft, "tied_embeddings", tied, why)
    _gated(draft, text, forward, sizes)
    _weights(draft, weights, config)
    _context(draft, text)
    _mixers(draft, text, forward, sizes)
    if LayerKind.SLIDING in sizes.kinds and (width := window(text)) is not None:
        draft.set("sliding_window_config", {"window_size": width.value}, width.source)
    if weights is None:
        return None
    return layout_of(text, sizes, weights.tensors, weights.linears)


def _put(draft: Draft, field: str, value: object, why: str) -> None:
    if value is None:
        draft.unknown(field, why)
    else:
        draft.set(field, value, why)


def _tie_by_config(config: ModelConfig) -> tuple[bool | None, str]:
    found = config.whole.find("tie_word_embeddings") or config.text.find("tie_word_embeddings")
    if found is None or not isinstance(found.value, bool):
        return None, "config.json does not say it"
    return found.value, found.source


def _sizes(draft: Draft, sizes: Architecture) -> None:
    known: dict[str, Count | None] = {
        "num_layers": sizes.num_layers,
        "hidden_size": sizes.hidden_size,
        "num_attention_heads": sizes.heads,
        "num_kv_heads": sizes.kv_heads,
        "ffn_hidden_size": sizes.ffn,
        "vocab_size": sizes.vocab_size,
    }
    for name, size in known.items():
        if size is None:
            draft.unknown(name, sizes.reasons.get(name, "neither config.json nor the weights say it"))
        else:
            draft.set(name, size.value, size.source)


def _names(draft: Draft, config: ModelConfig, name: str) -> None:
    stated = config.whole.values.get("_name_or_path")
    if isinstance(stated, str) and 0 < len(stated) <= 255 and is_clean_text(stated) and not _LOCAL.search(stated):
        draft.set("checkpoint_model_name", stated, "config.json: _name_or_path")
    elif name:
        draft.set("checkpoint_model_name", name, "the name that the checkpoint was given")
    else:
        draft.unknown("checkpoint_model_name", "config.json has no _name_or_path that names a repository")
    if config.whole.family is not None:
        draft.set("family", config.whole.family, "config.json: model_type")
    else:
        draft.unknown("family", "config.json has no model_type")


def _gated(draft: Draft, config: Config, forward: FeedForward, sizes: Architecture) -> None:
    if forward.gated is not None:
        draft.set("gated_mlp", forward.gated, "shapes of the weights")
    elif sizes.ffn is not None and sizes.ffn.value == 0:
        draft.set("gated_mlp", False, sizes.ffn.source)
    elif config.family in _UNGATED:
        draft.set("gated_mlp", False, "config.json: model_type")
    else:
        draft.unknown("gated_mlp", "the weights do not show whether their feed-forward blocks have a gate")


def _weights(draft: Draft, weights: Weights | None, config: ModelConfig) -> None:
    if weights is None:
        draft.unknown("base_num_parameters", _UNREAD)
        draft.unknown("linear_layers", _UNREAD)
        stated = config.text.find("dtype", "torch_dtype") or config.whole.find("dtype", "torch_dtype")
        if stated is not None and isinstance(stated.value, str) and stated.value in _DTYPES:
            draft.set("precision", _DTYPES[stated.value], stated.source)
        else:
            draft.unknown("precision", _UNREAD)
        return
    broken = "files of the weights are missing or broken" if not weights.whole else None
    broken = broken or weights.parameters.unclear
    found = precision_of(weights)
    if found is not None:
        draft.set("precision", *found)
    else:
        draft.unknown("precision", broken or "there are no weights")
    if broken is not None:
        draft.unknown("base_num_parameters", broken)
        draft.unknown("linear_layers", broken)
        return
    source = ", ".join([_source(weights), *dict.fromkeys(weights.notes)])
    draft.set("base_num_parameters", weights.parameters.elements, source)
    _linear_layers(draft, weights.linears, _source(weights))


def _source(weights: Weights) -> str:
    files = len({tensor.file for tensor in weights.tensors})
    return f"safetensors headers ({files} file{'s' if files != 1 else ''})"


def _linear_layers(draft: Draft, linears: Sequence[Linear], source: str) -> None:
    if len(linears) > MAX_LINEAR_LAYERS:
        draft.unknown("linear_layers", f"there are {len(linears)}, and a spec holds at most {MAX_LINEAR_LAYERS}")
        return
    draft.set("linear_layers", [linear._asdict() for linear in linears], source)


def _context(draft: Draft, config: Config) -> None:
    stated = config.size(*_POSITIONS)
    if stated is None:
        boundless = config.family in _BOUNDLESS
        draft.unknown(
            "context_size", "the family has no limit of its own" if boundless else "config.json does not say it"
        )
        return
    padding = config.count("pad_token_id") if config.family in _PADDED_POSITIONS else None
    if padding is not None and stated.value > padding.value + 1:
        usable = stated.value - padding.value - 1
        draft.set("context_size", usable, f"{stated.source}, less the positions up to pad_token_id")
        return
    draft.set("context_size", stated.value, stated.source)


def _mixers(draft: Draft, config: Config, forward: FeedForward, sizes: Architecture) -> None:
    for name, found in (
        ("moe_config", moe_config(config, forward, sizes.kinds)),
        ("mamba_config", mamba_config(config, sizes.kinds)),
    ):
        if isinstance(found, str):
            draft.unknown(name, found)
        elif found is not None:
            draft.set(name, *found)


def describe_chat(draft: Draft, chat: Chat) -> None:
    """Fills in what the tokenizer's files say."""
    if chat.template is not None and chat.source is not None:
        draft.set("chat_template", chat.template, chat.source)
        draft.set("is_chat", True, f"{chat.source} (there is a chat template)")
    elif chat.has_tokenizer:
        draft.set("is_chat", False, "the tokenizer's files have no chat template")
    else:
        draft.unknown("is_chat", "there are no tokenizer files")
    if chat.takes_tools:
        draft.unknown("tool_call_config", "the chat template takes tools, but no file names the parser of their calls")
