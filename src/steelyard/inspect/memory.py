"""Will it fit: the memory that serving a model takes, term by term, with the formula of each and where it is from.

All of it is arithmetic on a Layout: nothing is measured here. Sizes are bytes; 1 GiB is 2^30 of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from steelyard.errors import Fault, InvalidInput
from steelyard.inspect.layout import AttentionLayers, Layout
from steelyard.inspect.lora import lora_layers
from steelyard.inspect.precision import COMPUTE, bytes_per_element, canonical
from steelyard.inspect.spec_layout import layout_of_spec
from steelyard.inspect.training import MinimumGpus, minimum_gpus

__all__ = ["Memory", "MinimumGpus", "Split", "Term", "estimate", "layout_of_spec", "minimum_gpus"]

PREFILL_CHUNK = 8192
"""Tokens of one forward pass at most: longer prompts are taken in pieces, as serving engines do."""

RUNTIME_BYTES = 768 << 20
"""What a process holds on each GPU before it loads a model: the CUDA context, the kernels, workspaces of libraries."""

SPLITS = (1, 2, 4, 8)

_CANNOT_SPLIT = "The model cannot be split so: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One part of the memory, in bytes: of all GPUs together, and of each. None where the model cannot be split so."""

    name: str
    nbytes: int
    per_gpu: int | None
    formula: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Bytes on each GPU when tensor parallelism splits the model over `gpus`; `why_not` where it cannot."""

    gpus: int
    per_gpu: int | None
    why_not: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes for inference. Where the model cannot be split over `gpus`, `why_not` says so, `per_gpu` is None, and the
    terms are those of one GPU that held all of it.
    """

    context: int
    batch: int
    gpus: int
    terms: tuple[Term, ...]
    total: int
    per_gpu: int | None
    why_not: str | None
    splits: tuple[Split, ...]
    assumed: tuple[str, ...]

    def as_document(self) -> Mapping[str, Any]:
        """The same, as JSON."""
        document = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in document.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Load:
    """What is asked of the model, checked: types are spelled as in `precision`."""

    layout: Layout
    context: int
    batch: int
    dtype: str | None
    kv_dtype: str
    compute: str
    rank: int | None
    adapters: int

    @property
    def chunk(self) -> int:
        return min(self.context * self.batch, PREFILL_CHUNK)


def estimate(
    layout: Layout,
    *,
    context: int,
    batch: int = 1,
    dtype: str | None = None,
    kv_dtype: str | None = None,
    gpus: int = 1,
    adapter_rank: int | None = None,
    adapters: int = 1,
) -> Memory:
    """The bytes that serving the model takes, for `batch` sequences of `context` tokens, split over `gpus`.

    Weights are as they are unless `dtype` says what to load them as; the KV cache has the type of the computation
    unless `kv_dtype` says another; `adapters` LoRA adapters of `adapter_rank` are held beside. Raises InvalidInput for
    numbers below one and for types that are unknown.
    """
    _check(context=context, batch=batch, gpus=gpus, adapter_rank=adapter_rank, adapters=adapters)
    weights_dtype = _known("dtype", dtype)
    compute = _compute_dtype(layout, weights_dtype)
    load = _Load(
        layout=layout,
        context=context,
        batch=batch,
        dtype=weights_dtype,
        kv_dtype=_known("kv_dtype", kv_dtype) or compute,
        compute=compute,
        rank=adapter_rank,
        adapters=adapters,
    )
    why_not = why_not_split(layout, gpus)
    terms = _terms(load, 1 if why_not else gpus)
    return Memory(
        context=context,
        batch=batch,
        gpus=gpus,
        terms=tuple(_without_gpu(term) for term in terms) if why_not else terms,
        total=sum(term.nbytes for term in terms),
        per_gpu=None if why_not else _sum_per_gpu(terms),
        why_not=why_not,
        splits=tuple(_split(load, number) for number in sorted({*SPLITS, gpus})),
        assumed=(*layout.assumed, *_assumptions(load)),
    )


def why_not_split(layout: Layout, gpus: int) -> str | None:
    """Why tensor parallelism cannot split the model over `gpus`, in a sentence; None if it can.

    The rules are vLLM's: query heads and the MLP are dealt out whole, and key-value heads are dealt out or, where there
    are fewer of them than GPUs, repeated.
    """
    heads, kv_heads, ffn = layout.num_attention_heads, layout.num_kv_heads, layout.ffn_hidden_size
    if heads % gpus:
        return f"{_CANNOT_SPLIT}its {heads} attention heads are not a multiple of {gpus} GPUs."
    if kv_heads and kv_heads % gpus and gpus % kv_heads:
        return f"{_CANNOT_SPLIT}its {kv_heads} key-value heads neither divide {gpus} GPUs nor are a multiple of them."
    if ffn % gpus:
        return f"{_CANNOT_SPLIT}its MLP of {ffn} features is not a multiple of {gpus} GPUs."
    return None


