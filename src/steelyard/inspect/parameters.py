"""The parameters of a model, as the live module has them, from the tensors that its files hold.

The two differ: files hold buffers that are no parameters, tied weights that stand twice, weights packed by a
quantization with scales beside them, and layers that a plain model does not load.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from steelyard.inspect.quantization import Quantization, unpacked
from steelyard.inspect.tensors import Tensor

# What modules register as buffers: masks, frequencies and positions that older versions saved, statistics of batches.
_BUFFERS = re.compile(
    r"(?:^|\.)(?:inv_freq|position_ids|masked_bias|running_mean|running_var|num_batches_tracked|e_score_correction_bias|final_logits_bias"
    r"|embed_positions\.weights|rotary_emb\.(?:cos|sin)_cached)$"
)
# The causal mask of GPT-2 and its kin, under the name of a bias.
_MASKS = re.compile(r"\.(?:attn|attention)\.bias$")
_INTEGERS = {"BOOL", "U8", "I8", "U16", "I16", "U32", "I32", "U64", "I64"}


class Parameter(NamedTuple):
    """A parameter: its name in the checkpoint, its shape as the live module has it, and the type that it is kept in."""

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def elements(self) -> int:
        """How many numbers it holds."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Parameters:
    """All parameters by name. `unclear` says why they are not all known, where that is so."""

    by_name: dict[str, Parameter]
    unclear: str | None = None

    @property
    def elements(self) -> int:
        """The number of all of them."""
        return sum(parameter.elements for parameter in self.by_name.values())


def parameters_of(
    tensors: Iterable[Tensor], quantization: Quantization | None, noted: Mapping[str, tuple[int, ...]]
) -> Parameters:
    """The parameters that `tensors` hold, unpacked where they are quantized. Tied weights are not looked for here.

    `noted` are shapes of packed weights that stand beside them, by their names.
    """
    kept = [tensor for tensor in tensors if not _is_buffer(tensor)]
    found, unclear = unpacked(kept, quantization, noted)
    by_name = {}
    for name, shape, dtype in found:
        # Only a quantization makes parameters of whole numbers; else they are positions, counters and masks.
        if quantization is not None or dtype not in _INTEGERS:
            by_name[name] = Parameter(name, shape, dtype)
    return Parameters(by_name, unclear)


def _is_buffer(tensor: Tensor) -> bool:
    name = tensor.name
    return _BUFFERS.search(name) is not None or (len(tensor.shape) == 4 and _MASKS.search(name) is not None)
