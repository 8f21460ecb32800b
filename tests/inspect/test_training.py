"""GPUs that fine-tuning takes at least, against sums by hand."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.inspect.layout import Layout, WeightBytes
from steelyard.inspect.training import GPU_BYTES, RESERVED_BYTES, minimum_gpus
from tests.inspect.test_memory import DEEPSEEK_V3, LLAMA_3_8B

# 4096 tokens: the kept inputs of 32 layers, one layer at work, and the logits with their gradient.
LLAMA_ACTIVATIONS = 2 * 4096 * 4096 * 32 + 4096 * (17 * 4096 + 8 * 14336) + 8 * 4096 * 128256


def with_parameters(layout: Layout, count: int) -> Layout:
    return replace(layout, weights=(WeightBytes(dtype="BF16", elements=count, nbytes=2 * count),))


def test_llama_3_8b_takes_two_gpus_in_full_and_one_with_lora() -> None:
    # 16 * 8.03e9 bytes are 128 GB of states, beside 6 GB of activations on each GPU.
    found = minimum_gpus(LLAMA_3_8B)

    assert (found.all_weights, found.lora) == (2, 1)
    assert str(LLAMA_ACTIVATIONS) in found.formula
    assert found.source


def test_deepseek_v3_takes_whole_machines() -> None:
    found = minimum_gpus(DEEPSEEK_V3)

    # 16 * 671e9 / (76e9 - 10.3e9) = 163.5 and 2 * 671e9 / 65.7e9 = 20.4 (with adapters), in machines of 8.
    assert (found.all_weights, found.lora) == (168, 24)


@pytest.mark.parametrize(("times", "gpus"), [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (9, 16), (17, 24)])
def test_numbers_of_gpus_are_those_that_machines_come_in(times: int, gpus: int) -> None:
    room = (GPU_BYTES - RESERVED_BYTES - LLAMA_ACTIVATIONS) // 16

    assert minimum_gpus(with_parameters(LLAMA_3_8B, times * room)).all_weights == gpus


def test_what_is_not_known_or_cannot_be_is_null() -> None:
    assert minimum_gpus(replace(LLAMA_3_8B, weights=())).all_weights is None
    assert minimum_gpus(replace(LLAMA_3_8B, weights=())).lora is None
    assert minimum_gpus(replace(LLAMA_3_8B, vocab_size=10**9)).all_weights is None
    assert minimum_gpus(with_parameters(LLAMA_3_8B, 10**18)).all_weights is None


@given(st.integers(1, 10**12), st.integers(0, 10**12))
def test_more_parameters_never_take_fewer_gpus(parameters: int, more: int) -> None:
    less = minimum_gpus(with_parameters(LLAMA_3_8B, parameters))
    larger = minimum_gpus(with_parameters(LLAMA_3_8B, parameters + more))

    assert less.all_weights is not None
    assert less.lora is not None
    assert larger.all_weights is not None
    assert larger.lora is not None
    assert less.all_weights <= larger.all_weights
    assert less.lora <= larger.lora
    assert less.lora <= less.all_weights or parameters < 10**9