def _terms(load: _Load, gpus: int) -> tuple[Term, ...]:
    makers: tuple[Callable[[_Load, int], Term | None], ...] = (
        _weights,
        _kv_cache,
        _state,
        _activations,
        _lora,
        _runtime,
    )
    return tuple(term for make in makers if (term := make(load, gpus)) is not None)


def _term(name: str, per_gpu: Fraction | int, gpus: int, formula: str, source: str) -> Term:
    each = ceil(per_gpu)
    return Term(name=name, nbytes=each * gpus, per_gpu=each, formula=f"{formula} = {each} bytes per GPU", source=source)


def _weights(load: _Load, gpus: int) -> Term:
    layout, dtype = load.layout, load.dtype
    elements = sum(part.elements for part in layout.weights)
    if dtype is None:
        total = Fraction(sum(part.nbytes for part in layout.weights))
        parts = " + ".join(f"{part.nbytes} ({part.elements} of {part.dtype})" for part in layout.weights)
    else:
        total = elements * bytes_per_element(dtype)
        parts = f"{elements} elements * {float(bytes_per_element(dtype)):g} bytes of {dtype}"
    if gpus == 1:
        return _term("weights", total, 1, parts or "0", "Sizes of the tensors in the headers of the checkpoint.")
    repeated = sum(_repeated_weights(layout, group, gpus) for group in layout.attention)
    # A layout written by hand may have projections that are larger than all of its weights.
    repeated = min(repeated, elements * (1 - Fraction(1, gpus)))
    extra = repeated * total / elements if elements else Fraction(0)
    formula = f"({parts or '0'}) / {gpus} GPUs + {ceil(extra)} for key-value projections that several GPUs hold"
    return _term("weights", total / gpus + extra, gpus, formula, "Shoeybi et al. 2019, Megatron-LM, section 3.")


def _repeated_weights(layout: Layout, group: AttentionLayers, gpus: int) -> Fraction:
    """Elements of key-value projections on each GPU, beyond its even share."""
    if group.kind == "latent":
        projection = group.count * layout.hidden_size * (group.latent_dim + group.rope_dim)
        return projection * (1 - Fraction(1, gpus))
    per_head = group.count * layout.hidden_size * (group.key_dim + group.value_dim)
    return per_head * (ceil(Fraction(group.num_kv_heads, gpus)) - Fraction(group.num_kv_heads, gpus))


def _kv_cache(load: _Load, gpus: int) -> Term | None:
    groups = load.layout.attention
    if not groups:
        return None
    size = bytes_per_element(load.kv_dtype)
    per_gpu, texts, kinds = Fraction(0), [], set()
    for group in groups:
        tokens = min(load.context, group.window) if group.kind == "sliding" and group.window else load.context
        if group.kind == "latent":
            # Each GPU needs the whole latent vector, from which it makes the keys and values of its own heads.
            width, text = group.latent_dim + group.rope_dim, f"({group.latent_dim} + {group.rope_dim})"
        else:
            heads = ceil(Fraction(group.num_kv_heads, gpus))
            width = heads * (group.key_dim + group.value_dim)
            text = f"{heads} heads * ({group.key_dim} + {group.value_dim})"
        per_gpu += group.count * width * tokens * load.batch * size
        kinds.add(group.kind)
        texts.append(
            f"{group.count} {group.kind} layers * {text} * {tokens} tokens * {load.batch} sequences * "
            f"{float(size):g} bytes"
        )
    sources = [source for kind, source in _CACHE_SOURCES.items() if kind in kinds]
    return _term("kv_cache", per_gpu, gpus, " + ".join(texts), " ".join(sources))


_CACHE_SOURCES = {
    "full": "Keys and values of each token in each layer: Ainslie et al. 2023, GQA; Kwon et al. 2023, PagedAttention.",
    "sliding": "A rolling cache of the window: Jiang et al. 2023, Mistral 7B, section 2.",
    "latent": "One latent and one rotary vector a token: DeepSeek-AI 2024, DeepSeek-V2, section 2.1.",
}


def _state(load: _Load, gpus: int) -> Term | None:
    groups = load.layout.state
    if not groups:
        return None
    size = bytes_per_element(load.compute)
    elements = sum(group.count * (group.conv_elements + group.state_elements) for group in groups)
    layers = " + ".join(f"{g.count} layers * ({g.conv_elements} + {g.state_elements})" for g in groups)
    formula = f"({layers}) elements * {load.batch} sequences * {float(size):g} bytes / {gpus} GPUs"
    return _term(
        "state",
        elements * load.batch * size / gpus,
        gpus,
        formula,
        "Convolution and state-space state, whatever the context: Gu and Dao 2023, Mamba, section 3.",
    )


