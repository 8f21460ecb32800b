"""Which linear layers LoRA adapts, as pairs of input and output features."""

from steelyard.inspect.layout import Layout

_OUTPUT_HEADS = frozenset({"lm_head", "embed_out", "output"})


def lora_layers(layout: Layout) -> tuple[list[tuple[int, int]], list[str]]:
    """Input and output features of each linear layer but the head, as PEFT's `all-linear` takes them.

    Where the layout names none, the seven of a gated transformer layer are taken in each layer; the second value says
    so, in sentences.
    """
    if layout.linear_layers:
        named = layout.linear_layers
        return [(i, o) for name, i, o in named if name.rpartition(".")[2] not in _OUTPUT_HEADS], []
    hidden, ffn = layout.hidden_size, layout.ffn_hidden_size
    group = next((group for group in layout.attention if group.kind != "latent"), None)
    head_dim = group.key_dim if group else hidden // layout.num_attention_heads if layout.num_attention_heads else 0
    queries, keys = layout.num_attention_heads * head_dim, layout.num_kv_heads * head_dim
    one = [
        (hidden, queries),
        (hidden, keys),
        (hidden, keys),
        (queries, hidden),
        (hidden, ffn),
        (hidden, ffn),
        (ffn, hidden),
    ]
    sentence = "The linear layers are not known: q, k, v, o, gate, up and down are assumed in each layer."
    return one * layout.num_layers, [sentence]
