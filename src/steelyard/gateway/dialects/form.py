"""The neutral form between the dialects: what every reader makes and every writer takes.

A request is a `Request`; its turns hold parts, which are plain dicts with a `kind` and `at`, their place in the
client's body, for the case that a writer has to refuse them:

    text       text
    image      url | media_type, data (base64); detail
    file       url | media_type, data (base64) | text; name
    call       id, name, arguments (JSON text)
    result     id, parts (text, image, file), error (bool)
    reasoning  text, signature | data (sealed; nobody but its maker can read it)
    refusal    text

An answer is an `Answer` with the same parts. A stream is the calls that a reader makes on a `StreamWriter`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from steelyard.errors import Fault, InvalidInput
from steelyard.gateway.meter import Usage

Json = dict[str, Any]
At = tuple[str | int, ...]
Stop = Literal["stop", "length", "calls", "refused", "sequence"]

CHAT = "openai.chat"
RESPONSES = "openai.responses"
MESSAGES = "anthropic.messages"
COMPLETIONS = "openai.completions"


class Turn:
    """What one side said: `role` is system, user or assistant."""

    __slots__ = ("at", "parts", "role")

    def __init__(self, role: str, parts: list[Json], at: At) -> None:
        self.role = role
        self.parts = parts
        self.at = at


class Request:
    """A request that no dialect owns. `options` are named as in chat, or by `form` where chat has no such thing.

    `names` says what the client calls an option, where that is not the option's own name.
    """

    __slots__ = ("choice", "format", "model", "names", "options", "parallel", "stream", "tools", "turns")

    def __init__(self, model: Any, names: Mapping[str, At]) -> None:
        self.model = model
        self.names = names
        self.turns: list[Turn] = []
        self.options: Json = {}
        # Each {name, description, parameters, strict}; the choice is auto, none, required or ("tool", name).
        self.tools: list[Json] = []
        self.choice: str | tuple[str, str] | None = None
        self.parallel: bool | None = None
        # {schema, name, description, strict}; without a schema any JSON object is wanted.
        self.format: Json | None = None
        self.stream = False

    def at(self, option: str) -> At:
        """Where the client's body has an option."""
        return self.names.get(option) or ("body", option)


class Answer:
    """A whole answer of an upstream."""

    __slots__ = ("created", "id", "parts", "sequence", "stop", "usage")

    def __init__(
        self, id: str, created: int | None, parts: list[Json], stop: Stop, sequence: str | None, usage: Usage | None
    ) -> None:
        self.id = id
        self.created = created
        self.parts = parts
        self.stop = stop
        self.sequence = sequence
        self.usage = usage


class StreamWriter(Protocol):
    """Writes a stream in the client's dialect; each call appends to `out` what the client is sent."""

    out: list[bytes]

    def start(self, id: str, usage: Usage | None) -> None:
        """The answer begins; `usage` is what is known of it so far."""

    def text(self, text: str) -> None:
        """More text of the answer."""

    def refusal(self, text: str) -> None:
        """More text that says why the model does not answer."""

    def reasoning(self, text: str) -> None:
        """More of the model's thoughts."""

    def signature(self, signature: str) -> None:
        """The seal of the thoughts that were just written."""

    def sealed(self, data: str) -> None:
        """Thoughts that only their maker can read."""

    def call(self, id: str, name: str) -> None:
        """The model begins to call a tool."""

    def arguments(self, text: str) -> None:
        """More of the arguments of the call that was begun last."""

    def pause(self) -> None:
        """What was written last is whole; the next thoughts are others."""

    def finish(self, stop: Stop, sequence: str | None, usage: Usage | None) -> None:
        """The answer is complete."""

    def error(self, status: int, message: str, code: str) -> bytes:
        """The event that ends the stream when it cannot be completed."""


def refuse(at: Sequence[str | int], message: str, type: str = "untranslatable") -> InvalidInput:
    """The error that says which field cannot be carried over, and what to do about it."""
    # It may name a value of the client's, which may be long.
    return InvalidInput([Fault(tuple(at), type, message[:300])])


def wrong(at: Sequence[str | int], expected: str) -> InvalidInput:
    """The error for a value that is none of its field."""
    return refuse(at, f"must be {expected}", "wrong_type")


def only_known(value: Json, known: frozenset[str], at: Sequence[str | int]) -> None:
    """Raises InvalidInput naming each field that is not `known`; nothing is dropped in silence."""
    if value.keys() <= known:
        return
    faults = [
        Fault((*at, name), "unknown_field", "is not known here, so it cannot be translated; leave it out")
        for name in sorted(value.keys() - known, key=str)
        if value[name] is not None
    ]
    if faults:
        raise InvalidInput(faults)


def given(value: Json) -> Json:
    """The fields that say something: null is what OpenAI's clients send for "not given"."""
    return {name: said for name, said in value.items() if said is not None}


def a_dict(value: Any, at: Sequence[str | int]) -> Json:
    """The value, which must be an object. Raises InvalidInput."""
    if not isinstance(value, dict):
        raise wrong(at, "an object")
    return value


def a_list(value: Any, at: Sequence[str | int]) -> list[Any]:
    """The value, which must be a list. Raises InvalidInput."""
    if not isinstance(value, list):
        raise wrong(at, "a list")
    return value


def a_text(value: Any, at: Sequence[str | int]) -> str:
    """The value, which must be a string. Raises InvalidInput."""
    if not isinstance(value, str):
        raise wrong(at, "a string")
    return value


def a_flag(value: Any, at: Sequence[str | int]) -> bool:
    """The value, which must be true or false. Raises InvalidInput."""
    if not isinstance(value, bool):
        raise wrong(at, "true or false")
    return value


def a_number(value: Any, at: Sequence[str | int]) -> int | float:
    """The value, which must be a number. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong(at, "a number")
    return value


def a_count(value: Any, at: Sequence[str | int]) -> int:
    """The value, which must be a whole number from 1. Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise wrong(at, "a whole number from 1")
    return value
