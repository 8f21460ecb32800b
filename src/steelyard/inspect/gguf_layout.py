"""The layout of a GGUF file's model, for what its memory is computed from."""

from collections.abc import Callable, Mapping, Sequence

from steelyard.inspect.config import Count
from steelyard.inspect.gguf import GGUF
from steelyard.inspect.layout import AttentionLayers, Layout, StateLayers
from steelyard.inspect.layouts import weight_bytes
from steelyard.inspect.modules import Linear

# Every n-th layer attends to all tokens, the others to the window, which the metadata of these does not say.
_PATTERNS = {"gemma2": 2, "gemma3": 6, "gpt-oss": 2, "cohere2": 4}

Counts = Callable[[str], Count | None]


def gguf_layout(
    count: Counts, architecture: str | None, sizes: Mapping[str, Count | None], gguf: GGUF, linears: Sequence[Linear]
) -> Layout | None:
    """The layout, or None where a size that memory is computed from is not known. `count` reads a metadata key."""
    known = {name: size.value for name, size in sizes.items() if size is not None}
    if len(known) != len(sizes):
        return None
    names = {tensor.name for tensor in gguf.tensors}
    mamba = sum(1 for name in names if name.endswith(".ssm_a"))
    attending = [
        name for name in names if name.endswith((".attn_k.weight", ".attn_qkv.weight", ".attn_kv_a_mqa.weight"))
    ]
    state = _state(count, mamba, [one.shape for one in gguf.tensors if one.name.endswith(".ssm_conv1d.weight")])
    assumed: list[str] = []
    if mamba and state is None:
        return None
    return Layout(
        hidden_size=known["hidden_size"],
        ffn_hidden_size=known["ffn_hidden_size"],
        vocab_size=known["vocab_size"],
        num_layers=known["num_layers"],
        num_attention_heads=known["num_attention_heads"],
        num_kv_heads=known["num_kv_heads"],
        weights=weight_bytes(gguf.tensors),
        attention=_attention(count, architecture, known, len(attending), assumed),
        state=(state,) if state is not None else (),
        linear_layers=tuple((linear.name, linear.in_features, linear.out_features) for linear in linears),
        assumed=tuple(assumed),
    )


def _attention(
    count: Counts, architecture: str | None, known: Mapping[str, int], layers: int, assumed: list[str]
) -> tuple[AttentionLayers, ...]:
    heads = known["num_attention_heads"]
    if not layers or not heads:
        return ()
    latent, rope = count("attention.kv_lora_rank"), count("rope.dimension_count")
    if latent is not None and rope is not None:
        return (AttentionLayers(kind="latent", count=layers, latent_dim=latent.value, rope_dim=rope.value),)
    key, value = count("attention.key_length"), count("attention.value_length")
    plain = known["hidden_size"] // heads
    key_dim, value_dim = key.value if key is not None else plain, value.value if value is not None else plain
    width = count("attention.sliding_window")
    every = _PATTERNS.get(architecture or "")
    full = layers
    if width is not None and width.value and every is not None:
        full = layers // every
    elif width is not None and width.value:
        assumed.append(
            "The file does not say which layers attend to a window only; all are counted as attending to all."
        )
    kv_heads = known["num_kv_heads"]
    found = []
    if full:
        found.append(
            AttentionLayers(kind="full", count=full, num_kv_heads=kv_heads, key_dim=key_dim, value_dim=value_dim)
        )
    if width is not None and layers > full:
        found.append(
            AttentionLayers(
                kind="sliding",
                count=layers - full,
                num_kv_heads=kv_heads,
                key_dim=key_dim,
                value_dim=value_dim,
                window=width.value,
            )
        )
    return tuple(found)


def _state(count: Counts, layers: int, convolutions: Sequence[tuple[int, ...]]) -> StateLayers | None:
    state, kernel, inner = count("ssm.state_size"), count("ssm.conv_kernel"), count("ssm.inner_size")
    if not layers or state is None or kernel is None or inner is None:
        return None
    # The convolution of Mamba-2 runs over the groups' inputs too; its weight has a row for each.
    channels = max((max(shape) for shape in convolutions if shape), default=inner.value)
    return StateLayers(count=layers, conv_elements=channels * kernel.value, state_elements=inner.value * state.value)
