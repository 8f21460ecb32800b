"""Which modules the parameters of a checkpoint belong to: linear layers, embeddings, the output head, the text part."""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from steelyard.inspect.parameters import Parameter

# Tables looked up by row, whose weights have two dimensions as those of linear layers have.
_TABLES = {"wte", "wpe", "shared", "relative_attention_bias", "codebook"}
_EMBEDDING = re.compile(
    r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|shared|embed_in|tok_embeddings|embeddings|embedding|embed)\.weight$"
)
# `embed_out` of GPT-NeoX is a linear layer, for all its name.
_HEAD = re.compile(r"(?:^|\.)(?:lm_head|embed_out|cls\.predictions\.decoder|lm_head\.decoder)\.weight$")
_NOT_TEXT = re.compile(
    r"(?:^|\.)(?:vision|visual|audio|image|speech|vit|qformer|resampler|perceiver|connector|multi_modal|mm_|mtp)\w*\."
)
_LAYER = re.compile(r"^(.*?)\.(\d+)\.")
# Families whose layers multiply with weights of (inputs, outputs), as GPT-2's Conv1D, and the layers that do.
_TRANSPOSED = {
    "gpt2": re.compile(r"\.(?:c_attn|q_attn|c_proj|c_fc)$"),
    "imagegpt": re.compile(r"\.(?:c_attn|q_attn|c_proj|c_fc)$"),
    "openai-gpt": re.compile(r"\.(?:c_attn|c_proj|c_fc)$"),
    "decision_transformer": re.compile(r"\.(?:c_attn|q_attn|c_proj|c_fc)$"),
}


class Linear(NamedTuple):
    """A linear layer: the name of its module in the checkpoint, and its numbers of features."""

    name: str
    in_features: int
    out_features: int


def linear_layers(parameters: Mapping[str, Parameter], family: str | None) -> tuple[Linear, ...]:
    """The linear layers among `parameters`, in the order of their names: two-dimensional weights that are no tables."""
    transposed = _TRANSPOSED.get(family or "")
    found = []
    for parameter in parameters.values():
        if not parameter.name.endswith(".weight") or len(parameter.shape) != 2:
            continue
        name = parameter.name.removesuffix(".weight")
        if _is_table(name.rpartition(".")[2]) and not _HEAD.search(parameter.name):
            continue
        rows, columns = parameter.shape
        if transposed is not None and transposed.search(name):
            rows, columns = columns, rows
        found.append(Linear(name, columns, rows))
    return tuple(sorted(found, key=_by_name))


def _by_name(linear: Linear) -> tuple[tuple[int, str], ...]:
    """Layer 2 stands before layer 10, whatever the order of the files."""
    return tuple((len(step) if step.isdecimal() else 0, step) for step in linear.name.split("."))


def _is_table(leaf: str) -> bool:
    return leaf in _TABLES or ("embed" in leaf and "proj" not in leaf and "mapping" not in leaf)


def is_text(name: str) -> bool:
    """Whether a tensor belongs to the text part of a model, by its name."""
    return _NOT_TEXT.search(name) is None


def embedding(parameters: Mapping[str, Parameter]) -> Parameter | None:
    """The table of token embeddings of the text part."""
    return _first(parameters, _EMBEDDING)


def output_head(parameters: Mapping[str, Parameter]) -> Parameter | None:
    """The weight that turns hidden states into logits, where the checkpoint has one of its own."""
    return _first(parameters, _HEAD)


def layer_of(name: str) -> tuple[str, int] | None:
    """The stack of layers that a tensor belongs to, and the layer's number: `model.layers`, 3."""
    match = _LAYER.match(name)
    # A number of more digits than any model has layers is a name, not a number.
    return (match[1], int(match[2])) if match is not None and len(match[2]) <= 5 else None


def stacks(names: Iterable[str]) -> dict[str, set[int]]:
    """The numbers of the layers of each stack."""
    found: dict[str, set[int]] = {}
    for name in names:
        place = layer_of(name)
        if place is not None:
            found.setdefault(place[0], set()).add(place[1])
    return found


def _first(parameters: Mapping[str, Parameter], pattern: re.Pattern[str]) -> Parameter | None:
    return next(
        (
            parameter
            for parameter in parameters.values()
            if len(parameter.shape) == 2 and pattern.search(parameter.name) and is_text(parameter.name)
        ),
        None,
    )
