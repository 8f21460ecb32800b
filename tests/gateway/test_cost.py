"""What a request may use before anybody knows, and what it has cost when it is known."""

from typing import Any

import orjson
import pytest

from steelyard.gateway.cost import DEFAULT_OUTPUT, cost_of, estimate, estimate_tokens
from steelyard.gateway.meter import Usage

PRICING = {"currency": "USD", "input": 2.0, "cached_input": 0.5, "cache_write": 2.5, "output": 10.0, "request": None}


def told(body: dict[str, Any], **options: Any) -> Usage:
    return estimate(body, len(orjson.dumps(body)), **options)


def chat(text: str, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}], **fields}


@pytest.mark.parametrize(
    ("pricing", "usage", "cost"),
    [
        (PRICING, Usage(1_000_000, 0), 2.0),
        (PRICING, Usage(0, 1_000_000), 10.0),
        (PRICING, Usage(1000, 500), 0.007),
        # Of the million, 400,000 came from a cache and 100,000 went into one.
        (PRICING, Usage(1_000_000, 0, cached_input=400_000, cache_write=100_000), 1.0 + 0.2 + 0.25),
        # Reasoning is a part of the output, and does not cost twice.
        (PRICING, Usage(0, 100, reasoning=90), 0.001),
        ({**PRICING, "cached_input": None, "cache_write": None}, Usage(1_000_000, 0, 400_000, 100_000), 2.0),
        ({**PRICING, "cached_input": 0.0}, Usage(1_000_000, 0, 400_000), 1.2),
        ({**PRICING, "request": 0.25}, Usage(0, 0), 0.25),
        ({"request": 0.25}, Usage(None, None), 0.25),
        ({"output": 10.0}, Usage(None, 100), 0.001),
        ({"input": 0.0, "output": 0.0}, Usage(5, 5), 0.0),
    ],
)
def test_costs(pricing: dict[str, Any], usage: Usage, cost: float) -> None:
    assert cost_of(pricing, usage) == pytest.approx(cost, abs=1e-12)


@pytest.mark.parametrize(
    ("pricing", "usage"),
    [
        (None, Usage(5, 5)),
        ({}, Usage(5, 5)),
        ({"currency": "USD", "input": None, "output": None, "request": None}, Usage(5, 5)),
        (PRICING, Usage(None, 5)),
        (PRICING, Usage(5, None)),
    ],
)
def test_without_a_price_or_without_a_count_nobody_knows_the_cost(pricing: Any, usage: Usage) -> None:
    assert cost_of(pricing, usage) is None


def test_more_tokens_of_a_cache_than_of_the_prompt_cost_no_less_than_nothing() -> None:
    cost = cost_of(PRICING, Usage(10, 0, cached_input=1_000_000))
    assert cost == pytest.approx(0.5)


def test_a_prompt_is_taken_for_a_token_each_four_bytes() -> None:
    body = chat("word " * 800, max_tokens=0)
    assert told(body).input == len(orjson.dumps(body)) // 4


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens", "max_output_tokens"])
def test_the_output_is_all_that_the_request_allows(field: str) -> None:
    assert told(chat("x", **{field: 300})).output == 300


@pytest.mark.parametrize("given", [{}, {"max_tokens": None}, {"max_tokens": "many"}, {"max_tokens": -1}])
def test_a_request_that_sets_no_bound_is_taken_for_the_default(given: dict[str, Any]) -> None:
    assert told(chat("x", **given)).output == DEFAULT_OUTPUT


def test_each_choice_has_its_own_output() -> None:
    assert told(chat("x", max_tokens=100, n=3)).output == 300


def test_embeddings_have_no_output() -> None:
    assert told({"input": "x"}, output=False) == Usage(len(b'{"input":"x"}') // 4, 0)


def test_all_in_all_a_request_uses_its_prompt_and_its_output() -> None:
    body = chat("word " * 80, max_tokens=7)
    size = len(orjson.dumps(body))
    assert estimate_tokens(body, size) == size // 4 + 7


ATTACHED = "iVBORw0K" * 100_000


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{ATTACHED}"}},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ATTACHED}},
        {"type": "input_audio", "input_audio": {"data": ATTACHED, "format": "wav"}},
    ],
)
@pytest.mark.parametrize("field", ["messages", "input"])
def test_an_attachment_counts_for_a_thousand_tokens_whatever_its_bytes(field: str, part: dict[str, Any]) -> None:
    text = {"type": "text", "text": "what is this? " * 100}
    body = {field: [{"role": "user", "content": [text, part]}]}
    assert 1000 + 14 * 25 <= (told(body).input or 0) < 1000 + 14 * 25 + 100


@pytest.mark.parametrize("text", ["word " * 20_000, "\u6587" * 20_000])
def test_long_text_is_no_attachment(text: str) -> None:
    assert (told(chat(text)).input or 0) >= len(text.encode()) // 4


def test_bodies_of_any_shape_have_an_estimate() -> None:
    deep: Any = "x" * 10_000
    for _ in range(50):
        deep = [deep]
    for messages in (deep, None, 5, {"a": "b" * 5000}, [[None]], ["x" * 9000]):
        assert told({"messages": messages, "n": "two", "padding": " " * 5000}).total > 0
