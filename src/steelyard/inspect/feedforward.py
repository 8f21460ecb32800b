"""The feed-forward blocks of a model, by the shapes of their weights: how wide, gated or not, and the experts."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import prod

from steelyard.inspect.modules import Linear, is_text, layer_of
from steelyard.inspect.parameters import Parameter

_DOWN = re.compile(
    r"(?:^|\.)(?:down_proj|fc2|dense_4h_to_h|fc_out|lin2|(?:mlp|ffn|feed_forward|mixer)\.(?:w2|wo|Wo|c_proj|output_linear)"
    r"|shared_mlp\.output_linear|DenseReluDense\.wo|layer\.\d+\.output\.dense|ffn_output)$"
)
_UP = re.compile(
    r"(?:^|\.)(?:gate_proj|up_proj|gate_up_proj|up_gate_proj|fc1|fc11|fc12|dense_h_to_4h|fc_in|lin1|intermediate\.dense"
    r"|(?:mlp|ffn|feed_forward|mixer)\.(?:w1|w3|wi|Wi|c_fc|input_linear)|shared_mlp\.input_linear"
    r"|DenseReluDense\.wi(?:_[01])?|ffn)$"
)
_EXPERT = re.compile(r"\.(?:experts?|block_sparse_moe)\.(?:(\d+)\.)?(?:mlp\.)?(\w+)(?:\.weight)?$")
_SHARED = re.compile(r"\.shared_experts?\.|\.shared_expert_gate\.|\.residual_mlp\.")
_EXPERT_DOWN = {"down_proj", "w2", "output_linear"}
_EXPERT_UP = {"gate_proj", "up_proj", "gate_up_proj", "w1", "w3", "input_linear"}


@dataclass(slots=True)
class FeedForward:
    """What the weights show. Sizes are numbers of features; `experts` is how many of them a layer has.

    `sizes` counts the dense blocks of each width; `gates` holds 2 for gated blocks and 1 for plain ones.
    """

    sizes: Counter[int] = field(default_factory=Counter)
    gates: set[int] = field(default_factory=set)
    experts: int = 0
    expert_layers: int = 0
    expert_size: int | None = None

    @property
    def gated(self) -> bool | None:
        """Whether the blocks multiply by a gate; None where the weights do not show it."""
        return next(iter(self.gates)) == 2 if len(self.gates) == 1 else None


def feed_forward(linears: Iterable[Linear], parameters: Mapping[str, Parameter], hidden: int | None) -> FeedForward:
    """The feed-forward blocks of the text part. `hidden` is the width of the model, where that is known."""
    found = FeedForward()
    _dense(found, linears)
    _experts(found, parameters, hidden)
    return found


def _dense(found: FeedForward, linears: Iterable[Linear]) -> None:
    down: dict[str, int] = {}
    up: Counter[str] = Counter()
    for linear in linears:
        name = linear.name
        if ".experts." in name or ".expert." in name or _SHARED.search(name) or not is_text(name):
            continue
        place = layer_of(f"{name}.")
        if place is None:
            continue
        layer = f"{place[0]}.{place[1]}"
        if _UP.search(name):
            up[layer] += linear.out_features
        elif _DOWN.search(name) and "attention.output" not in name:
            down[layer] = linear.in_features
    for layer, size in down.items():
        found.sizes[size] += 1
        if size and up[layer] in {size, 2 * size}:
            found.gates.add(up[layer] // size)


def _experts(found: FeedForward, parameters: Mapping[str, Parameter], hidden: int | None) -> None:
    layers: set[tuple[str, int]] = set()
    first: tuple[str, int] | None = None
    up = down = 0
    for parameter in parameters.values():
        match = _EXPERT.search(parameter.name)
        place = layer_of(parameter.name) if match is not None and is_text(parameter.name) else None
        if match is None or place is None or _SHARED.search(parameter.name) or len(parameter.shape) < 2:
            continue
        number, leaf = match[1], match[2]
        fused = number is None
        if fused and len(parameter.shape) < 3:
            continue
        layers.add(place)
        first = first or place
        found.experts = max(found.experts, parameter.shape[0] if fused else int(number[:5]) + 1)
        matrix = parameter.shape[1:] if fused else parameter.shape
        if place == first and (fused or int(number[:5]) == 0):
            if leaf in _EXPERT_DOWN:
                down = prod(matrix)
                others = [size for size in matrix if size != hidden]
                found.expert_size = others[0] if others else matrix[0]
            elif leaf in _EXPERT_UP:
                up += prod(matrix)
    found.expert_layers = len(layers)
    if down and up in {down, 2 * down}:
        found.gates.add(up // down)
