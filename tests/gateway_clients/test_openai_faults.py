"""What OpenAI's own client makes of what goes wrong: its own exceptions, and never an answer that only looks whole."""

import asyncio
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.gateway import faults
from tests.gateway.replies import json_reply
from tests.gateway.upstreams import Behaviour, until
from tests.gateway_clients.conftest import FORMATS, Gate

HELLO: Any = [{"role": "user", "content": "hi"}]
both = pytest.mark.parametrize("format", FORMATS)


@pytest.fixture
def client(gate: Gate) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gate.url}/v1", api_key="sk-caller", max_retries=0, timeout=20) as client:
        yield client


def failing(format: str, status: int, *headers: tuple[str, str]) -> Behaviour:
    """The engine fails, in the words of its dialect."""
    if format == "OPENAI_CHAT":
        return faults.failing(status, *headers)
    error = {"type": "error", "error": {"type": "api_error", "message": "engine trouble"}}
    return faults.reply(json_reply(error, status, headers))


def test_a_name_that_nobody_knows(client: openai.OpenAI, gate: Gate) -> None:
    with pytest.raises(openai.NotFoundError, match="'nobody' does not exist in the workspace") as raised:
        client.chat.completions.create(model=f"{gate.workspace}/nobody", messages=HELLO)

    assert (raised.value.code, raised.value.type) == ("not_found", "invalid_request_error")
    assert raised.value.request_id == raised.value.response.headers["x-request-id"]
    with pytest.raises(openai.BadRequestError, match="must name a model"):
        client.chat.completions.create(model="", messages=HELLO)
    with pytest.raises(openai.NotFoundError, match="nobody"):
        client.responses.create(model=f"{gate.workspace}/nobody", input="hi", stream=True)


def test_what_is_not_here_at_all(client: openai.OpenAI, gate: Gate) -> None:
    with pytest.raises(openai.NotFoundError, match="resource was not found") as raised:
        client.moderations.create(input="a")
    assert raised.value.code == "not_found"
    with pytest.raises(openai.NotFoundError, match="resource was not found"):
        client.responses.retrieve("resp_1")
    with pytest.raises(openai.NotFoundError, match="no model 'nobody'"):
        client.models.retrieve("nobody")
    with (
        openai.OpenAI(base_url=gate.workspace_url, api_key="k", max_retries=0) as ours,
        pytest.raises(openai.NotFoundError, match="no model 'nobody'"),
    ):
        ours.models.retrieve("nobody")


def test_what_the_other_dialect_cannot_say_is_refused_by_its_name(client: openai.OpenAI, gate: Gate) -> None:
    model = gate.model(format="ANTHROPIC_MESSAGES")

    with pytest.raises(openai.UnprocessableEntityError, match="logit_bias") as raised:
        client.chat.completions.create(model=model, messages=HELLO, logit_bias={"50256": -100})
    assert raised.value.param == "logit_bias"
    with pytest.raises(openai.UnprocessableEntityError, match="embeddings"):
        client.embeddings.create(model=model, input="a")
    with pytest.raises(openai.UnprocessableEntityError, match="previous_response_id"):
        client.responses.create(model=model, input="a", previous_response_id="resp_1")
    assert gate.engine.requests == []


@both
def test_an_upstreams_limit_comes_with_its_retry_after(client: openai.OpenAI, gate: Gate, format: str) -> None:
    gate.engine.always = failing(format, 429, ("retry-after", "30"))

    with pytest.raises(openai.RateLimitError, match="engine trouble") as raised:
        client.chat.completions.create(model=gate.model(format=format), messages=HELLO)

    assert raised.value.response.headers["retry-after"] == "30"
    # It has said how long it wants to be left alone, so it is.
    assert len(gate.engine.requests) == 1


