"""Tokens, ids and reasons to stop, as each dialect writes them."""

import re
import time
import uuid
from typing import Any

from steelyard.errors import BadUpstreamAnswer
from steelyard.gateway.dialects.form import Json, Stop
from steelyard.gateway.meter import Usage

_PREFIX = re.compile(r"^(?:chatcmpl|msg|resp|cmpl|gen)[-_]+")
_BAD = re.compile(r"[^a-zA-Z0-9_-]")

CHAT_STOPS: dict[str, Stop] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "refused",
    "eos": "stop",
}
MESSAGES_STOPS: dict[str, Stop] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "stop_sequence": "sequence",
    "tool_use": "calls",
    "refusal": "refused",
}
TO_CHAT = {"stop": "stop", "sequence": "stop", "length": "length", "calls": "tool_calls", "refused": "content_filter"}
TO_MESSAGES = {
    "stop": "end_turn",
    "sequence": "stop_sequence",
    "length": "max_tokens",
    "calls": "tool_use",
    "refused": "refusal",
}
# What a response is incomplete for.
TO_RESPONSES = {"length": "max_output_tokens", "refused": "content_filter"}


def new_id(prefix: str, upstream: object = None) -> str:
    """An id of a dialect's shape that keeps what the upstream's id says, so that both can be found in logs."""
    if isinstance(upstream, str) and upstream:
        return prefix + _BAD.sub("_", _PREFIX.sub("", upstream[:128]))
    return prefix + uuid.uuid4().hex


def stop_of(stops: dict[str, Stop], said: object) -> Stop:
    """Why an upstream stopped; what is not known is no limit and no refusal, so it just stopped."""
    if not isinstance(said, str):
        raise bad("it gives no text for why it ends")
    return stops.get(said, "stop")


def id_of(id: str) -> str:
    """The id of a call as the API takes it; engines make ids such as `functions.get:0`."""
    return id if id.replace("_", "").replace("-", "").isalnum() and id.isascii() else _BAD.sub("_", id) or "_"


def settled(stop: Stop, calls: bool) -> Stop:
    """The reason to stop that fits what was said: some engines call tools and say that they just stopped."""
    if stop == "stop" and calls:
        return "calls"
    return "stop" if stop == "calls" and not calls else stop


def explanation(details: Any) -> str | None:
    """What a refusal says of itself."""
    said = details.get("explanation") if isinstance(details, dict) else None
    return said if isinstance(said, str) and said else None


def now() -> int:
    """Seconds since 1970."""
    return int(time.time())


def count(value: Any) -> int:
    """A count of tokens; 0 where there is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def chat_usage(usage: Any) -> Usage | None:
    """The usage of a chat completion, or of a completion."""
    if not isinstance(usage, dict):
        return None
    prompt, made = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) and not isinstance(made, int):
        return None
    if (
        type(prompt) is int
        and type(made) is int
        and not usage.get("prompt_tokens_details")
        and not usage.get("completion_tokens_details")
    ):
        return Usage(prompt, made)
    read = usage.get("prompt_tokens_details")
    written = usage.get("completion_tokens_details")
    details: Json = read if isinstance(read, dict) else {}
    thought: Json = written if isinstance(written, dict) else {}
    return Usage(
        prompt if isinstance(prompt, int) else None,
        made if isinstance(made, int) else None,
        count(details.get("cached_tokens")),
        count(details.get("cache_write_tokens")),
        count(thought.get("reasoning_tokens")),
    )


def responses_usage(usage: Any) -> Usage | None:
    """The usage of a response."""
    if not isinstance(usage, dict):
        return None
    return chat_usage(
        {
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )


def messages_usage(usage: Any, before: Usage | None = None) -> Usage | None:
    """The usage of a message; in a stream `before` is what was said earlier, and stays where nothing new is said."""
    if not isinstance(usage, dict):
        return before
    fresh, read, written = (
        usage.get("input_tokens"),
        usage.get("cache_read_input_tokens"),
        usage.get("cache_creation_input_tokens"),
    )
    made = usage.get("output_tokens")
    details = usage.get("output_tokens_details")
    cached = count(read) if read is not None or before is None else before.cached_input
    kept = count(written) if written is not None or before is None else before.cache_write
    if isinstance(fresh, int):
        prompt: int | None = fresh + cached + kept
    elif before is not None and before.input is not None:
        prompt = before.input - before.cached_input - before.cache_write + cached + kept
    else:
        prompt = None
    return Usage(
        prompt,
        made if isinstance(made, int) else before.output if before else None,
        cached,
        kept,
        count(details.get("thinking_tokens")) if isinstance(details, dict) else before.reasoning if before else 0,
    )


def write_chat(usage: Usage) -> Json:
    """A usage as chat completions write it."""
    made: Json = {
        "prompt_tokens": usage.input or 0,
        "completion_tokens": usage.output or 0,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached_input},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    if usage.cache_write:
        made["prompt_tokens_details"]["cache_write_tokens"] = usage.cache_write
    return made


def write_responses(usage: Usage) -> Json:
    """A usage as responses write it."""
    return {
        "input_tokens": usage.input or 0,
        "input_tokens_details": {"cached_tokens": usage.cached_input, "cache_write_tokens": usage.cache_write},
        "output_tokens": usage.output or 0,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.total,
    }


def write_messages(usage: Usage | None) -> Json:
    """A usage as messages write it: what was read from a cache does not count as input there."""
    if usage is None:
        return {"input_tokens": 0, "output_tokens": 0}
    fresh = (usage.input or 0) - usage.cached_input - usage.cache_write
    made: Json = {
        "input_tokens": max(fresh, 0),
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cached_input,
        "output_tokens": usage.output or 0,
    }
    if usage.reasoning:
        made["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return made


def bad(what: str) -> BadUpstreamAnswer:
    """The error for an upstream that answered what is none of its dialect."""
    return BadUpstreamAnswer(f"the upstream's answer cannot be passed on: {what[:300]}")
