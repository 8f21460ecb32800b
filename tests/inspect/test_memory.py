"""Memory for serving, against numbers worked out by hand from the models' papers and configurations."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.errors import InvalidInput
from steelyard.inspect.layout import AttentionLayers, Layout, StateLayers, WeightBytes
from steelyard.inspect.memory import PREFILL_CHUNK, RUNTIME_BYTES, Memory, estimate

GIB = 1 << 30

LLAMA_3_8B = Layout(
    hidden_size=4096,
    ffn_hidden_size=14336,
    vocab_size=128256,
    num_layers=32,
    num_attention_heads=32,
    num_kv_heads=8,
    weights=(WeightBytes(dtype="BF16", elements=8_030_261_248, nbytes=16_060_522_496),),
    attention=(AttentionLayers(kind="full", count=32, num_kv_heads=8, key_dim=128, value_dim=128),),
)
MISTRAL_7B = replace(
    LLAMA_3_8B,
    vocab_size=32000,
    attention=(AttentionLayers(kind="sliding", count=32, num_kv_heads=8, key_dim=128, value_dim=128, window=4096),),
)
DEEPSEEK_V3 = Layout(
    hidden_size=7168,
    ffn_hidden_size=18432,
    vocab_size=129280,
    num_layers=61,
    num_attention_heads=128,
    num_kv_heads=128,
    weights=(WeightBytes(dtype="F8_E4M3", elements=671 * 10**9, nbytes=671 * 10**9),),
    attention=(AttentionLayers(kind="latent", count=61, latent_dim=512, rope_dim=64),),
)
MAMBA_2_8B = Layout(
    hidden_size=2560,
    ffn_hidden_size=0,
    vocab_size=50280,
    num_layers=64,
    num_attention_heads=0,
    num_kv_heads=0,
    weights=(WeightBytes(dtype="F32", elements=2_768_345_600, nbytes=4 * 2_768_345_600),),
    state=(StateLayers(count=64, conv_elements=5120 * 4, state_elements=5120 * 16),),
)
LAYER = (("q_proj", 4096, 4096), ("k_proj", 4096, 1024), ("v_proj", 4096, 1024), ("o_proj", 4096, 4096))


def part(memory: Memory, name: str) -> int:
    """The bytes of one term, of all GPUs together."""
    (found,) = [term.nbytes for term in memory.terms if term.name == name]
    return found


def test_the_cache_of_llama_3_8b_takes_one_gibibyte_for_8192_tokens() -> None:
    assert part(estimate(LLAMA_3_8B, context=8192), "kv_cache") == GIB
    assert part(estimate(LLAMA_3_8B, context=8192, batch=3), "kv_cache") == 3 * GIB
    assert part(estimate(LLAMA_3_8B, context=8192, kv_dtype="fp8"), "kv_cache") == GIB // 2


def test_the_cache_of_deepseek_v3_is_576_numbers_a_token_and_layer() -> None:
    assert part(estimate(DEEPSEEK_V3, context=1), "kv_cache") == 576 * 61 * 2
    assert part(estimate(DEEPSEEK_V3, context=163_840), "kv_cache") == 576 * 61 * 2 * 163_840


def test_the_cache_of_mistral_stops_at_its_window() -> None:
    assert part(estimate(MISTRAL_7B, context=4096), "kv_cache") == GIB // 2
    assert part(estimate(MISTRAL_7B, context=32_768), "kv_cache") == GIB // 2


def test_layers_that_slide_and_layers_that_do_not_add_up() -> None:
    full = replace(LLAMA_3_8B.attention[0], count=16)
    mixed = replace(LLAMA_3_8B, attention=(full, replace(MISTRAL_7B.attention[0], count=16)))

    assert part(estimate(mixed, context=8192), "kv_cache") == GIB // 2 + GIB // 4


def test_the_state_of_mamba_does_not_grow_with_the_context() -> None:
    short, long = estimate(MAMBA_2_8B, context=1, batch=2), estimate(MAMBA_2_8B, context=10**6, batch=2)

    # 64 layers of (5120 * 4 + 5120 * 16) numbers in fp32, of two sequences.
    assert part(short, "state") == part(long, "state") == 64 * 5120 * 20 * 4 * 2
    assert "kv_cache" not in {term.name for term in long.terms}


def test_weights_are_as_they_are_or_as_they_are_loaded() -> None:
    assert part(estimate(LLAMA_3_8B, context=1), "weights") == 16_060_522_496
    assert part(estimate(LLAMA_3_8B, context=1, dtype="fp8"), "weights") == 8_030_261_248
    assert part(estimate(LLAMA_3_8B, context=1, dtype="int4"), "weights") == 4_015_130_624
    assert part(estimate(LLAMA_3_8B, context=1, dtype="Q4_K"), "weights") == 8_030_261_248 * 144 // 256
    assert part(estimate(LLAMA_3_8B, context=1, dtype="torch.float32"), "weights") == 32_121_044_992


def test_scales_that_are_not_counted_are_told() -> None:
    assert any("Scales" in sentence for sentence in estimate(LLAMA_3_8B, context=1, dtype="int4").assumed)
    assert not any("Scales" in sentence for sentence in estimate(LLAMA_3_8B, context=1, dtype="bf16").assumed)


def test_activations_are_of_one_chunk_at_most() -> None:
    # Two times the hidden states, and three times the MLP's features, which are the largest part here.
    def expected(tokens: int) -> int:
        return tokens * (2 * 4096 + 3 * 14336) * 2

    assert part(estimate(LLAMA_3_8B, context=1000), "activations") == expected(1000)
    assert part(estimate(LLAMA_3_8B, context=10**6), "activations") == expected(PREFILL_CHUNK)


def test_of_many_short_sequences_the_logits_are_the_largest_activation() -> None:
    found = part(estimate(LLAMA_3_8B, context=1, batch=8), "activations")

    assert found == 2 * 8 * 4096 * 2 + 8 * 128256 * 6


def test_adapters_take_their_rank_times_both_sides_of_each_layer() -> None:
    layout = replace(LLAMA_3_8B, linear_layers=(*LAYER, ("lm_head", 4096, 128256)))
    features = 8192 + 5120 + 5120 + 8192

    assert part(estimate(layout, context=1, adapter_rank=16), "lora") == 16 * features * 2
    assert part(estimate(layout, context=1, adapter_rank=16, adapters=5), "lora") == 5 * 16 * features * 2


def test_linear_layers_that_are_not_known_are_assumed_and_told() -> None:
    found = estimate(LLAMA_3_8B, context=1, adapter_rank=1)

    assert part(found, "lora") == 32 * (8192 + 5120 + 5120 + 8192 + 3 * (4096 + 14336)) * 2
    assert any("linear layers are not known" in sentence for sentence in found.assumed)


def test_the_total_is_the_sum_and_one_gpu_holds_it_all() -> None:
    found = estimate(LLAMA_3_8B, context=8192)

    assert found.total == found.per_gpu == sum(term.nbytes for term in found.terms)
    assert part(found, "runtime") == RUNTIME_BYTES


def test_two_gpus_share_weights_and_cache() -> None:
    found = estimate(LLAMA_3_8B, context=8192, gpus=2)

    assert [term.per_gpu for term in found.terms if term.name in {"weights", "kv_cache"}] == [8_030_261_248, GIB // 2]
    assert found.per_gpu == sum(term.per_gpu or 0 for term in found.terms)
    assert found.total == 2 * found.per_gpu


def test_key_value_heads_are_repeated_where_there_are_more_gpus() -> None:
    found = estimate(LLAMA_3_8B, context=8192, gpus=16)
    weights, cache = [term for term in found.terms if term.name in {"weights", "kv_cache"}]

    assert cache.per_gpu == GIB // 8
    assert cache.nbytes == 2 * GIB
    # Each of 16 GPUs has one of 8 heads: half a head more than its share, in 32 layers of 4096 * (128 + 128).
    assert weights.per_gpu == 16_060_522_496 // 16 + 32 * 4096 * 256 * 2 // 2


def test_a_latent_cache_is_repeated_on_each_gpu() -> None:
    (cache,) = [term for term in estimate(DEEPSEEK_V3, context=1, gpus=8).terms if term.name == "kv_cache"]

    assert (cache.per_gpu, cache.nbytes) == (576 * 61 * 2, 8 * 576 * 61 * 2)


@pytest.mark.parametrize(
    ("layout", "gpus", "said"),
    [
        (LLAMA_3_8B, 3, "32 attention heads"),
        (LLAMA_3_8B, 64, "32 attention heads"),
        (replace(LLAMA_3_8B, num_attention_heads=36, num_kv_heads=9), 6, "9 key-value heads"),
        (replace(LLAMA_3_8B, ffn_hidden_size=14337), 2, "MLP of 14337"),
    ],
)
def test_a_model_that_cannot_be_split_so_is_told(layout: Layout, gpus: int, said: str) -> None:
    found = estimate(layout, context=8192, gpus=gpus)

    assert found.per_gpu is None
    assert found.why_not is not None
    assert said in found.why_not
    assert {term.per_gpu for term in found.terms} == {None}
    assert found.total == estimate(layout, context=8192).total


def test_the_usual_splits_are_in_every_answer() -> None:
    found = estimate(replace(LLAMA_3_8B, num_attention_heads=28, num_kv_heads=4), context=8192, gpus=1)

    assert [split.gpus for split in found.splits] == [1, 2, 4, 8]
    assert [split.per_gpu is None for split in found.splits] == [False, False, False, True]
    assert found.splits[0].per_gpu == found.per_gpu
    assert found.splits[3].why_not is not None


def test_every_term_shows_its_formula_and_source() -> None:
    for term in estimate(LLAMA_3_8B, context=8192, adapter_rank=8, gpus=2).terms:
        assert str(term.per_gpu) in term.formula
        assert term.source
    (cache,) = [term for term in estimate(LLAMA_3_8B, context=8192).terms if term.name == "kv_cache"]
    assert cache.formula.startswith("32 full layers * 8 heads * (128 + 128) * 8192 tokens * 1 sequences * 2 bytes")


def test_what_was_assumed_of_the_layout_is_passed_on() -> None:
    found = estimate(replace(LLAMA_3_8B, assumed=("Heads are guessed.",)), context=1)

    assert found.assumed[0] == "Heads are guessed."
    assert found.as_document()["assumed"][0] == "Heads are guessed."


def test_the_document_is_json_all_through() -> None:
    document = estimate(LLAMA_3_8B, context=8192, gpus=3).as_document()

    assert isinstance(document["terms"], list)
    assert document["terms"][0]["name"] == "weights"
    assert document["splits"][0] == {"gpus": 1, "per_gpu": estimate(LLAMA_3_8B, context=8192).per_gpu, "why_not": None}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"context": 0}, "context"),
        ({"batch": -1}, "batch"),
        ({"gpus": 0}, "gpus"),
        ({"adapter_rank": 0}, "adapter_rank"),
        ({"adapters": 0}, "adapters"),
        ({"dtype": "float12"}, "dtype"),
        ({"kv_dtype": ""}, "kv_dtype"),
    ],
)
def test_parameters_that_make_no_sense_are_named(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        estimate(LLAMA_3_8B, **{"context": 1, **wrong})

    assert [fault.location for fault in refused.value.faults] == [("query", field)]


def test_a_layout_of_nothing_takes_the_runtime_alone() -> None:
    empty = Layout(
        hidden_size=0,
        ffn_hidden_size=0,
        vocab_size=0,
        num_layers=0,
        num_attention_heads=0,
        num_kv_heads=0,
        weights=(),
    )

    assert estimate(empty, context=1, adapter_rank=1).total == RUNTIME_BYTES


counts = st.integers(1, 10**6)
layouts = st.builds(
    lambda heads, repeats, dim, layers, kind, window, elements: Layout(
        hidden_size=heads * repeats * dim,
        ffn_hidden_size=4 * heads * repeats * dim,
        vocab_size=1000,
        num_layers=layers,
        num_attention_heads=heads * repeats,
        num_kv_heads=heads,
        weights=(WeightBytes(dtype="BF16", elements=elements, nbytes=2 * elements),),
        attention=(
            AttentionLayers(
                kind=kind,
                count=layers,
                num_kv_heads=heads,
                key_dim=dim,
                value_dim=dim,
                window=window,
                latent_dim=dim,
                rope_dim=dim,
            ),
        ),
    ),
    st.integers(1, 16),
    st.integers(1, 8),
    st.integers(1, 128),
    st.integers(1, 80),
    st.sampled_from(["full", "sliding", "latent"]),
    counts,
    st.integers(1, 10**12),
)


@given(layouts, counts, counts, counts, counts, st.sampled_from([1, 2, 4, 8]))
def test_more_tokens_sequences_or_parameters_never_take_less(
    layout: Layout, context: int, batch: int, more: int, elements: int, gpus: int
) -> None:
    least = estimate(layout, context=context, batch=batch, gpus=gpus)
    larger = replace(
        layout, weights=(*layout.weights, WeightBytes(dtype="F32", elements=elements, nbytes=4 * elements))
    )

    assert estimate(layout, context=context + more, batch=batch, gpus=gpus).total >= least.total
    assert estimate(layout, context=context, batch=batch + more, gpus=gpus).total >= least.total
    assert estimate(larger, context=context, batch=batch, gpus=gpus).total >= least.total


@given(layouts, counts)
def test_a_split_never_asks_more_of_a_gpu_than_no_split(layout: Layout, context: int) -> None:
    found = estimate(layout, context=context)

    assert all(split.per_gpu is None or split.per_gpu <= found.total for split in found.splits)
