"""What a request may use, before anybody knows; and what it has cost, when it is known."""

from collections.abc import Mapping
from typing import Any

from steelyard.gateway.meter import Usage

DEFAULT_OUTPUT = 1024
"""How many tokens of output are reserved where the request sets no bound."""
_BYTES_PER_TOKEN = 4
# What an image or a sound is taken for: its bytes say nothing of its tokens.
_ATTACHMENT_TOKENS = 1000
_ATTACHMENT_BYTES = 4096
# The place of the bound in chat completions (new and old) and messages, and in responses.
_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")
_PROMPTS = ("messages", "input")
_MILLION = 1_000_000


def estimate(body: Mapping[str, Any], size: int, *, output: bool = True) -> Usage:
    """What a request may use, whose body has `size` bytes; without `output` (embeddings), only its prompt.

    A prompt has a token for each four bytes of the body, where images and sounds in it count for a thousand each. The
    output is all that the request allows, for each of its choices, or 1,024 tokens where it says nothing.
    """
    prompt = size
    if size > _ATTACHMENT_BYTES:
        for field in _PROMPTS:
            prompt -= _attached(body.get(field), 0)
    tokens = max(prompt // _BYTES_PER_TOKEN, 1)
    if not output:
        return Usage(tokens, 0)
    most = DEFAULT_OUTPUT
    for field in _BOUNDS:
        bound = body.get(field)
        if type(bound) is int and bound >= 0:
            most = bound
            break
    choices = body.get("n")
    return Usage(tokens, most * choices if type(choices) is int and choices > 1 else most)


def estimate_tokens(body: Mapping[str, Any], size: int) -> int:
    """How many tokens a request may use in all: see `estimate`."""
    return estimate(body, size).total


def _attached(part: Any, depth: int) -> int:
    """By how many bytes the attachments in a part of a prompt are longer than the text that they count for."""
    if isinstance(part, str):
        # ASCII of this length without a space is encoded bytes, whatever field it stands in.
        if len(part) <= _ATTACHMENT_BYTES or not part.isascii() or " " in part[:_ATTACHMENT_BYTES]:
            return 0
        return max(len(part) - _ATTACHMENT_TOKENS * _BYTES_PER_TOKEN, 0)
    if depth > 6:
        return 0
    if isinstance(part, list):
        return sum(_attached(item, depth + 1) for item in part)
    if isinstance(part, dict):
        return sum(_attached(item, depth + 1) for item in part.values())
    return 0


def cost_of(pricing: Mapping[str, Any] | None, usage: Usage) -> float | None:
    """What `usage` costs by the prices of a model, in their currency; None without prices, or where it is not known.

    Prices are per million tokens, `request` for each request. Tokens that came from a cache, or went into one, cost as
    much as others where they have no price of their own.
    """
    if not pricing:
        return None
    per_input, per_output = pricing.get("input"), pricing.get("output")
    cost = pricing.get("request")
    if cost is None and per_input is None and per_output is None:
        return None
    cost = cost or 0.0
    if per_input:
        if usage.input is None:
            return None
        per_cached, per_write = pricing.get("cached_input"), pricing.get("cache_write")
        cached, written = usage.cached_input, usage.cache_write
        plain = max(usage.input - cached - written, 0)
        tokens = plain * per_input
        tokens += cached * (per_input if per_cached is None else per_cached)
        tokens += written * (per_input if per_write is None else per_write)
        cost += tokens / _MILLION
    if per_output:
        if usage.output is None:
            return None
        cost += usage.output * per_output / _MILLION
    return float(cost)
