"""A spec of two sources: what was read in the files, and what a user wrote."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from steelyard.records.spec import ModelSpec
from steelyard.records.specs import complete, overlaid, said_by_hand, with_tool_calling
from tests.api.paths import SPEC

READ: dict[str, Any] = {**dict.fromkeys(ModelSpec.model_fields), **SPEC}


def test_what_was_read_is_the_spec_where_nobody_wrote_one() -> None:
    merged = overlaid(READ, None, [])

    assert merged is not None
    assert {name: merged[name] for name in SPEC} == SPEC


def test_a_field_that_a_user_wrote_wins() -> None:
    hand = {**READ, "context_size": 77}

    by_hand = said_by_hand(hand, READ)

    assert by_hand == ["context_size"]
    merged = overlaid(READ, hand, by_hand)
    assert merged is not None
    assert merged["context_size"] == 77
    assert merged["hidden_size"] == READ["hidden_size"]


def test_what_a_user_left_out_is_what_was_read() -> None:
    hand = {**READ, "context_size": None}

    assert said_by_hand(hand, {**READ, "context_size": 4096}) == []


def test_a_spec_that_says_what_was_read_is_not_by_hand() -> None:
    assert said_by_hand(READ, READ) == []


def test_without_files_everything_is_by_hand_but_what_nobody_said() -> None:
    by_hand = said_by_hand({**READ, "is_embedding_model": False}, None)

    assert "hidden_size" in by_hand
    assert "is_embedding_model" not in by_hand
    assert "chat_template" not in by_hand


def test_an_incomplete_reading_is_no_spec_unless_a_user_completes_it() -> None:
    read = {**READ, "num_layers": None}

    assert not complete(read)
    assert overlaid(read, None, []) is None
    completed = overlaid(read, {**READ, "num_layers": 3}, ["num_layers"])
    assert completed is not None
    assert completed["num_layers"] == 3


def test_metadata_says_how_tools_are_called_and_a_plugin_only_where_policy_lets_it() -> None:
    said = {"tool_call_parser": "hermes", "tool_call_plugin": "p.py", "auto_tool_choice": True, "chat_template": "x"}

    without = with_tool_calling(READ, said, plugins=False)
    allowed = with_tool_calling(READ, said, plugins=True)

    assert without["chat_template"] == "x"
    assert without["tool_call_config"] == {
        "tool_call_parser": "hermes",
        "tool_call_plugin": None,
        "auto_tool_choice": True,
    }
    assert allowed["tool_call_config"]["tool_call_plugin"] == "p.py"


FIELDS = st.sampled_from(["context_size", "num_layers", "hidden_size", "vocab_size"])


@given(st.dictionaries(FIELDS, st.integers(0, 9)), st.dictionaries(FIELDS, st.integers(0, 9)))
def test_whatever_is_by_hand_survives_another_reading(hand: dict[str, int], again: dict[str, int]) -> None:
    written = {**READ, **hand}
    by_hand = said_by_hand(written, READ)

    merged = overlaid({**READ, **again}, written, by_hand)

    assert merged is not None
    for name in by_hand:
        assert merged[name] == written[name]
