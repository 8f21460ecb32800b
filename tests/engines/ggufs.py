"""A tiny GGUF: a Llama of random weights that says words, and can write JSON where a grammar makes it."""

from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np

_SPECIAL = ("<unk>", "<s>", "</s>")
_BYTES = tuple(f"<0x{number:02X}>" for number in range(256))
_TEMPLATE = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}assistant"
_SIZE, _INNER, _LAYERS, _HEADS = 32, 64, 2, 4


def write_gguf(path: Path, words: Sequence[str]) -> None:
    """Writes the model, the same each time."""
    tokens = [*_SPECIAL, *_BYTES, *(f"▁{word}" for word in words)]
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(_SIZE)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(_INNER)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_rope_dimension_count(_SIZE // _HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    _add_tokenizer(writer, tokens)
    _add_tensors(writer, len(tokens), said=len(words))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_tokenizer(writer: gguf.GGUFWriter, tokens: Sequence[str]) -> None:
    kind = gguf.TokenType
    special, rest = [kind.UNKNOWN, kind.CONTROL, kind.CONTROL], len(tokens) - len(_SPECIAL) - len(_BYTES)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(list(tokens))
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([*special, *[kind.BYTE] * len(_BYTES), *[kind.NORMAL] * rest])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)


def _add_tensors(writer: gguf.GGUFWriter, tokens: int, said: int) -> None:
    random = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        norm = len(shape) == 1
        made = np.ones(shape) if norm else random.normal(0, 0.3, shape)
        if name == "output":
            made[: tokens - said] = 0  # it never stops by itself: some word is always likelier
        writer.add_tensor(f"{name}.weight", made.astype(np.float32))

    add("token_embd", tokens, _SIZE)
    for layer in range(_LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}", _SIZE, _SIZE)
        for part in ("attn_norm", "ffn_norm"):
            add(f"blk.{layer}.{part}", _SIZE)
        for part in ("ffn_gate", "ffn_up"):
            add(f"blk.{layer}.{part}", _INNER, _SIZE)
        add(f"blk.{layer}.ffn_down", _SIZE, _INNER)
    add("output_norm", _SIZE)
    add("output", tokens, _SIZE)