def test_our_own_limit_is_a_rate_limit_too(client: openai.OpenAI, gate: Gate) -> None:
    model = gate.model()
    path = f"/apis/steelyard/v1/workspaces/{gate.workspace}/limits"
    made = gate.http.post(path, json={"name": "few", "model": model, "requests_per_minute": 1})
    assert made.status_code == 201, made.text
    client.chat.completions.create(model=model, messages=HELLO)

    with pytest.raises(openai.RateLimitError, match="1 requests a minute") as raised:
        client.chat.completions.create(model=model, messages=HELLO, stream=True)

    # The second in which the first request fell counts as a whole.
    assert 0 < int(raised.value.response.headers["retry-after"]) <= 61
    assert len(gate.engine.requests) == 1


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 500, 503, 529])
def test_an_upstreams_status(client: openai.OpenAI, gate: Gate, format: str, status: int) -> None:
    gate.engine.always = failing(format, status)
    # What an upstream says of our key and our route is not the caller's fault.
    shown = 502 if status in {401, 403, 404} else status
    kinds = {400: openai.BadRequestError, 422: openai.UnprocessableEntityError, 413: openai.APIStatusError}
    kind: type[openai.APIStatusError] = kinds.get(shown, openai.InternalServerError)

    with pytest.raises(kind, match="engine trouble") as raised:
        client.chat.completions.create(model=gate.model(format=format, routing={"retries": 0}), messages=HELLO)

    assert raised.value.status_code == shown


def test_an_engine_that_cannot_do_one_thing_goes_on_doing_the_others(client: openai.OpenAI, gate: Gate) -> None:
    """llama.cpp's server says 501 where it has been started without embeddings."""
    model = gate.model()
    gate.engine.next(*[failing("OPENAI_CHAT", 501)] * 6)

    for _ in range(6):
        with pytest.raises(openai.InternalServerError, match="engine trouble"):
            client.embeddings.create(model=model, input="a")

    assert client.chat.completions.create(model=model, messages=HELLO).choices[0].finish_reason == "stop"
    assert len(gate.engine.requests) == 7


@both
def test_nobody_listens(client: openai.OpenAI, gate: Gate, format: str) -> None:
    gate.engine.refuse()

    with pytest.raises(openai.InternalServerError, match="cannot be reached") as raised:
        client.chat.completions.create(model=gate.model(format=format), messages=HELLO, stream=True)

    assert raised.value.status_code == 502


@both
def test_what_fails_before_the_first_token_is_tried_again(client: openai.OpenAI, gate: Gate, format: str) -> None:
    model = gate.model(format=format)
    gate.engine.next(failing(format, 503), faults.cut_after(1))

    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))

    assert chunks[-1].choices[0].finish_reason == "stop"
    assert len(gate.engine.requests) == 3


@both
@pytest.mark.parametrize("pieces", [4, 6])
def test_a_stream_that_is_cut_raises(client: openai.OpenAI, gate: Gate, format: str, pieces: int) -> None:
    model = gate.model(format=format)
    gate.engine.always = faults.cut_after(pieces)
    come: list[Any] = []

    with pytest.raises(openai.APIError, match=r"broke off|ended"):
        come.extend(client.chat.completions.create(model=model, messages=HELLO, stream=True))
    with pytest.raises(openai.APIError, match=r"broke off|ended"):
        come.extend(client.responses.create(model=model, input="hi", stream=True))
    with (
        pytest.raises(openai.APIError, match=r"broke off|ended"),
        client.responses.stream(model=model, input="hi") as stream,
    ):
        stream.get_final_response()


@both
def test_a_stream_that_is_cut_says_what_came_before(client: openai.OpenAI, gate: Gate, format: str) -> None:
    gate.engine.always = faults.cut_after(6)
    come: list[Any] = []

    with pytest.raises(openai.APIError) as raised:
        for chunk in client.chat.completions.create(model=gate.model(format=format), messages=HELLO, stream=True):
            come.append(chunk)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in come).startswith("Grüße")
    assert all(chunk.choices[0].finish_reason is None for chunk in come)
    assert raised.value.code == "upstream_failed"
    assert len(gate.engine.requests) == 1


@both
def test_a_stream_that_is_closed_ends_the_upstreams_request(client: openai.OpenAI, gate: Gate, format: str) -> None:
    gate.engine.always = faults.stalling(5)

    stream = client.chat.completions.create(model=gate.model(format=format), messages=HELLO, stream=True)
    next(iter(stream))
    stream.close()

    until(lambda: gate.asked().left_at is not None)
    assert gate.engine.busy == 0


@both
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_a_task_that_is_cancelled_ends_the_upstreams_request(gate: Gate, format: str, streamed: bool) -> None:
    gate.engine.always = faults.STALL
    model = gate.model(format=format)
    async with openai.AsyncOpenAI(base_url=f"{gate.url}/v1", api_key="k", max_retries=0) as client:
        made: Any = client.chat.completions.create(model=model, messages=HELLO, stream=streamed)
        task = asyncio.create_task(made)
        await asyncio.to_thread(gate.engine.wait_for, 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    await asyncio.to_thread(until, lambda: gate.asked().left_at is not None)
