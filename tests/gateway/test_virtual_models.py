"""Names that stand for models: shares of requests, stickiness, fallbacks, dialects."""

from collections import Counter

import pytest

from tests.api.paths import made, virtual_models
from tests.filesets.checkpoints import llama, lora, put
from tests.gateway import faults
from tests.gateway.gates import CHAT, MESSAGES, RESPONSES, Gate, check_error
from tests.gateway.spaces import Space, last, sent
from tests.gateway.upstreams import Behaviour, Upstream


@pytest.fixture
def space(door: Gate) -> Space:
    return Space(door.http)


@pytest.fixture
def pair(space: Space, engine: Upstream, other: Upstream) -> Space:
    """The models `a` at the engine and `b` at the other, which are tried once each."""
    space.served("a", engine, routing={"retries": 0}, prompt={"system_prompt": "A"})
    space.served("b", other, routing={"retries": 0}, prompt={"system_prompt": "B"})
    return space


def _shares(engine: Upstream, other: Upstream) -> tuple[int, int]:
    return len(engine.requests), len(other.requests)


# What a name stands for.


def test_a_virtual_model_is_its_default_and_answers_by_its_own_name(pair: Space, engine: Upstream) -> None:
    virtual = pair.virtual("chat", default_model_entity="a")
    for route in (CHAT, MESSAGES, RESPONSES):
        answer = pair.ask(virtual, route)
        assert (answer.status_code, answer.json()["model"]) == (200, virtual)
        assert answer.headers["x-steelyard-provider"] == f"{pair.name}/p-a"
    assert sent(engine)["messages"][0]["content"] == "A"
    streamed = pair.ask(virtual, stream=True).text
    assert f'"{virtual}"' in streamed
    assert '"tiny"' not in streamed


def test_without_a_default_the_first_of_its_models_is_asked(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.virtual("chat", models=[{"model": "b"}, {"model": "a"}])
    pair.asks("chat")
    assert _shares(engine, other) == (0, 1)


def test_a_change_is_in_force_when_it_is_answered(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.virtual("chat", default_model_entity="a")
    pair.asks("chat")
    for number in range(10):
        wanted = "ab"[number % 2]
        answer = pair.http.patch(f"{pair.virtual_models}/chat", json={"default_model_entity": wanted})
        assert answer.status_code == 200
        assert pair.ask("chat").headers["x-steelyard-provider"] == f"{pair.name}/p-{wanted}"
    assert pair.http.delete(f"{pair.virtual_models}/chat").status_code == 204
    assert pair.ask("chat").status_code == 404


def test_a_virtual_model_goes_before_a_model_of_the_same_name(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.model("chat", api_endpoint={"url": engine.url, "model_id": "tiny"}, prompt={"system_prompt": "plain"})
    pair.asks("chat")
    assert sent(engine)["messages"][0]["content"] == "plain"
    pair.virtual("chat", default_model_entity="b")
    pair.asks("chat")
    assert sent(other)["messages"][0]["content"] == "B"


def test_a_virtual_model_may_stand_for_the_model_of_its_own_name(pair: Space, engine: Upstream) -> None:
    pair.served("chat", engine, prompt={"system_prompt": "own"})
    pair.virtual("chat", default_model_entity="chat")
    pair.asks("chat")
    assert sent(engine)["messages"][0]["content"] == "own"


def test_it_stands_for_aliases_models_elsewhere_and_adapters(pair: Space, engine: Upstream, other: Upstream) -> None:
    far = Space(pair.http)
    pair.alias("b@prod", "b")
    put(pair.http, pair.name, "weights", llama())
    put(pair.http, pair.name, "lora", lora())
    pair.model("base", fileset="weights")
    made(pair.http, f"{pair.models}/base/adapters", name="fine", fileset="lora", finetuning_type="lora")
    adapter = f"{pair.name}/base&adapters/{pair.name}/fine"
    pair.provider("tuned", engine, f"{adapter}=tiny-fine")
    for number, (name, called) in enumerate([(f"{pair.name}/b@prod", "tiny"), (adapter, "tiny-fine")]):
        far.virtual(f"chat{number}", default_model_entity=name)
        assert far.asks(f"chat{number}")["model"] == f"{far.name}/chat{number}"
        assert sent(other if number == 0 else engine)["model"] == called


def test_a_virtual_model_is_asked_at_all_three_proxies(pair: Space) -> None:
    virtual = pair.virtual("chat", default_model_entity="a")
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}]}
    for path in ("openai/-/v1/chat/completions", "model/chat/-/v1/chat/completions"):
        assert pair.http.post(f"{pair.gate}/{path}", json=body).json()["model"] == virtual
    assert pair.ask(virtual).json()["model"] == virtual


# Shares.


def test_weights_are_shares_and_a_model_without_one_has_none(pair: Space, engine: Upstream, other: Upstream) -> None:
    models = [{"model": "a", "weight": 3}, {"model": "b", "weight": 1}, {"model": "nobody", "weight": 0}]
    pair.virtual("chat", models=models, default_model_entity="b")
    for _ in range(200):
        pair.asks("chat")
    first, second = _shares(engine, other)
    assert (first + second, 120 < first < 180) == (200, True)


