"""The spec of a GGUF file: its metadata keys, and the shapes of its tensors.

The keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (standardized key-value pairs).
"""

import re
from collections import Counter
from dataclasses import replace

from steelyard.errors import BadCheckpoint
from steelyard.inspect.config import MAX_COUNT, Count
from steelyard.inspect.draft import Draft
from steelyard.inspect.gguf import GGUF, ArrayOf, read_gguf
from steelyard.inspect.gguf_layout import gguf_layout
from steelyard.inspect.layout import Layout
from steelyard.inspect.modules import Linear
from steelyard.inspect.reading import Reading, is_clean_text
from steelyard.inspect.spec import MAX_LINEAR_LAYERS
from steelyard.inspect.tensors import Tensor
from steelyard.inspect.tokenizer import Chat, clean_template, mentions_tools

_EMBEDDING = "token_embd.weight"
_TABLES = {_EMBEDDING, "position_embd.weight", "token_types.weight", "per_layer_token_embd.weight"}
# Computed from the config by the model's own library, which has no parameters for them.
_BUFFERS = re.compile(r"^rope_f(?:req|actor)s|exp_probs_b")
# Weights of two dimensions that no linear layer has: a state-space layer's matrices and its convolution.
_STATE = re.compile(r"\.ssm_(?:a|d|conv1d)(?:\.weight)?$")
_PART = re.compile(r"-(\d{5})-of-\d{5}\.gguf$", re.IGNORECASE)
_PRECISIONS = {"BF16": "bf16", "F16": "fp16", "F32": "fp32", "F64": "fp64"}
_HEADER = "GGUF header"


def gguf_of(reading: Reading) -> GGUF | None:
    """The model's GGUF file with its other parts, or None and a fault. Of several models, the first by name."""
    names = sorted(path for path in reading.sizes if "/" not in path and path.lower().endswith(".gguf"))
    models = [path for path in names if not path.lower().startswith("mmproj")] or names
    firsts = [path for path in models if (part := _PART.search(path)) is None or int(part[1]) == 1] or models[:1]
    if len(firsts) > 1:
        reading.fault(firsts[0], f"is one of {len(firsts)} models here; the spec is of this one")
    try:
        return read_gguf(reading.files, firsts[0])
    except BadCheckpoint as error:
        reading.fault(firsts[0], error.message.removeprefix(f"{firsts[0]}: "))
        return None


class Keys:
    """The metadata of a GGUF file, by keys without the architecture that stands before most of them."""

    def __init__(self, reading: Reading, gguf: GGUF) -> None:
        self._reading, self.gguf = reading, gguf
        self.architecture = self.text("general.architecture")

    def text(self, key: str) -> str | None:
        """A short, clean text."""
        value = self.gguf.metadata.get(key)
        return value if isinstance(value, str) and 0 < len(value) <= 255 and is_clean_text(value) else None

    def count(self, key: str) -> Count | None:
        """A whole number; of an array with a number for each layer, the largest."""
        full = f"{self.architecture}.{key}"
        value = self.gguf.metadata.get(full)
        if isinstance(value, tuple) and value and all(type(item) is int for item in value):
            value = max(item for item in value if type(item) is int)
        if value is None or isinstance(value, ArrayOf):
            return None
        if type(value) is not int or not 0 <= value <= MAX_COUNT:
            self._reading.fault(self.gguf.files[0], f"{full} must be a whole number of at least 0")
            return None
        return Count(value, f"{_HEADER}: {full}")

    def disagree(self, stated: Count | None, held: int | None, what: str) -> Count | None:
        """What the tensors show, where they show it, else what is stated; a contradiction is a fault."""
        if held is None or (stated is not None and stated.value == held):
            return stated
        if stated is not None:
            self._reading.fault(self.gguf.files[0], f"says {stated.value} {what}, but its tensors have {held}")
        return Count(held, f"{_HEADER}: shapes of the tensors")


def describe_gguf(draft: Draft, reading: Reading, gguf: GGUF, name: str, chat: Chat) -> tuple[Layout | None, Chat]:
    """Fills `draft` from a GGUF file. Answers the layout, if it is known, and the chat template, if it holds one."""
    keys = Keys(reading, gguf)
    tensors = {tensor.name: tensor for tensor in gguf.tensors}
    linears = tuple(_linears(gguf))
    sizes = _sizes(keys, tensors)
    for field, size in sizes.items():
        if size is None:
            draft.unknown(field, f"the metadata of {gguf.files[0]} does not say it")
        else:
            draft.set(field, size.value, size.source)
    _names(draft, keys, name)
    _weights(draft, gguf, linears)
    draft.set("tied_embeddings", "output.weight" not in tensors, f"{_HEADER}: whether there is an output.weight")
    _gated(draft, tensors, sizes["ffn_hidden_size"])
    _mixers(draft, keys)
    context = keys.count("context_length")
    if context is None:
        draft.unknown("context_size", f"the metadata of {gguf.files[0]} does not say it")
    else:
        draft.set("context_size", context.value, context.source)
    if (width := keys.count("attention.sliding_window")) is not None and width.value:
        draft.set("sliding_window_config", {"window_size": width.value}, width.source)
    layout = gguf_layout(keys.count, keys.architecture, sizes, gguf, linears)
    return layout, _chat(reading, keys, chat)


