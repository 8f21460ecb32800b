"""The layout of a model, for what its memory is computed from, out of its config and its weights."""

from collections.abc import Iterable, Sequence

from steelyard.inspect.architecture import Architecture
from steelyard.inspect.attention import LayerKind, window
from steelyard.inspect.config import Config
from steelyard.inspect.layout import AttentionLayers, Layout, WeightBytes
from steelyard.inspect.mixers import state_layers
from steelyard.inspect.modules import Linear
from steelyard.inspect.tensors import Tensor

_ENCODERS = {"bert", "roberta", "xlm-roberta", "camembert", "distilbert", "electra", "albert", "deberta-v2", "mpnet"}
_ENCODERS |= {"modernbert", "nomic_bert", "gte"}
_ENCODER_DECODERS = {"t5", "mt5", "umt5", "bart"}


def weight_bytes(tensors: Iterable[Tensor]) -> tuple[WeightBytes, ...]:
    """The bytes and elements of each type among `tensors`, the type with the most bytes first."""
    elements: dict[str, int] = {}
    nbytes: dict[str, int] = {}
    for tensor in tensors:
        elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.elements
        nbytes[tensor.dtype] = nbytes.get(tensor.dtype, 0) + tensor.nbytes
    order = sorted(nbytes, key=lambda dtype: (-nbytes[dtype], dtype))
    return tuple(WeightBytes(dtype=dtype, elements=elements[dtype], nbytes=nbytes[dtype]) for dtype in order)


def layout_of(
    config: Config, sizes: Architecture, tensors: Sequence[Tensor], linears: Sequence[Linear]
) -> Layout | None:
    """The layout, or None where a size that memory is computed from is not known."""
    known = (sizes.num_layers, sizes.hidden_size, sizes.vocab_size, sizes.heads, sizes.kv_heads, sizes.ffn)
    numbers = [size.value for size in known if size is not None]
    if len(numbers) != len(known) or not tensors:
        return None
    num_layers, hidden, vocab, heads, kv_heads, ffn = numbers
    assumed: list[str] = []
    state = state_layers(config, sizes.kinds, hidden)
    if state is None:
        return None
    attention = _attention(config, sizes, tensors, kv_heads, assumed)
    return Layout(
        hidden_size=hidden,
        ffn_hidden_size=ffn,
        vocab_size=vocab,
        num_layers=num_layers,
        num_attention_heads=heads,
        num_kv_heads=kv_heads,
        weights=weight_bytes(tensors),
        attention=attention,
        state=state,
        linear_layers=tuple((linear.name, linear.in_features, linear.out_features) for linear in linears),
        assumed=tuple(assumed),
    )


def _attention(
    config: Config, sizes: Architecture, tensors: Sequence[Tensor], kv_heads: int, assumed: list[str]
) -> tuple[AttentionLayers, ...]:
    family = config.family or ""
    if family in _ENCODERS:
        return ()
    if family in _ENCODER_DECODERS:
        if not any(tensor.name.startswith(("decoder.", "model.decoder.")) for tensor in tensors):
            return ()
        return _decoder(config, sizes, kv_heads, assumed)
    head_dim = sizes.head_dim.value if sizes.head_dim is not None else 0
    latent, rope = config.size("kv_lora_rank"), config.size("qk_rope_head_dim")
    full = sum(kind in {LayerKind.FULL, LayerKind.PARALLEL} for kind in sizes.kinds)
    if latent is not None and rope is not None:
        return (AttentionLayers(kind="latent", count=full, latent_dim=latent.value, rope_dim=rope.value),)
    if LayerKind.CROSS in sizes.kinds:
        assumed.append("Layers that attend to images keep their keys and values, which are not counted.")
    found = []
    if full:
        found.append(
            AttentionLayers(kind="full", count=full, num_kv_heads=kv_heads, key_dim=head_dim, value_dim=head_dim)
        )
    for kind, width in ((LayerKind.SLIDING, window(config)), (LayerKind.CHUNKED, config.size("attention_chunk_size"))):
        count = sum(one == kind for one in sizes.kinds)
        if count and width is not None:
            found.append(
                AttentionLayers(
                    kind="sliding",
                    count=count,
                    num_kv_heads=kv_heads,
                    key_dim=head_dim,
                    value_dim=head_dim,
                    window=width.value,
                )
            )
        elif count:
            assumed.append(f"{count} layers attend to a window whose width is not known; all tokens are counted.")
            found.append(
                AttentionLayers(kind="full", count=count, num_kv_heads=kv_heads, key_dim=head_dim, value_dim=head_dim)
            )
    return tuple(found)


def _decoder(config: Config, sizes: Architecture, kv_heads: int, assumed: list[str]) -> tuple[AttentionLayers, ...]:
    count = config.size("num_decoder_layers", "decoder_layers") or sizes.num_layers
    head_dim = sizes.head_dim.value if sizes.head_dim is not None else 0
    if count is None:
        return ()
    assumed.append("The encoder's input is as long as the context: the decoder keeps keys and values of both.")
    one = AttentionLayers(kind="full", count=count.value, num_kv_heads=kv_heads, key_dim=head_dim, value_dim=head_dim)
    return (one, one)
