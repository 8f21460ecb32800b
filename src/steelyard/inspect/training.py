"""How few GPUs of 80 GB can fine-tune a model: all of its weights, or LoRA beside frozen ones."""

from dataclasses import dataclass

from steelyard.inspect.layout import Layout
from steelyard.inspect.lora import lora_layers

GPU_BYTES = 80 * 10**9
"""What an 80 GB GPU holds, counted low: the decimal number on the box, of which the driver leaves a little more."""

RESERVED_BYTES = 4 * 10**9
"""Left free on each GPU for the CUDA context, buffers of collective operations, and the allocator's gaps (assumed)."""

SEQUENCE = 4096
LORA_RANK = 32
MAX_GPUS = 100_000

# Mixed precision with Adam: weight and gradient in 16 bits; weight, momentum and variance in 32 (2 + 2 + 4 + 4 + 4).
BYTES_TRAINED = 16
BYTES_FROZEN = 2

_SOURCE = (
    "16 bytes a trained parameter, split over all GPUs: Rajbhandari et al. 2020, ZeRO, sections 3.1 and 5.3. "
    "Activations with full recomputation: Korthikanti et al. 2022, Reducing Activation Recomputation, section 5. "
    "LoRA parameters: Hu et al. 2021, LoRA, section 4.1."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumGpus:
    """How many 80 GB GPUs training takes at least; None where the layout does not say enough, or none suffice."""

    all_weights: int | None
    lora: int | None
    formula: str
    source: str


def minimum_gpus(layout: Layout) -> MinimumGpus:
    """GPUs of 80 GB for full and for LoRA fine-tuning with one sequence of 4096 tokens on each, rank 32, Adam, bf16.

    All states are split evenly (ZeRO stage 3, FSDP), activations are each GPU's own. Numbers are those that machines
    come in: 1, 2, 4, 8, and then multiples of 8.
    """
    parameters = sum(part.elements for part in layout.weights)
    if not parameters:
        return MinimumGpus(all_weights=None, lora=None, formula="the number of parameters is not known", source=_SOURCE)
    adapted = LORA_RANK * sum(i + o for i, o in lora_layers(layout)[0])
    activations = _activations(layout)
    free = GPU_BYTES - RESERVED_BYTES - activations
    full, lora = BYTES_TRAINED * parameters, BYTES_FROZEN * parameters + BYTES_TRAINED * adapted
    formula = (
        f"states / ({GPU_BYTES} - {RESERVED_BYTES} reserved - {activations} activations) bytes, rounded up to 1, 2, 4, "
        f"8 or a multiple of 8; all weights: {BYTES_TRAINED} * {parameters} = {full}; LoRA: {BYTES_FROZEN} * "
        f"{parameters} + {BYTES_TRAINED} * {adapted} = {lora}; activations of {SEQUENCE} tokens: 2 * "
        "tokens * hidden a layer, 17 * tokens * hidden and 8 * tokens * ffn within one, 8 * tokens * vocabulary"
    )
    return MinimumGpus(all_weights=_gpus(full, free), lora=_gpus(lora, free), formula=formula, source=_SOURCE)


def _activations(layout: Layout) -> int:
    """Bytes on each GPU: the kept input of each layer, one layer at work, logits and their gradient in fp32."""
    kept = 2 * SEQUENCE * layout.hidden_size * layout.num_layers
    one_layer = SEQUENCE * (17 * layout.hidden_size + 8 * layout.ffn_hidden_size)
    return kept + one_layer + 8 * SEQUENCE * layout.vocab_size


def _gpus(states: int, free: int) -> int | None:
    """The smallest number that machines come in, of which each has room for its share; None if there is none."""
    if free <= 0:
        return None
    number = -(-states // free)
    if number > MAX_GPUS:
        return None
    return next((small for small in (1, 2, 4, 8) if number <= small), -(-number // 8) * 8)
