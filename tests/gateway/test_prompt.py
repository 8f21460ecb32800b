"""The prompt of a model's record in a request, in the words of each dialect."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.gateway.dialects import translate_request
from steelyard.gateway.prompt import Prompt, prompt_of, system_text
from tests.gateway.asked import call, candidate

HI = [{"role": "user", "content": "hi"}]
CHAT, RESPONSES, MESSAGES, TEXT = "openai.chat", "openai.responses", "anthropic.messages", "openai.completions"


def applied(prompt: dict[str, Any], body: dict[str, Any], dialect: str = CHAT) -> dict[str, Any]:
    """The body with the prompt; the one that was given must not change, for it may be tried again elsewhere."""
    before, made = deepcopy(body), Prompt(prompt)
    introduced = made.introduce(body, dialect)
    tuned = made.tune(introduced, body, dialect)
    assert body == before
    return tuned


# What is said before the caller's messages.


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ({"system_prompt": "S"}, "S"),
        ({"icl_few_shot_examples": "E"}, "E"),
        ({"system_prompt": "S", "icl_few_shot_examples": "E"}, "S\n\nE"),
        ({"system_prompt_template": "T"}, "T"),
        ({"system_prompt": "S", "system_prompt_template": "T {{ system_prompt }}!"}, "T S!"),
        ({"system_prompt": "S", "system_prompt_template": "{{system_prompt}}{{  system_prompt  }}"}, "SS"),
        ({"system_prompt": "S", "system_prompt_template": "T"}, "S\n\nT"),
        ({"icl_few_shot_examples": "E", "system_prompt_template": "T"}, "T\n\nE"),
        ({"icl_few_shot_examples": "E", "system_prompt_template": "T {{ icl_few_shot_examples }}"}, "T E"),
        (
            {
                "system_prompt": "S",
                "icl_few_shot_examples": "E",
                "system_prompt_template": "{{ icl_few_shot_examples }}, {{ system_prompt }}",
            },
            "E, S",
        ),
        ({"system_prompt_template": "a {{ system_prompt }} b"}, "a  b"),
        ({}, ""),
        ({"system_prompt": "", "icl_few_shot_examples": None, "system_prompt_template": ""}, ""),
    ],
)
def test_a_template_takes_two_texts_and_what_it_does_not_take_stands_around_it(
    prompt: dict[str, Any], text: str
) -> None:
    assert system_text(prompt) == text


@pytest.mark.parametrize(
    "template",
    [
        *("{{ 7 * 7 }}", "{{ system_prompt.__class__ }}", "{{ system_prompt | upper }}", "{% if 1 %}x{% endif %}"),
        *("{{ other }}", "{{ {{ x }} }}", "{system_prompt}", "${system_prompt}", "%(system_prompt)s", "\\1 \\g<0>"),
        *("{# system_prompt #}", "{{ SYSTEM_PROMPT }}", "{{ system_prompt", "{{ icl_few_shot_examples() }}"),
    ],
)
def test_nothing_else_in_a_template_means_anything(template: str) -> None:
    assert system_text({"system_prompt_template": template}) == template


def test_a_text_that_is_filled_in_is_not_read_as_a_template() -> None:
    prompt = {
        "system_prompt": "{{ icl_few_shot_examples }} \\1 {{ 7*7 }}",
        "icl_few_shot_examples": "{{ system_prompt }}",
        "system_prompt_template": "<{{ system_prompt }}|{{ icl_few_shot_examples }}>",
    }
    assert system_text(prompt) == "<{{ icl_few_shot_examples }} \\1 {{ 7*7 }}|{{ system_prompt }}>"


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_texts_stand_as_they_are(system: str, examples: str) -> None:
    template = "A{{ system_prompt }}B{{ icl_few_shot_examples }}C"
    prompt = {"system_prompt": system, "icl_few_shot_examples": examples, "system_prompt_template": template}
    assert system_text(prompt) == f"A{system}B{examples}C"


# Where it stands, with what the caller says there.


def test_chat_begins_with_a_system_message() -> None:
    assert applied({"system_prompt": "S"}, {"messages": HI})["messages"] == [{"role": "system", "content": "S"}, *HI]
    assert applied({"system_prompt": "S"}, {"messages": []})["messages"] == [{"role": "system", "content": "S"}]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_callers_own_system_message_comes_after_in_the_same_message(role: str) -> None:
    own = {"role": role, "content": "own", "name": "n"}
    made = applied({"system_prompt": "S"}, {"messages": [own, *HI]})
    assert made["messages"] == [{"role": role, "content": "S\n\nown", "name": "n"}, *HI]
    parts = {"role": role, "content": [{"type": "text", "text": "own"}]}
    made = applied({"system_prompt": "S"}, {"messages": [parts, *HI]})
    assert made["messages"][0]["content"] == [{"type": "text", "text": "S"}, {"type": "text", "text": "own"}]
    empty = {"role": role, "content": ""}
    assert applied({"system_prompt": "S"}, {"messages": [empty]})["messages"] == [{"role": role, "content": "S"}]


def test_a_system_message_further_on_stays_where_it_is() -> None:
    messages = [*HI, {"role": "system", "content": "own"}]
    made = applied({"system_prompt": "S"}, {"messages": messages})
    assert made["messages"] == [{"role": "system", "content": "S"}, *messages]


def test_messages_have_it_in_system() -> None:
    body = {"messages": HI, "max_tokens": 5}
    assert applied({"system_prompt": "S"}, body, MESSAGES) == {**body, "system": "S"}
    assert applied({"system_prompt": "S"}, {**body, "system": "own"}, MESSAGES)["system"] == "S\n\nown"
    blocks = [{"type": "text", "text": "own", "cache_control": {"type": "ephemeral"}}]
    made = applied({"system_prompt": "S"}, {**body, "system": blocks}, MESSAGES)
    assert made["system"] == [{"type": "text", "text": "S"}, *blocks]


def test_responses_have_it_in_instructions() -> None:
    assert applied({"system_prompt": "S"}, {"input": "hi"}, RESPONSES) == {"input": "hi", "instructions": "S"}
    own = applied({"system_prompt": "S"}, {"input": "hi", "instructions": "own"}, RESPONSES)
    assert own["instructions"] == "S\n\nown"


def test_completions_begin_with_it() -> None:
    assert applied({"system_prompt": "S"}, {"prompt": "Once"}, TEXT) == {"prompt": "S\n\nOnce"}
    assert applied({"system_prompt": "S"}, {"prompt": ["a", "b"]}, TEXT) == {"prompt": ["S\n\na", "S\n\nb"]}
    assert applied({"system_prompt": "S"}, {"prompt": [1, 2]}, TEXT) == {"prompt": [1, 2]}, "tokens have no words"


@pytest.mark.parametrize("dialect", ["openai.embeddings", "other"])
def test_what_asks_for_no_text_has_no_prompt(dialect: str) -> None:
    prompt = {"system_prompt": "S", "inference_params": {"temperature": 1}, "inference_params_as": "overrides"}
    for body in ({"input": "x"}, {"messages": HI, "system": "own"}):
        assert applied(prompt, body, dialect) == body


@pytest.mark.parametrize("messages", [None, "hi", {"role": "user"}, 5, [5], ["x"], [None]])
def test_what_is_no_conversation_is_left_for_the_upstream_to_refuse(messages: Any) -> None:
    made = applied({"system_prompt": "S"}, {"messages": messages})
    if isinstance(messages, list):
        assert made["messages"] == [{"role": "system", "content": "S"}, *messages]
    else:
        assert made == {"messages": messages}


# Parameters.


def test_defaults_are_for_what_the_caller_leaves_open() -> None:
    given = {"temperature": 0.5, "top_p": 0.9, "stop": ["x"], "seed": 7}
    for kind in (None, "defaults"):
        prompt = {"inference_params": given, "inference_params_as": kind}
        made = applied(prompt, {"messages": HI, "temperature": 0, "top_p": None})
        assert made == {"messages": HI, "temperature": 0, "top_p": 0.9, "stop": ["x"], "seed": 7}


def test_overrides_hold_whatever_the_caller_says() -> None:
    prompt = {"inference_params": {"temperature": 0.5, "seed": 7}, "inference_params_as": "overrides"}
    made = applied(prompt, {"messages": HI, "temperature": 0, "top_p": 0.1})
    assert made == {"messages": HI, "temperature": 0.5, "seed": 7, "top_p": 0.1}


def test_a_null_in_the_record_says_nothing_and_a_model_is_none_of_its_business() -> None:
    prompt = {"inference_params": {"temperature": None, "model": "other"}, "inference_params_as": "overrides"}
    assert prompt_of(prompt) is None
    made = applied({**prompt, "system_prompt": "S"}, {"messages": HI, "model": "m", "temperature": 1})
    assert (made["model"], made["temperature"]) == ("m", 1)


@pytest.mark.parametrize("ours", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("theirs", ["max_tokens", "max_completion_tokens"])
def test_the_two_names_of_a_bound_are_one_thing(ours: str, theirs: str) -> None:
    body = {"messages": HI, theirs: 10}
    assert applied({"inference_params": {ours: 99}}, body) == body
    over = applied({"inference_params": {ours: 99}, "inference_params_as": "overrides"}, body)
    assert over == {"messages": HI, ours: 99}


@pytest.mark.parametrize("ours", ["max_tokens", "max_completion_tokens"])
def test_each_dialect_calls_the_parameters_by_its_own_names(ours: str) -> None:
    prompt = {"inference_params": {ours: 99, "stop": ["x"], "temperature": 0.5}}
    made = applied(prompt, {"messages": HI}, MESSAGES)
    assert made == {"messages": HI, "max_tokens": 99, "stop_sequences": ["x"], "temperature": 0.5}
    assert applied(prompt, {"prompt": "x"}, TEXT)["max_tokens"] == 99
    over = {**prompt, "inference_params_as": "overrides"}
    assert applied(over, {"messages": HI, "max_tokens": 5, "stop_sequences": ["y"]}, MESSAGES) == {
        **{"messages": HI, "max_tokens": 99, "stop_sequences": ["x"], "temperature": 0.5}
    }


# What a client says in its own dialect, by the parameter that it stands for.
_SAID: list[tuple[str, str, dict[str, Any], str]] = [
    (RESPONSES, CHAT, {"max_output_tokens": 5}, "max_tokens"),
    (RESPONSES, MESSAGES, {"max_output_tokens": 5}, "max_tokens"),
    (MESSAGES, CHAT, {"max_tokens": 5}, "max_tokens"),
    (MESSAGES, CHAT, {"stop_sequences": ["y"]}, "stop"),
    (CHAT, MESSAGES, {"stop": ["y"]}, "stop_sequences"),
    (CHAT, MESSAGES, {"max_completion_tokens": 5}, "max_tokens"),
]


@pytest.mark.parametrize(("client", "upstream", "said", "name"), _SAID)
def test_what_a_client_has_said_is_known_after_the_translation_too(
    client: str, upstream: str, said: dict[str, Any], name: str
) -> None:
    given = {"max_tokens": 99, "stop": ["x"]}
    bodies: dict[str, dict[str, Any]] = {RESPONSES: {"input": "hi"}, MESSAGES: {"messages": HI, "max_tokens": 1}}
    asked = {**bodies.get(client, {"messages": HI}), **said}
    translated = translate_request({"model": "m", **asked}, client, upstream)
    assert Prompt({"inference_params": given}).tune(translated, asked, upstream)[name] == next(iter(said.values()))
    over = Prompt({"inference_params": given, "inference_params_as": "overrides"})
    assert over.tune(translated, asked, upstream)[name] == given["stop" if name.startswith("stop") else "max_tokens"]


def test_a_bound_that_the_translation_has_made_up_is_not_the_clients() -> None:
    asked = {"messages": HI}
    translated = translate_request({"model": "m", **asked}, CHAT, MESSAGES)
    assert translated["max_tokens"] != 99
    assert Prompt({"inference_params": {"max_tokens": 99}}).tune(translated, asked, MESSAGES)["max_tokens"] == 99


@pytest.mark.parametrize("client", [CHAT, RESPONSES, MESSAGES])
@pytest.mark.parametrize("kind", ["defaults", "overrides"])
def test_a_parameter_that_the_clients_dialect_does_not_know_refuses_nobody(client: str, kind: str) -> None:
    """`seed` is none of Anthropic's, `stop` none of the responses API's: they are the record's, for its engine."""
    given = {"seed": 7, "stop": ["x"], "min_p": 0.1, "max_tokens": 9}
    model = candidate(prompt={"inference_params": given, "inference_params_as": kind})
    bodies: dict[str, dict[str, Any]] = {RESPONSES: {"input": "hi"}, MESSAGES: {"messages": HI, "max_tokens": 9}}
    body = bodies.get(client, {"messages": HI})
    sent = call({"model": "m", **body}, client).body_for(model, "m")
    assert {name: sent[name] for name in given} == given


def test_a_record_decides_neither_what_is_asked_nor_how_it_is_answered() -> None:
    given = {"stream": True, "stream_options": {}, "messages": [], "input": "x", "prompt": "x", "model": "x", "n": 2}
    made = applied({"inference_params": given, "inference_params_as": "overrides"}, {"messages": HI, "model": "m"})
    assert made == {"messages": HI, "model": "m", "n": 2}


def test_a_prompt_that_says_nothing_is_none() -> None:
    empties: list[Any] = [
        None,
        {},
        {"system_prompt": ""},
        {"inference_params": {}},
        {"inference_params_as": "overrides"},
    ]
    for empty in empties:
        assert prompt_of(empty) is None
    assert prompt_of({"system_prompt": "S"}) is not None
    assert prompt_of({"inference_params": {"seed": 0}}) is not None
