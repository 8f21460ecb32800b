"""The layout of a model: the numbers that decide how much memory it takes, beyond those of its spec.

A layout is what `spec` readers find out and `memory` computes with. Sizes are counts of elements unless they say bytes.
"""

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionLayers:
    """`count` layers that keep the same amount of state for each token of context.

    `full` and `sliding` keep `num_kv_heads * (key_dim + value_dim)` per token, `sliding` for at most `window` tokens;
    `latent` (MLA) keeps `latent_dim + rope_dim` per token, whatever the number of heads.
    """

    kind: Literal["full", "sliding", "latent"]
    count: int
    num_kv_heads: int = 0
    key_dim: int = 0
    value_dim: int = 0
    window: int | None = None
    latent_dim: int = 0
    rope_dim: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLayers:
    """`count` state-space layers: each keeps `conv_elements` + `state_elements` per sequence, whatever its length."""

    count: int
    conv_elements: int
    state_elements: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightBytes:
    """The bytes of all tensors of one type, and how many elements they hold."""

    dtype: str
    elements: int
    nbytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A model as memory sees it. `num_attention_heads` bounds how many ways tensor parallelism can split it."""

    hidden_size: int
    ffn_hidden_size: int
    vocab_size: int
    num_layers: int
    num_attention_heads: int
    num_kv_heads: int
    weights: tuple[WeightBytes, ...]
    attention: tuple[AttentionLayers, ...] = ()
    state: tuple[StateLayers, ...] = ()
    linear_layers: tuple[tuple[str, int, int], ...] = field(default=(), repr=False)
    """Name, input features and output features of each linear layer: what LoRA adapts."""
    assumed: tuple[str, ...] = ()
    """What had to be assumed because the source does not say it, each in a sentence."""
