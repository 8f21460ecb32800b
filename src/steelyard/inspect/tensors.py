"""What all formats of weights come down to: named tensors with a type and a shape."""

from math import prod
from typing import NamedTuple


class Tensor(NamedTuple):
    """A tensor as its file's header declares it. `dtype` is spelled as in safetensors (`BF16`, `F32`, `I8`, …) or, for
    the block types of GGUF, as there (`Q4_K`, …); `nbytes` is its size in the file.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int
    file: str

    @property
    def elements(self) -> int:
        """How many numbers it holds (of a block type: the numbers that it stands for)."""
        return prod(self.shape)
