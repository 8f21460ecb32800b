"""The weights of a checkpoint, understood: parameters, linear layers, tied embeddings, quantization, precision."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from steelyard.inspect.architecture import text_stack
from steelyard.inspect.config import FILE, ModelConfig
from steelyard.inspect.modules import Linear, embedding, is_text, layer_of, linear_layers, output_head
from steelyard.inspect.parameters import Parameter, Parameters, parameters_of
from steelyard.inspect.quantization import Quantization
from steelyard.inspect.reading import Reading
from steelyard.inspect.tensors import Tensor

_SHARED_TABLE = re.compile(r"^(.*?)(?:shared|(?:encoder|decoder)\.embed_tokens)\.weight$")
_HEADED = re.compile(r"For(?:CausalLM|ConditionalGeneration|MaskedLM|ImageTextToText)$|LMHeadModel$")
# Where the output head of a tied model would be, had it been saved.
_HEADS = {
    "bert": "cls.predictions.decoder",
    "deberta-v2": "cls.predictions.decoder",
    "nomic_bert": "cls.predictions.decoder",
    "roberta": "lm_head.decoder",
    "xlm-roberta": "lm_head.decoder",
    "camembert": "lm_head.decoder",
    "mpnet": "lm_head.decoder",
    "distilbert": "vocab_projector",
    "electra": "generator_lm_head",
    "albert": "predictions.decoder",
    "modernbert": "decoder",
    "gpt_neox": "embed_out",
}
_PRECISIONS = {
    **{"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64"},
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), "fp8"),
}


@dataclass(slots=True)
class Weights:
    """What a model's tensors come down to. `notes` say in words what was left out of the count of parameters."""

    tensors: Sequence[Tensor]
    parameters: Parameters
    linears: tuple[Linear, ...]
    quantization: Quantization | None
    whole: bool
    notes: list[str] = field(default_factory=list)


def understand(
    tensors: Sequence[Tensor],
    config: ModelConfig | None,
    quantization: Quantization | None,
    *,
    whole: bool,
    noted: Mapping[str, tuple[int, ...]],
) -> Weights:
    """The parameters and linear layers of `tensors`. `whole`: no file of the model is missing.

    `noted` are shapes of packed weights that stand beside them, by their names.
    """
    parameters = parameters_of(tensors, quantization, noted)
    notes: list[str] = []
    if config is not None:
        parameters = _without_prediction_layers(parameters, config, notes)
    parameters = _without_shared_tables(parameters, notes)
    family = config.text.family if config is not None else None
    linears = linear_layers(parameters.by_name, family)
    return Weights(tensors, parameters, linears, quantization, whole, notes)


def _without_prediction_layers(parameters: Parameters, config: ModelConfig, notes: list[str]) -> Parameters:
    """Without the layers for predicting more than one token, which stand behind the last layer and are not loaded."""
    extra = config.text.count("num_nextn_predict_layers", "num_mtp_layers")
    layers = config.text.size("num_hidden_layers")
    held = text_stack(parameters)
    kept = {name: one for name, one in parameters.by_name.items() if not name.startswith(("mtp.", "model.mtp."))}
    if extra is not None and extra.value and layers is not None and held is not None:
        behind = {number for number in held[1] if layers.value <= number < layers.value + extra.value}
        kept = {name: one for name, one in kept.items() if _place(name, held[0]) not in behind}
    if len(kept) != len(parameters.by_name):
        notes.append("without the layers for predicting further tokens")
    return replace(parameters, by_name=kept)


def _place(name: str, stack: str) -> int | None:
    place = layer_of(name)
    return place[1] if place is not None and place[0] == stack else None


def _without_shared_tables(parameters: Parameters, notes: list[str]) -> Parameters:
    """Without the encoder's and the decoder's copies of a table of embeddings that both share."""
    found = {name: match[1] for name in parameters.by_name if (match := _SHARED_TABLE.match(name)) is not None}
    prefixes = {prefix for name, prefix in found.items() if name.endswith("shared.weight")}
    copies = {name for name, prefix in found.items() if prefix in prefixes and not name.endswith("shared.weight")}
    if not copies:
        return parameters
    notes.append("tied embeddings counted once")
    return replace(parameters, by_name={name: one for name, one in parameters.by_name.items() if name not in copies})


def tie(weights: Weights, config: ModelConfig, reading: Reading) -> tuple[bool | None, str]:
    """Whether the output head is the table of embeddings, and where that was read, or why it is not known.

    A tied head that is there all the same is taken out of the parameters; one that is not is put among the linear
    layers, because the live module has it.
    """
    stated, source = _stated_tie(config)
    names = weights.parameters.by_name
    head, table = output_head(names), embedding(names)
    if head is not None and table is not None:
        return _saved_head(weights, head, table, (stated, source), reading)
    headed = config.architecture is not None and _HEADED.search(config.architecture) is not None
    if head is None and table is not None and headed and weights.whole:
        if stated is not False:
            weights.linears = (*weights.linears, Linear(_head_name(table, config), table.shape[1], table.shape[0]))
            return True, source if stated else f"no output head beside {table.name}"
        reading.fault(FILE, f"says that embeddings are not tied, but there is no output head beside {table.name}")
    if stated is None:
        return None, "config.json does not say it, and the weights have no output head"
    return stated, source


def _saved_head(
    weights: Weights, head: Parameter, table: Parameter, stated: tuple[bool | None, str], reading: Reading
) -> tuple[bool, str]:
    tied, source = stated
    if not tied:
        return False, source if tied is False else f"{head.name} is there beside {table.name}"
    if head.shape != table.shape:
        file = next((tensor.file for tensor in weights.tensors if tensor.name == head.name), FILE)
        reading.fault(file, f"{head.name} cannot be tied to {table.name}: their shapes differ")
        return False, "shapes of the weights"
    kept = {name: one for name, one in weights.parameters.by_name.items() if name != head.name}
    weights.parameters = replace(weights.parameters, by_name=kept)
    weights.notes.append("tied embeddings counted once")
    return True, source


def _stated_tie(config: ModelConfig) -> tuple[bool | None, str]:
    whole, text = config.whole, config.text
    for one in (whole, text):
        if isinstance(one.values.get("tie_word_embeddings"), bool):
            return one.flag("tie_word_embeddings"), f"config.json: {one.prefix}tie_word_embeddings"
    for one in (whole, text):
        stated = one.flag("tie_word_embeddings")
        if stated is not None:
            return stated, f"the default of {one.family} for tie_word_embeddings"
    return None, ""


def _head_name(table: Parameter, config: ModelConfig) -> str:
    name = _HEADS.get(config.text.family or "", "lm_head")
    within, inside, _ = table.name.partition("language_model.model.")
    return f"{within}language_model.{name}" if inside else name


def precision_of(weights: Weights) -> tuple[str, str] | None:
    """The common name of the type that most numbers are kept in, and where that was read."""
    if weights.quantization is not None:
        quantization = weights.quantization
        return quantization.precision, f"quantization_config ({quantization.method})"
    counts: Counter[str] = Counter()
    for parameter in weights.parameters.by_name.values():
        counts[parameter.dtype] += parameter.elements
    if not counts:
        return None
    dtype = max(counts, key=lambda one: (counts[one], one))
    others = f", beside {', '.join(sorted(set(counts) - {dtype}))}" if len(counts) > 1 else ""
    return _PRECISIONS.get(dtype, dtype.lower()), f"types of the weights ({dtype}{others})"


def text_linears(linears: Sequence[Linear]) -> tuple[Linear, ...]:
    """The linear layers of the text part."""
    return tuple(linear for linear in linears if is_text(linear.name))
