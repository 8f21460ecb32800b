"""Limits, budgets, usage and the cache at a real server: what is let through, and what is written down."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.gateway.faults import failing, stalling
from tests.gateway.gates import CHAT, MESSAGES, Gate, check_error, gate, question
from tests.gateway.replies import PROMPT_TOKENS, WORDS
from tests.gateway.upstreams import WELL, Upstream, upstream

LIMITS = "/apis/steelyard/v1/workspaces/default/limits"
USAGE = "/apis/steelyard/v1/workspaces/default/usage"
MODELS = "/apis/models/v2/workspaces"
# A request with 64 tokens of output costs at most a little more than 64 cents; the engine says 5, which are 5 cents.
PRICES = {"currency": "USD", "input": 100.0, "output": 10_000.0}
COST = PROMPT_TOKENS * 0.0001 + len(WORDS) * 0.01


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    with gate(tmp_path_factory.mktemp("accounts") / "data") as running:
        yield running


@pytest.fixture
def engine() -> Iterator[Upstream]:
    with upstream() as running:
        yield running


def limit(gate: Gate, model: str, **bounds: Any) -> str:
    """A new limit of that model alone, by its path."""
    name = model.replace("/", "-")
    answer = gate.http.post(LIMITS, json={"name": name, "model": model, **bounds})
    assert answer.status_code == 201, answer.text
    return f"{LIMITS}/{name}"


def used(gate: Gate, model: str, number: int = 1) -> list[dict[str, Any]]:
    """The rows of a model, newest first, once there are so many."""
    found: list[dict[str, Any]] = []
    for _ in range(100):
        found = gate.http.get(USAGE, params={"model": model}).json()["data"]
        if len(found) >= number:
            break
        time.sleep(0.05)
    assert len(found) == number
    return found


def budget(amount: float) -> dict[str, Any]:
    return {"budget": {"amount": amount, "currency": "USD", "period": "month"}}


def test_of_two_hundred_requests_at_once_exactly_as_many_pass_as_may(served: Gate, engine: Upstream) -> None:
    model = served.model(engine)
    path = limit(served, model, requests_per_minute=20)

    async def all_at_once() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(base_url=served.server.url, limits=limits, timeout=30) as client:
            asked = question(CHAT, model)
            return list(await asyncio.gather(*(client.post(CHAT, json=asked) for _ in range(200))))

    answers = asyncio.run(all_at_once())
    assert Counter(answer.status_code for answer in answers) == {200: 20, 429: 180}
    assert len(engine.requests) == 20

    served.http.patch(path, json={"requests_per_minute": 21})
    assert [served.ask(model).status_code for _ in range(2)] == [200, 429]
    served.http.delete(path)
    assert served.ask(model).status_code == 200


@pytest.mark.parametrize("route", [CHAT, MESSAGES])
def test_a_refusal_is_one_of_the_dialect_and_says_for_how_long(served: Gate, engine: Upstream, route: str) -> None:
    model = served.model(engine, route=route)
    limit(served, model, requests_per_minute=1)
    passed, refused = served.ask(model, route), served.ask(model, route)
    assert passed.headers["x-ratelimit-remaining-requests"] == "0"
    assert (refused.status_code, refused.json()["code"]) == (429, "rate_limited")
    check_error(refused.json(), route, ["allows 1 requests a minute"])
    assert 55 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-limit-requests"] == "1"
    assert used(served, model, 2)[0]["error"] == "rate_limited"


def test_tokens_are_reserved_as_asked_and_counted_as_used(served: Gate, engine: Upstream) -> None:
    model = served.model(engine)
    limit(served, model, tokens_per_minute=1000)
    first = served.ask(model, max_tokens=900)
    assert first.status_code == 200
    # Of the 900, five were used: there is room for another.
    assert served.ask(model, max_tokens=900).status_code == 200
    refused = served.ask(model, max_tokens=1000)
    assert (refused.status_code, refused.headers["x-should-retry"]) == (429, "false")
    assert "max_tokens" in refused.json()["detail"]


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_used_is_written_down(served: Gate, engine: Upstream, stream: bool) -> None:
    model = served.model(engine, pricing=PRICES)
    served.http.post(CHAT, json=question(CHAT, model, stream=stream), headers={"x-request-id": "the-one"})
    (row,) = used(served, model)
    expected = {
        "request_id": "the-one",
        "workspace": "default",
        "model": model,
        "route": model,
        "provider": f"{model}-0",
        "dialect": "openai.chat",
        "upstream_dialect": "openai.chat",
        "stream": stream,
        "status": 200,
        "error": None,
        "input": PROMPT_TOKENS,
        "output": len(WORDS),
        "cost": pytest.approx(COST),
        "currency": "USD",
        "attempts": 1,
        "cache": None,
    }
    assert {name: row[name] for name in expected} == expected
    assert 0 < row["latency_ms"] < 10_000
    assert (row["first_token_ms"] is not None) == stream


def test_a_failure_is_written_down_and_costs_nothing(served: Gate, engine: Upstream) -> None:
    model = served.model(engine, pricing=PRICES)
    limit(served, model, **budget(0.69), tokens_per_minute=120)
    engine.always = failing(500)
    assert [served.ask(model, max_tokens=64).status_code for _ in range(3)] == [500] * 3
    engine.always = WELL
    # What the failed ones had reserved is there again: 64 cents each, and most tokens of a minute.
    assert served.ask(model, max_tokens=64).status_code == 200
    rows = used(served, model, 4)
    assert [(row["status"], row["cost"]) for row in rows] == [(200, pytest.approx(COST)), *[(500, None)] * 3]


class TestBudgets:
    """Money that is spent, or held."""

    def test_what_is_spent_is_gone_and_the_rest_can_be_had(self, served: Gate, engine: Upstream) -> None:
        model = served.model(engine, pricing=PRICES)
        limit(served, model, **budget(0.75))
        statuses = [served.ask(model, max_tokens=64).status_code for _ in range(5)]
        # Three cost five cents each and something; then 64 more do not fit.
        assert statuses == [200, 200, 200, 429, 429]
        refused = served.ask(model, max_tokens=64)
        assert refused.json()["code"] == "budget_exceeded"
        assert refused.headers["x-should-retry"] == "false"
        assert served.ask(model, max_tokens=10).status_code == 200

    def test_what_was_spent_before_there_was_any_limit_counts(self, data_dir: Path, engine: Upstream) -> None:
        with gate(data_dir) as fresh:
            model = fresh.model(engine, pricing=PRICES)
            assert fresh.ask(model, max_tokens=64).status_code == 200
            limit(fresh, model, **budget(0.69))
            assert fresh.ask(model, max_tokens=64).status_code == 429
            assert fresh.ask(model, max_tokens=60).status_code == 200

    def test_a_client_that_leaves_a_stream_early_pays_what_was_held(self, served: Gate, engine: Upstream) -> None:
        model = served.model(engine, pricing=PRICES, timeouts={"total_seconds": 20.0})
        limit(served, model, **budget(1.0))
        engine.always = stalling(2)
        asked = {**question(CHAT, model, stream=True), "max_tokens": 64}
        with served.http.stream("POST", CHAT, json=asked) as answer:
            next(answer.iter_bytes())
        (row,) = used(served, model)
        assert (row["status"], row["error"]) == (499, "client_left")
        assert row["cost"] == pytest.approx(0.64, abs=0.01)
        engine.always = WELL
        assert served.ask(model, max_tokens=64).status_code == 429

    @pytest.mark.parametrize("killed", [False, True])
    def test_a_restart_gives_no_money_back(self, data_dir: Path, engine: Upstream, killed: bool) -> None:
        with gate(data_dir) as first:
            model = first.model(engine, pricing=PRICES)
            limit(first, model, **budget(0.69))
            assert first.ask(model, max_tokens=64).status_code == 200
            if killed:
                time.sleep(1)  # longer than usage is gathered
                first.server.process.kill()
        with gate(data_dir) as second:
            assert second.ask(model, max_tokens=64).status_code == 429
            assert second.ask(model, max_tokens=5).status_code == 200


class TestCache:
    """Answers that are kept."""

    def kept(self, gate: Gate, engine: Upstream, **fields: Any) -> str:
        return gate.model(engine, **{"routing": {"cache_seconds": 60, "retries": 0}, "pricing": PRICES, **fields})

    def test_the_same_request_is_answered_without_the_engine(self, served: Gate, engine: Upstream) -> None:
        model = self.kept(served, engine)
        first, second = served.ask(model), served.ask(model)
        assert second.content == first.content
        assert (first.headers.get("x-steelyard-cache"), second.headers["x-steelyard-cache"]) == (None, "hit")
        assert len(engine.requests) == 1
        hit, asked = used(served, model, 2)
        assert (hit["cache"], hit["cost"], hit["attempts"], hit["output"]) == ("hit", 0.0, 0, len(WORDS))
        assert (asked["cache"], asked["attempts"]) == (None, 1)

    def test_another_request_is_another_one(self, served: Gate, engine: Upstream) -> None:
        model = self.kept(served, engine)
        served.ask(model)
        served.ask(model, temperature=0)
        served.ask(model, user="somebody")
        served.stream(model)
        served.stream(model)
        assert len(engine.requests) == 5

    def test_a_failure_is_not_kept(self, served: Gate, engine: Upstream) -> None:
        model = self.kept(served, engine)
        engine.next(failing(500))
        assert [served.ask(model).status_code for _ in range(3)] == [500, 200, 200]
        assert len(engine.requests) == 2

    @pytest.mark.parametrize("change", ["model", "provider", "prompt"])
    def test_after_a_change_behind_the_name_no_answer_of_before_comes(
        self, served: Gate, engine: Upstream, change: str
    ) -> None:
        base = f"{MODELS}/default"
        name = f"kept-{change}"
        served.http.post(f"{base}/prompts", json={"name": name, "messages": []})
        model = self.kept(served, engine)
        own = model.partition("/")[2]
        served.ask(model)
        if change == "model":
            answer = served.http.patch(f"{base}/models/{own}", json={"pricing": {**PRICES, "output": 1.0}})
        elif change == "provider":
            answer = served.http.patch(f"{base}/providers/{own}-0", json={"default_extra_body": {"seed": 7}})
        else:
            answer = served.http.patch(f"{base}/models/{own}", json={"prompt": {"system_prompt": "Be brief."}})
        assert answer.status_code == 200, answer.text
        served.ask(model)
        assert len(engine.requests) == 2