def _sizes(keys: Keys, tensors: dict[str, Tensor]) -> dict[str, Count | None]:
    table = tensors.get(_EMBEDDING)
    rows, width = table.shape if table is not None and len(table.shape) == 2 else (None, None)
    layers = {int(match[1]) for name in tensors if (match := re.match(r"blk\.(\d{1,5})\.", name)) is not None}
    heads = keys.count("attention.head_count")
    return {
        "num_layers": keys.disagree(keys.count("block_count"), max(layers) + 1 if layers else None, "layers"),
        "hidden_size": keys.disagree(keys.count("embedding_length"), width, "features"),
        "num_attention_heads": heads,
        "num_kv_heads": keys.count("attention.head_count_kv") or heads,
        "ffn_hidden_size": keys.count("feed_forward_length"),
        "vocab_size": keys.disagree(keys.count("vocab_size"), rows, "tokens"),
    }


def _names(draft: Draft, keys: Keys, name: str) -> None:
    stated = keys.text("general.name")
    if stated is not None or name:
        source = f"{_HEADER}: general.name" if stated is not None else "the name that the checkpoint was given"
        draft.set("checkpoint_model_name", stated or name, source)
    else:
        draft.unknown("checkpoint_model_name", "the metadata has no general.name")
    if keys.architecture is not None:
        draft.set("family", keys.architecture, f"{_HEADER}: general.architecture")
    else:
        draft.unknown("family", "the metadata has no general.architecture")


def _weights(draft: Draft, gguf: GGUF, linears: tuple[Linear, ...]) -> None:
    counts: Counter[str] = Counter()
    for tensor in gguf.tensors:
        if _BUFFERS.search(tensor.name) is None:
            counts[tensor.dtype] += tensor.elements
    if not counts:
        draft.unknown("base_num_parameters", "the file holds no tensors")
        draft.unknown("precision", "the file holds no tensors")
        return
    draft.set("base_num_parameters", counts.total(), f"{_HEADER}: shapes of the tensors")
    dtype = max(counts, key=lambda one: (counts[one], one))
    draft.set("precision", _PRECISIONS.get(dtype, dtype), f"{_HEADER}: the type that most weights have")
    if len(linears) > MAX_LINEAR_LAYERS:
        draft.unknown("linear_layers", f"there are {len(linears)}, and a spec holds at most {MAX_LINEAR_LAYERS}")
    else:
        draft.set("linear_layers", [linear._asdict() for linear in linears], f"{_HEADER}: shapes of the tensors")


def _linears(gguf: GGUF) -> list[Linear]:
    return [
        Linear(tensor.name.removesuffix(".weight"), tensor.shape[1], tensor.shape[0])
        for tensor in gguf.tensors
        if tensor.name.endswith(".weight")
        and len(tensor.shape) == 2
        and tensor.name not in _TABLES
        and _STATE.search(tensor.name) is None
    ]


def _gated(draft: Draft, tensors: dict[str, Tensor], ffn: Count | None) -> None:
    source = f"{_HEADER}: names and shapes of the tensors"
    up = next((one for name, one in tensors.items() if name.endswith(".ffn_up.weight") and len(one.shape) == 2), None)
    if any(".ffn_gate" in name and ".ffn_gate_inp" not in name for name in tensors):
        draft.set("gated_mlp", True, source)
    elif up is not None:
        # Some families keep the gate and the rest in one matrix.
        draft.set("gated_mlp", ffn is not None and up.shape[0] == 2 * ffn.value, source)
    elif not any(".ffn_" in name for name in tensors) and tensors:
        draft.set("gated_mlp", False, source)
    else:
        draft.unknown("gated_mlp", "the tensors do not show it")


def _mixers(draft: Draft, keys: Keys) -> None:
    experts, used = keys.count("expert_count"), keys.count("expert_used_count")
    held = {match[1] for one in keys.gguf.tensors if (match := re.match(r"blk\.(\d+)\.ffn_\w+_exps\.", one.name))}
    if experts is not None and experts.value and used is not None:
        size, shared = keys.count("expert_feed_forward_length"), keys.count("expert_shared_count")
        size = size or keys.count("feed_forward_length")
        values = {
            "num_experts": experts.value,
            "num_experts_per_tok": used.value,
            "num_expert_layers": len(held),
            "expert_ffn_size": size.value if size is not None else None,
            "num_shared_experts": shared.value if shared is not None else 0,
        }
        draft.set("moe_config", values, experts.source)
    names = [one.name for one in keys.gguf.tensors]
    state, conv = keys.count("ssm.state_size"), keys.count("ssm.conv_kernel")
    mamba = sum(1 for name in names if re.search(r"^blk\.\d+\.ssm_a$", name))
    if state is not None and conv is not None and mamba:
        attending = sum(1 for name in names if re.search(r"^blk\.\d+\.attn_(?:k|qkv)\.weight$", name))
        layers = keys.count("block_count")
        plain = max((layers.value if layers is not None else 0) - mamba - attending, 0)
        values = {
            "is_hybrid": attending + plain > 0,
            "num_mamba_layers": mamba,
            "num_attention_layers": attending,
            "num_mlp_layers": plain,
            "state_size": state.value,
            "conv_kernel": conv.value,
        }
        draft.set("mamba_config", values, state.source)


def _chat(reading: Reading, keys: Keys, chat: Chat) -> Chat:
    path = keys.gguf.files[0]
    chat = replace(chat, has_tokenizer=chat.has_tokenizer or "tokenizer.ggml.model" in keys.gguf.metadata)
    text = keys.gguf.metadata.get("tokenizer.chat_template")
    if chat.template is not None or not isinstance(text, str):
        return chat
    template = clean_template(reading, path, text)
    if template is None:
        return chat
    source = f"{_HEADER}: tokenizer.chat_template"
    return replace(chat, template=template, source=source, takes_tools=mentions_tools(template))
