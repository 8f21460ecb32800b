"""The layout of a model of which only the spec is known: what a spec does not say is assumed, and told."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

from steelyard.inspect.layout import AttentionLayers, Layout, StateLayers, WeightBytes
from steelyard.inspect.precision import bytes_per_element, canonical

# Families that let only some layers slide: of this many in a row, one looks back over the whole context.
_FULL_EVERY: Mapping[str, int] = {
    "gemma2": 2,
    "gemma3": 6,
    "gemma3_text": 6,
    "gpt_oss": 2,
    "cohere2": 4,
}
_MAMBA_EXPAND = 2


class _Spec:
    """A spec's JSON, from which numbers come as numbers: what is absent, null or of another kind is 0."""

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = spec
        self.assumed: list[str] = []

    def count(self, name: str, default: int = 0) -> int:
        value = self._spec.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

    def text(self, name: str) -> str:
        value = self._spec.get(name)
        return value if isinstance(value, str) else ""

    def part(self, name: str) -> "_Spec | None":
        value = self._spec.get(name)
        return _Spec(value) if isinstance(value, Mapping) else None

    def linear_layers(self) -> tuple[tuple[str, int, int], ...]:
        value = self._spec.get("linear_layers")
        rows = value if isinstance(value, Sequence) and not isinstance(value, str) else ()
        layers = [_Spec(row) for row in rows if isinstance(row, Mapping)]
        return tuple((row.text("name"), row.count("in_features"), row.count("out_features")) for row in layers)


def layout_of_spec(spec: Mapping[str, Any]) -> Layout:
    """The layout of a spec (ModelSpec as JSON). Whatever the spec does not say is assumed, and told in `assumed`."""
    known = _Spec(spec)
    layers = known.linear_layers()
    mamba = known.part("mamba_config")
    num_layers = known.count("num_layers")
    with_state = mamba.count("num_mamba_layers") if mamba else 0
    with_attention = mamba.count("num_attention_layers") if mamba else num_layers
    return Layout(
        hidden_size=known.count("hidden_size"),
        ffn_hidden_size=known.count("ffn_hidden_size"),
        vocab_size=known.count("vocab_size"),
        num_layers=num_layers,
        num_attention_heads=known.count("num_attention_heads"),
        num_kv_heads=known.count("num_kv_heads"),
        weights=_weights(known),
        attention=_attention(known, layers, with_attention),
        state=_state(known, mamba, with_state) if mamba and with_state else (),
        linear_layers=layers,
        assumed=tuple(known.assumed),
    )


def _weights(known: _Spec) -> tuple[WeightBytes, ...]:
    parameters, precision = known.count("base_num_parameters"), known.text("precision")
    dtype = canonical(precision)
    if dtype is None:
        dtype = "BF16"
        known.assumed.append(f"The precision {precision[:40]!r} is no known type: weights are assumed to be BF16.")
    if not parameters:
        return ()
    return (WeightBytes(dtype=dtype, elements=parameters, nbytes=ceil(parameters * bytes_per_element(dtype))),)


def _attention(known: _Spec, layers: Sequence[tuple[str, int, int]], count: int) -> tuple[AttentionLayers, ...]:
    heads, kv_heads = known.count("num_attention_heads"), known.count("num_kv_heads")
    if not count or not heads:
        return ()
    latent = _latent(layers)
    if latent is not None:
        return (AttentionLayers(kind="latent", count=count, latent_dim=latent[0], rope_dim=latent[1]),)
    features = {name.rpartition(".")[2]: outputs for name, _, outputs in layers}
    keys = features.get("k_proj", 0)
    if keys and kv_heads and keys % kv_heads == 0:
        head_dim = keys // kv_heads
    else:
        head_dim = known.count("hidden_size") // heads
        known.assumed.append("Heads are assumed to be of hidden_size / num_attention_heads features.")
    value_dim = features.get("v_proj", 0) // kv_heads if kv_heads and features.get("v_proj") else head_dim

    def group(number: int, window: int | None) -> AttentionLayers:
        return AttentionLayers(
            kind="full" if window is None else "sliding",
            count=number,
            num_kv_heads=kv_heads,
            key_dim=head_dim,
            value_dim=value_dim,
            window=window,
        )

    sliding = known.part("sliding_window_config")
    window = sliding.count("window_size") if sliding else 0
    if not window:
        return (group(count, None),)
    every = _FULL_EVERY.get(known.text("family"))
    if every is None:
        known.assumed.append("All attention layers are assumed to slide: the spec does not say which.")
        return (group(count, window),)
    known.assumed.append(f"One attention layer of {every} is assumed not to slide, as is usual in this family.")
    full = ceil(count / every)
    return tuple(part for part in (group(full, None), group(count - full, window)) if part.count)


def _latent(layers: Sequence[tuple[str, int, int]]) -> tuple[int, int] | None:
    """Latent and rotary features of multi-head latent attention, which shows in the names and shapes of its layers."""
    down = next((outputs for name, _, outputs in layers if name.rpartition(".")[2] == "kv_a_proj_with_mqa"), 0)
    latent = next((inputs for name, inputs, _ in layers if name.rpartition(".")[2] == "kv_b_proj"), 0)
    return (latent, down - latent) if 0 < latent <= down else None


def _state(known: _Spec, mamba: _Spec, count: int) -> tuple[StateLayers, ...]:
    inner = _MAMBA_EXPAND * known.count("hidden_size")
    known.assumed.append(f"Mamba layers are assumed to be {_MAMBA_EXPAND} * hidden_size wide, with one group.")
    return (
        StateLayers(
            count=count,
            conv_elements=inner * mamba.count("conv_kernel", 4),
            state_elements=inner * mamba.count("state_size", 16),
        ),
    )
