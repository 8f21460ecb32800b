"""The sizes of a model: what its config says, held against the shapes of its weights, which win.

A contradiction is a fault of the config that is told. A size that neither says stays unknown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from steelyard.inspect.attention import ATTENDING, Kinds, LayerKind, layer_kinds, stated_kinds
from steelyard.inspect.config import Config, Count
from steelyard.inspect.feedforward import FeedForward
from steelyard.inspect.modules import Linear, embedding, is_text, output_head, stacks
from steelyard.inspect.parameters import Parameters

MAX_LAYERS = 10_000
"""More layers than any model has: a config that claims more is wrong, and lists of that length are not made."""
WEIGHTS = "shapes of the weights"

# One stack of shared layers stands for all of them in ALBERT; Zamba shares blocks between layers.
_SHARES_LAYERS = {"albert", "zamba", "zamba2"}
_KEYS = re.compile(r"\.(?:k_proj|key_proj)$")
_QUERIES = re.compile(r"\.(?:q_proj|query_proj)$")
# What multiplies another number by the width of the model, where the config may leave the product out.
_FFN_FACTOR = {"gpt2": 4, "gpt_bigcode": 4, "gptj": 4, "gpt_neo": 4, "falcon": 4, "bloom": 4, "zamba2": 4}


@dataclass(slots=True)
class Architecture:
    """The sizes of the text part, each with its source, None where unknown. `kinds` is empty if the layers are."""

    num_layers: Count | None = None
    hidden_size: Count | None = None
    vocab_size: Count | None = None
    heads: Count | None = None
    kv_heads: Count | None = None
    head_dim: Count | None = None
    ffn: Count | None = None
    kinds: Kinds = ()
    reasons: dict[str, str] = field(default_factory=dict)


def architecture_of(
    config: Config, parameters: Parameters | None, linears: Sequence[Linear], forward: FeedForward
) -> Architecture:
    """The sizes of a model. `parameters` is None, and the others are empty, where the weights cannot be read."""
    found = Architecture()
    found.num_layers = _layers(config, parameters)
    found.hidden_size = _hidden(config, parameters)
    found.vocab_size = _vocab(config, parameters)
    if found.num_layers is not None:
        found.kinds = layer_kinds(config, found.num_layers.value)
    attends = not found.kinds or any(kind in ATTENDING for kind in found.kinds)
    if attends:
        _attention(config, found, linears)
    else:
        nothing = Count(0, f"{found.num_layers.source if found.num_layers else ''} (no layer attends)")
        found.heads = found.kv_heads = nothing
    found.ffn = _ffn(config, found, forward)
    return found


def _layers(config: Config, parameters: Parameters | None) -> Count | None:
    stated = config.size("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
    if stated is None and (kinds := stated_kinds(config)) is not None:
        stated = Count(len(kinds), "config.json: the list of its layers")
    if stated is not None and stated.value > MAX_LAYERS:
        config.fault(stated.source, f"claims {stated.value} layers; {MAX_LAYERS} are the most that are believed")
        stated = None
    if parameters is None or config.family in _SHARES_LAYERS:
        return stated
    held = text_stack(parameters)
    if held is None:
        return stated
    count = max(held[1]) + 1
    if len(held[1]) != count:
        return stated
    return _reconciled(config, stated, count, "layers")


def text_stack(parameters: Parameters) -> tuple[str, set[int]] | None:
    """The stack of the model's layers (of two, the encoder's), and the numbers of the layers that it holds."""
    found = stacks(name for name in parameters.by_name if is_text(name))
    encoders = {name: numbers for name, numbers in found.items() if re.search(r"(?:^|\.)encoder(?:\.|$)", name)}
    return max((encoders or found).items(), key=lambda item: len(item[1]), default=None)


def _hidden(config: Config, parameters: Parameters | None) -> Count | None:
    stated = config.size("hidden_size", "n_embd", "d_model", "dim")
    table = embedding(parameters.by_name) if parameters is not None else None
    # Some families keep embeddings narrower than the model, and say so.
    if table is None or config.find("embedding_size", "word_embed_proj_dim", "embedding_hidden_size") is not None:
        return stated
    return _reconciled(config, stated, table.shape[1], "features")


def _vocab(config: Config, parameters: Parameters | None) -> Count | None:
    stated = config.size("vocab_size", "padded_vocab_size")
    if parameters is None:
        return stated
    # The output head comes first: a table of embeddings may have rows for tokens that are only read.
    table = output_head(parameters.by_name) or embedding(parameters.by_name)
    return stated if table is None else _reconciled(config, stated, table.shape[0], "tokens")


def _reconciled(config: Config, stated: Count | None, held: int, what: str) -> Count:
    if stated is not None and stated.value == held:
        return stated
    if stated is not None:
        config.fault(stated.source, f"says {stated.value} {what}, but the weights have {held}")
    return Count(held, WEIGHTS)


def _attention(config: Config, found: Architecture, linears: Sequence[Linear]) -> None:
    heads = config.size("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
    head_dim = config.size("head_dim", "attention_head_dim", "d_kv")
    if head_dim is None and heads is not None and found.hidden_size is not None:
        if heads.value > found.hidden_size.value:
            config.fault(heads.source, f"says {heads.value} heads, more than the model has features")
            heads = None
        else:
            head_dim = Count(found.hidden_size.value // heads.value, f"{found.hidden_size.source} / {heads.source}")
    found.heads, found.head_dim = heads, head_dim
    found.kv_heads = _kv_heads(config, heads)
    widths = {linear.out_features for linear in linears if is_text(linear.name) and _KEYS.search(linear.name)}
    latent = config.find("kv_lora_rank") is not None
    if heads is None:
        found.reasons["num_attention_heads"] = (
            "config.json does not say it so that it could be, nor do the weights show it"
        )
    else:
        _check_queries(config, heads, linears)
    if len(widths) == 1 and head_dim is not None and not latent:
        width = widths.pop()
        if width % head_dim.value:
            config.fault(
                head_dim.source, f"says heads of {head_dim.value} features; the weights of the keys have {width}"
            )
        else:
            found.kv_heads = _reconciled(config, found.kv_heads, width // head_dim.value, "heads of keys and values")
    elif found.kv_heads is None and heads is not None and not widths and config.known:
        found.kv_heads = Count(heads.value, f"{heads.source} (as many)")
    if found.kv_heads is None:
        found.reasons["num_kv_heads"] = "config.json does not say it, and the weights do not show one number"


def _kv_heads(config: Config, heads: Count | None) -> Count | None:
    many = config.flag("multi_query")
    if config.family == "falcon" and config.flag("new_decoder_architecture"):
        many = None
    if many and config.family in {"falcon", "gpt_bigcode"}:
        return Count(1, "config.json: multi_query")
    stated = config.size("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
    if stated is None and heads is not None and config.known:
        return Count(heads.value, f"{heads.source} (as many)")
    return stated


def _check_queries(config: Config, heads: Count, linears: Sequence[Linear]) -> None:
    for linear in linears:
        if is_text(linear.name) and _QUERIES.search(linear.name) and linear.out_features % heads.value:
            config.fault(heads.source, f"says {heads.value} heads, but {linear.name} has {linear.out_features} outputs")
            return


def _ffn(config: Config, found: Architecture, forward: FeedForward) -> Count | None:
    keys = (
        "intermediate_size_mlp",
        "intermediate_size",
        "n_inner",
        "d_ff",
        "ffn_dim",
        "ffn_hidden_size",
        "encoder_ffn_dim",
        "hidden_dim",
    )
    # Mamba's `intermediate_size` is the width of its mixer: it has no feed-forward block.
    if found.kinds and all(kind == LayerKind.MAMBA for kind in found.kinds) and not forward.sizes:
        return Count(0, "config.json: model_type (no layer has a feed-forward block)")
    stated = config.size(*keys)
    if stated is None and config.family in _FFN_FACTOR and found.hidden_size is not None:
        factor = _FFN_FACTOR[config.family]
        stated = Count(factor * found.hidden_size.value, f"{factor} * {found.hidden_size.source}")
    if stated is None and (ratio := config.size("expansion_ratio", "mlp_ratio")) is not None and found.hidden_size:
        stated = Count(ratio.value * found.hidden_size.value, f"{ratio.source} * {found.hidden_size.source}")
    if forward.sizes:
        if stated is not None and stated.value in forward.sizes:
            return stated
        if len(forward.sizes) == 1:
            return _reconciled(config, stated, next(iter(forward.sizes)), "features of feed-forward blocks")
        return Count(max(forward.sizes), f"{WEIGHTS} (the largest of {len(forward.sizes)} sizes)")
    return stated
