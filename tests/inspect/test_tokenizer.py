"""The chat template, where transformers would take it from, and the sampling that the model asks for."""

import json

import pytest

from steelyard.inspect.checkpoint import Inspection, inspect_checkpoint
from tests.inspect.checkpoints import LLAMA, Files


def _inspected(**files: object) -> Inspection:
    named = {name.replace("__", "."): content for name, content in files.items()}
    return inspect_checkpoint(Files({"config.json": LLAMA, **named}))


@pytest.mark.parametrize(
    ("files", "template", "source"),
    [
        ({"tokenizer_config__json": {"chat_template": "A"}}, "A", "tokenizer_config.json: chat_template"),
        (
            {
                "tokenizer_config__json": {
                    "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]
                }
            },
            "D",
            "tokenizer_config.json: chat_template (default)",
        ),
        ({"chat_template__json": {"chat_template": "B"}}, "B", "chat_template.json: chat_template"),
        (
            {"chat_template__jinja": "C", "tokenizer_config__json": {"chat_template": "A"}},
            "C",
            "chat_template.jinja",
        ),
    ],
)
def test_the_template_is_taken_from_the_first_place_that_has_one(
    files: dict[str, object], template: str, source: str
) -> None:
    inspection = _inspected(**files)

    assert inspection.spec is not None
    assert inspection.spec["chat_template"] == template
    assert inspection.spec["is_chat"] is True
    assert inspection.sources["chat_template"] == source


def test_a_tokenizer_without_a_template_is_no_chat_and_no_tokenizer_tells_nothing() -> None:
    plain, nothing = _inspected(tokenizer_config__json={}), _inspected()

    assert plain.spec is not None
    assert nothing.spec is not None
    assert plain.spec["is_chat"] is False
    assert nothing.spec["is_chat"] is None
    assert "is_chat" in nothing.missing


def test_a_template_that_takes_tools_leaves_their_parser_open() -> None:
    inspection = _inspected(chat_template__jinja="{% if tools %}{{ tools | tojson }}{% endif %}")

    assert inspection.chat.takes_tools
    assert "parser" in inspection.missing["tool_call_config"]


@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({"tokenizer_config__json": {"chat_template": 7}}, "tokenizer_config.json"),
        ({"tokenizer_config__json": {"chat_template": "a\0"}}, "tokenizer_config.json"),
        ({"tokenizer_config__json": '{"chat_template":"\\ud800"}'}, "tokenizer_config.json"),
        ({"chat_template__jinja": b"\xff"}, "chat_template.jinja"),
        ({"chat_template__jinja": "x" * (600 << 10)}, "chat_template.jinja"),
    ],
)
def test_a_template_that_cannot_be_kept_is_a_fault(files: dict[str, object], path: str) -> None:
    inspection = _inspected(**files)

    assert [fault.path for fault in inspection.faults] == [path]
    assert inspection.chat.template is None


def test_a_limit_that_tokenizers_write_for_none_is_taken() -> None:
    config = json.dumps({"model_max_length": 1000000000000000019884624838656, "chat_template": "A"})

    assert _inspected(tokenizer_config__json=config).faults == ()


def test_sampling_is_read_and_what_is_no_number_left_out() -> None:
    generation = (
        '{"temperature": 0.6, "top_p": NaN, "do_sample": true, "eos_token_id": [1, 2], "top_k": "x", "other": 1}'
    )

    found = _inspected(generation_config__json=generation).chat.generation

    assert found == {"temperature": 0.6, "do_sample": True, "eos_token_id": (1, 2)}