@pytest.mark.parametrize("route", [CHAT, MESSAGES])
def test_the_requests_of_a_user_stay_at_one_model(pair: Space, engine: Upstream, other: Upstream, route: str) -> None:
    models = [{"model": "a", "weight": 1}, {"model": "b", "weight": 1}]
    pair.virtual("chat", models=models, sticky={"by": "user"})
    places = {}
    for user in range(40):
        said = {"user": f"u{user}"} if route == CHAT else {"metadata": {"user_id": f"u{user}"}}
        found = {pair.ask("chat", route, **said).headers["x-steelyard-provider"] for _ in range(4)}
        assert len(found) == 1
        places[user] = found.pop()
    assert 8 < Counter(places.values())[f"{pair.name}/p-a"] < 32
    without = {pair.ask("chat", route).headers["x-steelyard-provider"] for _ in range(30)}
    assert len(without) == 2, "who does not say who it is goes anywhere"


def test_the_requests_with_one_header_stay_at_one_model(pair: Space) -> None:
    models = [{"model": "a", "weight": 1}, {"model": "b", "weight": 1}]
    pair.virtual("chat", models=models, sticky={"by": "header", "header": "X-Session"})
    by_session = {}
    for session in range(30):
        headers = {"x-session": f"s{session}"}
        found = {pair.ask("chat", headers=headers, user="u").headers["x-steelyard-provider"] for _ in range(3)}
        assert len(found) == 1
        by_session[session] = found.pop()
    assert len(set(by_session.values())) == 2
    # A larger share takes callers over, and sends none of its own away.
    grown = [{"model": "a", "weight": 3}, {"model": "b", "weight": 1}]
    assert pair.http.patch(f"{pair.virtual_models}/chat", json={"models": grown}).status_code == 200
    for session, before in by_session.items():
        now = pair.ask("chat", headers={"x-session": f"s{session}"}).headers["x-steelyard-provider"]
        assert now == before or now == f"{pair.name}/p-a"


def test_the_header_that_decides_stays_here(pair: Space, engine: Upstream) -> None:
    pair.virtual("chat", models=[{"model": "a", "weight": 1}], sticky={"by": "header", "header": "X-Session"})
    pair.asks("chat", headers={"X-Session": "s"})
    assert last(engine).header("x-session") is None


# Other models.


FAILURES = [faults.failing(500), faults.failing(429), faults.failing(401), faults.RESET, faults.BAD_JSON, faults.HTML]


@pytest.mark.parametrize("fault", FAILURES, ids=str)
def test_what_fails_at_the_model_is_answered_by_the_next(
    pair: Space, engine: Upstream, other: Upstream, fault: Behaviour
) -> None:
    virtual = pair.virtual("chat", default_model_entity="a", fallbacks=["b"])
    engine.always = fault
    answer = pair.ask(virtual)
    assert (answer.status_code, answer.json()["model"]) == (200, virtual)
    assert answer.headers["x-steelyard-provider"] == f"{pair.name}/p-b"
    assert sent(other)["messages"][0]["content"] == "B", "with the prompt of the other"


def test_fallbacks_are_tried_in_their_order_and_the_first_failure_is_told(
    pair: Space, engine: Upstream, other: Upstream
) -> None:
    pair.virtual("chat", default_model_entity="b", fallbacks=["nobody", "a"])
    other.always = faults.failing(503, message="the first")
    engine.always = faults.failing(500, message="the second")
    answer = pair.ask("chat")
    assert answer.status_code == 503
    check_error(answer.json(), CHAT, ["the first"])
    assert _shares(engine, other) == (1, 1)


