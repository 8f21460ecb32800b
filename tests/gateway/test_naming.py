"""The model's name in answers: what the client calls it, in the one place where the upstream has put its own."""

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steelyard.gateway.naming import rename_answer, rename_event

NAME = "default/m"
# Texts that look like the place that is to be changed, among others.
_TRAPS = st.sampled_from(
    [
        *(
            '"model":"tiny"',
            '{"model": "tiny"}',
            '\\"model\\":\\"tiny\\"',
            '"',
            "\\",
            "model",
            "tiny",
            ',"model":"tiny"',
        ),
        *("data:", "\n\ndata: x", "{", "[", ":", "\u2028", '{"model":', "\\u0022"),
    ]
)
_TEXTS = st.one_of(_TRAPS, st.text(max_size=8))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=12,
)
_OBJECTS = st.dictionaries(_TEXTS, _VALUES, max_size=4)


@st.composite
def answers(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an upstream says that names its model somewhere, and the same with our name."""
    holder = draw(st.sampled_from([None, "message", "response"]))
    inner, outer = draw(_OBJECTS), draw(_OBJECTS)
    served = draw(st.one_of(st.just("tiny"), _TEXTS))

    def named(name: str) -> dict[str, Any]:
        if holder is None:
            return _mixed({**outer, "model": name})
        cleared = {key: value for key, value in outer.items() if key not in {"model", "message", "response"}}
        return _mixed({**cleared, holder: _mixed({**inner, "model": name})})

    order = draw(st.randoms(use_true_random=False)).random()

    def _mixed(said: dict[str, Any]) -> dict[str, Any]:
        keys = list(said)
        turn = int(order * len(keys))
        return {key: said[key] for key in keys[turn:] + keys[:turn]}

    return named(served), named(NAME)


def _written(said: Any, style: int) -> bytes:
    compact = json.dumps(said, separators=(",", ":"), ensure_ascii=bool(style & 1))
    spaced = json.dumps(said, ensure_ascii=bool(style & 1), indent=2 if style & 4 else None)
    return (spaced if style & 2 else compact).encode()


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(0, 7))
def test_an_answer_says_the_same_but_for_the_name(pair: tuple[Any, Any], style: int) -> None:
    said, expected = pair
    body = _written(said, style)
    renamed = rename_answer(body, orjson.loads(body), NAME)
    assert json.loads(renamed) == expected


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(0, 3), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_an_event_says_the_same_but_for_the_name(pair: tuple[Any, Any], style: int, end: bytes) -> None:
    said, expected = pair
    block = b"event: x" + end + b"data: " + _written(said, style) + end + b"id: 7" + end + end
    renamed, begins = rename_event(block, NAME)
    assert renamed.startswith(b"event: x" + end + b"data: ")
    assert renamed.endswith(end + b"id: 7" + end + end)
    data = renamed[len(b"event: x" + end + b"data: ") : -len(end + b"id: 7" + end + end)]
    assert json.loads(data) == expected
    assert begins is not None
    assert (block.startswith(begins[0]), renamed.startswith(begins[1])) == (True, True)
    assert begins[1] + block[len(begins[0]) :] == renamed


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(0, 3))
def test_only_the_name_is_touched(pair: tuple[Any, Any], style: int) -> None:
    """All other bytes are those that the upstream has sent: its spaces, its escapes, its numbers."""
    body = _written(pair[0], style)
    renamed = rename_answer(body, orjson.loads(body), NAME)
    new = orjson.dumps(NAME)
    cuts = [place for place in range(len(renamed)) if renamed[place:].startswith(new)]
    assert renamed == body or any(
        body.startswith(renamed[:cut]) and body.endswith(renamed[cut + len(new) :]) for cut in cuts
    )


def test_numbers_stay_as_they_are_written() -> None:
    body = b'{"id":"x", "model" : "tiny", "big":12345678901234567890.00, "e":1E5, "created":1.0}'
    assert rename_answer(body, orjson.loads(body), NAME) == body.replace(b'"tiny"', b'"default/m"')


@pytest.mark.parametrize(
    "text",
    ['"model":"tiny"', '{"model":"tiny"}', ',"model":"tiny"', '\\"model\\":\\"tiny\\"', 'x","model":"tiny","y":"'],
)
def test_a_text_that_the_model_has_written_is_not_changed(text: str) -> None:
    for said in (
        {"choices": [{"delta": {"content": text}}], "model": "tiny"},
        {"model": "tiny", "choices": [{"message": {"content": text}}]},
        {"id": text, "model": "tiny"},
        {"choices": [{"arguments": json.loads('{"model":"tiny"}')}], "model": "tiny"},
        {text: text, "model": "tiny"},
        {'x"model': text, "model": "tiny"},
    ):
        body = orjson.dumps(said)
        expected = {**said, "model": NAME}
        assert json.loads(rename_answer(body, orjson.loads(body), NAME)) == expected
        renamed, _ = rename_event(b"data: " + body + b"\n\n", NAME)
        assert json.loads(renamed.removeprefix(b"data:")) == expected


def test_a_comment_that_looks_like_the_data_is_kept() -> None:
    data = b' {"model":"tiny"}'
    block = b":" + data + b"\nid:" + data + b"\ndata:" + data + b"\n\n"
    expected = b":" + data + b"\nid:" + data + b'\ndata: {"model":"default/m"}\n\n'
    assert rename_event(block, NAME)[0] == expected


@pytest.mark.parametrize(
    "block",
    [
        *(b"data: [DONE]\n\n", b": ping\n\n", b"data: {\n\n", b"data:\n\n", b"\n\n", b'data: "model"\n\n'),
        *(b'data: {"model": null}\n\n', b'data: {"choices":[{"model":"tiny"}]}\n\n', b'event: {"model":"tiny"}\n\n'),
        b'data: [{"model":"tiny"}]\n\n',
    ],
)
def test_what_names_no_model_stays(block: bytes) -> None:
    assert rename_event(block, NAME) == (block, None)


def test_an_answer_that_names_no_model_or_ours_stays() -> None:
    for body in (b'{"a": 1}', b'{"model": 5}', b'{"data":[{"model":"tiny"}]}', b'{ "model" : "default/m" }'):
        assert rename_answer(body, orjson.loads(body), NAME) == body


def test_the_last_of_two_fields_of_one_name_counts() -> None:
    body = b'{"model":"a","x":1,"model":"tiny"}'
    assert json.loads(rename_answer(body, orjson.loads(body), NAME)) == {"model": NAME, "x": 1}


def test_a_field_that_is_spelled_with_escapes_is_found() -> None:
    body = b'{"\\u006dodel":"tiny","x":1}'
    assert json.loads(rename_answer(body, orjson.loads(body), NAME)) == {"model": NAME, "x": 1}
    renamed, _ = rename_event(b"data: " + body + b"\nid: 1\n\n", NAME)
    assert renamed == b'data:{"model":"default/m","x":1}\nid: 1\n\n'


def test_a_name_with_quotes_is_written_as_json() -> None:
    body = b'{"model":"tiny"}'
    assert json.loads(rename_answer(body, orjson.loads(body), 'a"\\b')) == {"model": 'a"\\b'}