def _activations(load: _Load, gpus: int) -> Term:
    layout, chunk = load.layout, load.chunk
    size = bytes_per_element(load.compute)
    residual = 2 * chunk * layout.hidden_size * size
    head_dim = max((group.key_dim for group in layout.attention), default=0)
    if not head_dim and layout.num_attention_heads:
        head_dim = layout.hidden_size // layout.num_attention_heads
    attention = chunk * 2 * (layout.num_attention_heads + layout.num_kv_heads) * head_dim * size / gpus
    mlp = 3 * chunk * layout.ffn_hidden_size * size / gpus
    logits = load.batch * layout.vocab_size * (4 + size)
    peak = max(attention, mlp, logits)
    formula = (
        f"prefill in chunks of {chunk} tokens, {float(size):g} bytes a number: hidden states 2 * {chunk} * "
        f"{layout.hidden_size} = {ceil(residual)}, plus the largest of attention {ceil(attention)} (q, k, v and "
        f"output; a flash kernel keeps no scores), MLP {ceil(mlp)} (3 * {chunk} * {layout.ffn_hidden_size}), and "
        f"logits {ceil(logits)} ({load.batch} * {layout.vocab_size}, in fp32 as well)"
    )
    source = (
        "What one layer keeps alive: Korthikanti et al. 2022, Reducing Activation Recomputation, section 4, without "
        "what only training keeps; no scores: Dao 2023, FlashAttention-2; chunks: vLLM, max_num_batched_tokens."
    )
    return _term("activations", residual + peak, gpus, formula, source)


def _lora(load: _Load, gpus: int) -> Term | None:
    if load.rank is None:
        return None
    size = bytes_per_element(load.compute)
    layers, _ = lora_layers(load.layout)
    # One of the two matrices is held whole by each GPU; which one depends on how the layer is split.
    elements = sum(max(i + Fraction(o, gpus), Fraction(i, gpus) + o) for i, o in layers)
    formula = (
        f"{load.adapters} adapters * rank {load.rank} * {ceil(elements)} (input + output features of {len(layers)} "
        f"linear layers) * {float(size):g} bytes"
    )
    source = "Hu et al. 2021, LoRA, section 4.1: rank * (in + out) a layer; held on GPUs as vLLM does."
    return _term("lora", load.adapters * load.rank * elements * size, gpus, formula, source)


def _runtime(_: _Load, gpus: int) -> Term:
    formula = f"{RUNTIME_BYTES >> 20} MiB * {gpus} GPUs (a constant)"
    source = "Assumed, not measured: CUDA context, kernels and library workspaces; it differs by driver and engine."
    return _term("runtime", RUNTIME_BYTES, gpus, formula, source)


def _sum_per_gpu(terms: tuple[Term, ...]) -> int:
    return sum(term.per_gpu or 0 for term in terms)


def _without_gpu(term: Term) -> Term:
    return Term(name=term.name, nbytes=term.nbytes, per_gpu=None, formula=term.formula, source=term.source)


def _split(load: _Load, gpus: int) -> Split:
    why_not = why_not_split(load.layout, gpus)
    if why_not:
        return Split(gpus=gpus, per_gpu=None, why_not=why_not)
    return Split(gpus=gpus, per_gpu=_sum_per_gpu(_terms(load, gpus)))


def _compute_dtype(layout: Layout, dtype: str | None) -> str:
    """The type of activations: that which the weights are loaded as, or of most of them, if it is one to compute in."""
    if dtype is None and layout.weights:
        dtype = canonical(max(layout.weights, key=lambda part: part.nbytes).dtype)
    return dtype if dtype in COMPUTE else "BF16"


def _assumptions(load: _Load) -> list[str]:
    found = [
        f"Activations are computed in {load.compute}, {load.chunk} tokens at a time.",
        "What the allocator loses between blocks is not counted.",
    ]
    if load.dtype is not None and any(part.dtype in {"I32", "U32", "U8", "I8"} for part in load.layout.weights):
        found.append("Tensors of integers may hold several packed weights in one element; each is counted as one.")
    if load.dtype in {"I4", "F4", "I8", "F8_E4M3", "F8_E5M2"}:
        found.append(f"Scales that {load.dtype} weights need are not counted.")
    if load.rank is not None:
        found += lora_layers(load.layout)[1]
    return found


def _known(field: str, dtype: str | None) -> str | None:
    if dtype is None:
        return None
    name = canonical(dtype)
    if name is None:
        raise InvalidInput.of(("query", field), "unknown_dtype", f"{dtype[:40]!r} is no known type; try bf16 or fp8")
    return name


def _check(**numbers: int | None) -> None:
    faults = [
        Fault(("query", field), "greater_than_equal", "has to be at least 1")
        for field, number in numbers.items()
        if number is not None and number < 1
    ]
    if faults:
        raise InvalidInput(faults)