def test_a_request_that_is_at_fault_itself_goes_to_nobody_else(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.virtual("chat", default_model_entity="a", fallbacks=["b"])
    engine.always = faults.failing(400, message="bad request")
    assert pair.ask("chat").status_code == 400
    assert other.requests == []


def test_a_model_that_nobody_serves_falls_back(pair: Space, other: Upstream) -> None:
    pair.model("idle")
    pair.virtual("chat", default_model_entity="idle", fallbacks=["b"])
    pair.asks("chat")
    other.always = faults.failing(500)
    assert pair.ask("chat").status_code == 500, "that it was not served says less"


def test_a_missing_key_falls_back(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.model("keyless")
    pair.secret("key", "x")
    pair.provider("locked", engine, "keyless=tiny", api_key_secret_name="key")
    pair.virtual("chat", default_model_entity="keyless", fallbacks=["b"])
    pair.http.delete(f"{pair.secrets}/key")
    pair.asks("chat")
    assert _shares(engine, other) == (0, 1)


def test_a_stream_falls_back_until_its_first_token(pair: Space, engine: Upstream, other: Upstream) -> None:
    virtual = pair.virtual("chat", default_model_entity="a", fallbacks=["b"])
    engine.always = faults.cut_after(1)
    answer = pair.ask(virtual, stream=True)
    assert answer.headers["x-steelyard-provider"] == f"{pair.name}/p-b"
    assert answer.text.endswith("data: [DONE]\n\n")
    engine.always = faults.cut_after(3)
    broken = pair.ask(virtual, stream=True)
    assert broken.headers["x-steelyard-provider"] == f"{pair.name}/p-a"
    assert "[DONE]" not in broken.text
    assert len(other.requests) == 1


def test_records_that_are_gone_break_nothing_else(pair: Space, engine: Upstream, other: Upstream) -> None:
    """A delete of what is referenced succeeds, so what refers to it must live on."""
    pair.virtual("fallen", default_model_entity="a", fallbacks=["gone", "b"])
    pair.virtual("split", models=[{"model": "a", "weight": 1}, {"model": "gone", "weight": 1}])
    pair.virtual("lost", default_model_entity="gone", fallbacks=["b"])
    pair.virtual("empty", default_model_entity="gone")
    for _ in range(8):
        pair.asks("fallen")
        pair.asks("split")
        pair.asks("lost")
    assert _shares(engine, other) == (16, 8)
    answer = pair.ask("empty")
    assert answer.status_code == 404
    check_error(answer.json(), CHAT, ["gone"])
    pair.served("gone", other)
    pair.asks("empty")


def test_a_share_of_a_model_that_nobody_serves_goes_to_the_others(pair: Space, engine: Upstream) -> None:
    pair.model("idle")
    pair.virtual("split", models=[{"model": "idle", "weight": 9}, {"model": "a", "weight": 1}])
    for _ in range(10):
        pair.asks("split")
    assert len(engine.requests) == 10


# Dialects.


def test_a_virtual_model_may_say_in_which_dialect_a_model_is_asked(pair: Space, engine: Upstream) -> None:
    pair.virtual("chat", models=[{"model": "a", "backend_format": "ANTHROPIC_MESSAGES"}])
    for route in (CHAT, RESPONSES, MESSAGES):
        assert pair.asks("chat", route)["model"] == f"{pair.name}/chat"
        assert (last(engine).path, sent(engine)["system"]) == (MESSAGES, "A")
    pair.asks("a")
    assert last(engine).path == CHAT, "for itself, it is asked in its own"
    pair.patch("a", backend_format="ANTHROPIC_MESSAGES")
    pair.virtual("plain", models=[{"model": "a", "backend_format": "OPENAI_CHAT"}])
    pair.asks("plain")
    assert last(engine).path == CHAT


def test_a_default_is_asked_in_the_dialect_of_its_entry(pair: Space, engine: Upstream, other: Upstream) -> None:
    models = [{"model": "b"}, {"model": "a", "backend_format": "ANTHROPIC_MESSAGES"}]
    pair.virtual("chat", default_model_entity="a", models=models)
    pair.asks("chat")
    assert last(engine).path == MESSAGES
    fallen = [{"model": "b", "backend_format": "ANTHROPIC_MESSAGES"}]
    pair.virtual("fallen", default_model_entity="a", models=fallen, fallbacks=["b"])
    engine.always = faults.failing(500)
    pair.asks("fallen")
    assert (last(engine).path, last(other).path) == (CHAT, MESSAGES)


def test_an_endpoint_that_is_asked_in_another_dialect_gets_its_key_as_that_has_it(
    space: Space, engine: Upstream
) -> None:
    space.model("m", api_endpoint={"url": engine.url, "model_id": "tiny", "api_key": "the-key"})
    space.virtual("chat", models=[{"model": "m", "backend_format": "ANTHROPIC_MESSAGES"}])
    space.asks("chat")
    assert (last(engine).header("x-api-key"), last(engine).header("authorization")) == ("the-key", None)


def test_models_of_several_dialects_answer_in_that_of_the_client(
    pair: Space, engine: Upstream, other: Upstream
) -> None:
    pair.patch("b", backend_format="ANTHROPIC_MESSAGES")
    pair.virtual("chat", default_model_entity="a", fallbacks=["b"])
    engine.always = faults.failing(500)
    answer = pair.asks("chat")
    assert (answer["object"], last(other).path) == ("chat.completion", MESSAGES)
    streamed = pair.ask("chat", MESSAGES, stream=True)
    assert "message_stop" in streamed.text


# Limits of a virtual model's workspace.


def test_a_limit_of_a_model_sends_its_requests_to_the_next(pair: Space, engine: Upstream, other: Upstream) -> None:
    pair.limit("few", model="a", requests_per_minute=2)
    pair.virtual("chat", default_model_entity="a", fallbacks=["b"])
    for _ in range(5):
        pair.asks("chat")
    assert _shares(engine, other) == (2, 3)
    refused = pair.ask("a")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1


def test_what_a_virtual_model_names_is_said_once_it_is_asked(space: Space) -> None:
    made(space.http, virtual_models(space.name), name="empty")
    answer = space.ask("empty")
    assert answer.status_code == 404
    check_error(answer.json(), CHAT, ["names no model"])
