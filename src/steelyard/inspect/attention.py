"""Which layers of a model attend to all tokens, to a window of them, or keep a state instead, by its config."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from steelyard.inspect.config import Config, Count


class LayerKind(StrEnum):
    """What a layer keeps for the tokens before.

    `PARALLEL`: attention and a state-space mixer side by side in it; `CROSS`: attention to images alone.
    """

    FULL = "full"
    SLIDING = "sliding"
    CHUNKED = "chunked"
    LINEAR = "linear"
    MAMBA = "mamba"
    PARALLEL = "parallel"
    CROSS = "cross"
    NONE = "none"


Kinds = tuple[LayerKind, ...]
ATTENDING = {LayerKind.FULL, LayerKind.SLIDING, LayerKind.CHUNKED, LayerKind.PARALLEL, LayerKind.CROSS}
RECURRENT = {LayerKind.MAMBA, LayerKind.PARALLEL}

_NAMED: Mapping[str, LayerKind] = {
    "full_attention": LayerKind.FULL,
    "attention": LayerKind.FULL,
    "sliding_attention": LayerKind.SLIDING,
    "chunked_attention": LayerKind.CHUNKED,
    "linear_attention": LayerKind.LINEAR,
    "mamba": LayerKind.MAMBA,
    "mamba2": LayerKind.MAMBA,
    "hybrid": LayerKind.PARALLEL,
    "mlp": LayerKind.NONE,
    "moe": LayerKind.NONE,
    "conv": LayerKind.NONE,
}
_LETTERS = {"M": LayerKind.MAMBA, "*": LayerKind.FULL, "-": LayerKind.NONE, "E": LayerKind.NONE}
# Every n-th layer attends to all, the others to the window, where the config does not list its layers.
_PATTERNS = {"gemma2": 2, "gemma3_text": 6, "gpt_oss": 2, "cohere2": 4, "olmo3": 4}
_MAMBAS = {"mamba", "mamba2", "falcon_mamba"}


def stated_kinds(config: Config) -> Kinds | None:
    """The kind of each layer as the config lists them, or None if it does not."""
    letters: Any = config.values.get("hybrid_override_pattern")
    if isinstance(letters, str) and letters and all(letter in _LETTERS for letter in letters):
        return tuple(_LETTERS[letter] for letter in letters)
    for key in ("layers_block_type", "layer_types"):
        names = config.values.get(key)
        if isinstance(names, list) and names and all(isinstance(name, str) and name in _NAMED for name in names):
            # Nemotron-H and its kin call their Mamba layers linear attention.
            has_mamba = config.find("ssm_state_size", "mamba_d_state") is not None
            kinds = (_NAMED[name] for name in names)
            return tuple(LayerKind.MAMBA if has_mamba and kind == LayerKind.LINEAR else kind for kind in kinds)
    return None


def layer_kinds(config: Config, num_layers: int) -> Kinds:
    """The kind of each layer. `num_layers` must be a sane number: it is the length of the answer."""
    stated = stated_kinds(config)
    family = config.family or ""
    layers = range(num_layers)
    if family == "falcon_h1":
        return tuple(LayerKind.PARALLEL for _ in layers)
    if stated is not None and len(stated) == num_layers:
        return stated
    if family in _MAMBAS:
        return tuple(LayerKind.MAMBA for _ in layers)
    if family in {"jamba", "bamba"}:
        return _hybrid(config, layers)
    if family == "qwen3_next":
        interval = config.size("full_attention_interval")
        every = interval.value if interval is not None else 4
        return tuple(LayerKind.LINEAR if (layer + 1) % every else LayerKind.FULL for layer in layers)
    crossing = set(config.numbers("cross_attention_layers") or ())
    kinds = _windowed(config, layers)
    return tuple(LayerKind.CROSS if layer in crossing else kind for layer, kind in zip(layers, kinds, strict=True))


def window(config: Config) -> Count | None:
    """The width of the sliding window, if the config has one that it uses."""
    if config.flag("use_sliding_window") is False:
        return None
    if config.family == "modernbert":
        both = config.count("local_attention")
        return Count(both.value // 2, f"{both.source} / 2, for it looks both ways") if both is not None else None
    found = config.count("sliding_window")
    return found if found is not None and found.value > 0 else None


def _hybrid(config: Config, layers: range) -> Kinds:
    indices = config.numbers("attn_layer_indices")
    period, offset = config.size("attn_layer_period"), config.count("attn_layer_offset")
    if indices is not None:
        attending = set(indices)
    elif period is not None and offset is not None:
        attending = {layer for layer in layers if layer % period.value == offset.value}
    else:
        attending = set()
    return tuple(LayerKind.FULL if layer in attending else LayerKind.MAMBA for layer in layers)


def _windowed(config: Config, layers: range) -> Kinds:
    if window(config) is None:
        return tuple(LayerKind.FULL for _ in layers)
    pattern = config.size("sliding_window_pattern", "_sliding_window_pattern")
    every = pattern.value if pattern is not None else _PATTERNS.get(config.family or "")
    if every is not None:
        return tuple(LayerKind.SLIDING if (layer + 1) % every else LayerKind.FULL for layer in layers)
    first = config.count("max_window_layers")
    full = first.value if first is not None else 0
    return tuple(LayerKind.FULL if layer < full else LayerKind.SLIDING for layer in layers)
