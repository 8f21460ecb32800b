"""What a workspace lets be written down of its requests and answers, for those workspaces alone that ask for it.

Bodies are read, so that what is taken out is found whatever escapes spell it, and a stream is put together, so that it
is found where it came in pieces. What cannot be read is taken as text.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from steelyard.gateway import sse
from steelyard.gateway.redaction import CATEGORIES, Redactor

DEFAULT_MAX_BYTES = 65_536
_READ_TIMES, _READ_MOST = 16, 4_194_304
"""How much of a body is read, compared with what is kept: a stream says little in many bytes."""
_AT_ONCE = 4096
_DEPTH = 64
# The fields of a stream's events that are pieces of something longer.
_PIECES = frozenset(
    {
        *("content", "text", "delta", "arguments", "partial_json", "refusal", "transcript"),
        *("reasoning", "reasoning_content", "thinking"),
    }
)
# Those that are said once, and are worth knowing.
_ONCE = frozenset({"name", "finish_reason", "stop_reason", "model", "role", "code", "message"})
_LEFT_OUT = frozenset({"logprobs", "top_logprobs"})
"""What says the text once more, in pieces."""
_LAST = (b"[DONE]", b"message_stop", b"response.completed")
_INDEXES = ("output_index", "content_index", "index")


class Recorder:
    """Makes lines for the log out of requests and answers, without what the workspace wants taken out."""

    def __init__(self, redact: frozenset[str], max_bytes: int) -> None:
        self.max_bytes = max_bytes
        """How much is kept of a request, and of an answer."""
        self.tape_bytes = min(_READ_TIMES * max_bytes, _READ_MOST)
        """How much of an answer is worth listening to."""
        self._redactor = Redactor(redact)

    def line(self, request_id: str, workspace: str, model: str, request_body: bytes, answer: bytes) -> dict[str, Any]:
        """The line of one request, for `AccessLog.append`. `answer` is what the client was sent, a stream as it was,
        `tape_bytes` of it at most.

        It takes some milliseconds for long bodies, and touches nothing: it may run in a thread.
        """
        request, request_cut = self._told(request_body)
        answered, answer_cut = self._told(answer)
        cut = [name for name, was in (("request", request_cut), ("answer", answer_cut)) if was]
        return {
            "event": "inference",
            "request_id": request_id,
            "workspace": workspace,
            "model": model,
            "request": request,
            "answer": answered,
            **({"cut": cut} if cut else {}),
        }

    def _told(self, body: bytes) -> tuple[Any, bool]:
        data, cut = body[: self.tape_bytes], len(body) >= self.tape_bytes
        page = _Page(self._redactor, self.max_bytes)
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            if _is_stream(data):
                # One that broke off ends anywhere, too.
                cut = cut or not any(last in data[-4096:] for last in _LAST)
                texts = _put_together(data).items()
                told: Any = {place: page.text(text, cut=cut) for place, text in texts if page.left > 0}
            else:
                text = data.decode("utf-8", "replace").replace('\\"', '"').replace("\\n", "\n").replace("\\/", "/")
                # Not read, so it may end anywhere.
                told = page.text(text, cut=cut or data[:1] in {b"{", b"["})
        else:
            told = page.value(value, 0)
        return told, cut or page.cut


class _Page:
    """Room for so many bytes of what is told."""

    def __init__(self, redactor: Redactor, room: int) -> None:
        self.left = room
        self.cut = False
        self._redactor = redactor

    def text(self, text: str, *, cut: bool = False) -> str:
        """The beginning of a text, as far as there is room."""
        if text.startswith("data:") and ";base64," in text[:100]:
            text = f"{text[: text.index(',') + 1]}… ({len(text)} characters)"  # a picture or a sound
        kept, shorter = self._redactor.beginning(text, max(self.left, 0), cut=cut)
        self.cut = self.cut or shorter
        size = len(kept) if kept.isascii() else len(kept.encode("utf-8", "replace"))
        if size > self.left:
            kept, self.cut = kept.encode("utf-8", "replace")[: max(self.left, 0)].decode("utf-8", "ignore"), True
        self.left -= size
        return kept

    def value(self, value: Any, depth: int) -> Any:
        """A value, without what there is no room for."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return dict(self._fields(value, depth))
        if isinstance(value, list):
            return list(self._items(value, depth))
        if isinstance(value, bool) or value is None:
            self.left -= 4
            return value
        written = str(value)
        self.left -= len(written)
        return "[card]" if self._redactor.is_card(written) else value

    def _fields(self, value: dict[str, Any], depth: int) -> Iterator[tuple[str, Any]]:
        for name, inner in value.items():
            if self._is_full(depth):
                return
            if name in _LEFT_OUT and not isinstance(inner, bool | int):
                continue
            key = self.text(name)
            if isinstance(inner, str) and self._redactor.names_a_secret(name):
                self.left -= 5
                yield key, "[key]"
            else:
                yield key, self.value(inner, depth + 1)

    def _items(self, value: list[Any], depth: int) -> Iterator[Any]:
        for inner in value:
            if self._is_full(depth):
                return
            self.left -= 1
            yield self.value(inner, depth + 1)

    def _is_full(self, depth: int) -> bool:
        full = self.left <= 0 or depth > _DEPTH
        self.cut = self.cut or full
        return full


def _is_stream(data: bytes) -> bool:
    return data.startswith((b"data:", b"event:", b":")) or b"\ndata:" in data[:4096]


def _put_together(data: bytes) -> dict[str, str]:
    """What the events of a stream said: the pieces of each text in a row, by where they stand in the events."""
    found: dict[str, list[str]] = {}
    for block in sse.blocks(data):
        _, said = sse.parse(block)
        if not said or not said.startswith(b"{"):
            continue
        try:
            event = orjson.loads(said)
        except orjson.JSONDecodeError:
            found.setdefault("unreadable", []).append(said.decode("utf-8", "replace"))
            continue
        kind = str(event.get("type") or "")
        if kind.startswith("response.") and not kind.endswith((".delta", ".failed", ".incomplete")):
            continue  # the whole once more, that was told in pieces
        place = ".".join([kind, *(str(event[name]) for name in _INDEXES if isinstance(event.get(name), int))])
        for path, text in _texts(event, place.strip("."), 0):
            pieces = found.setdefault(path, [])
            if path.rpartition(".")[2] in _PIECES or not pieces:
                pieces.append(text)
    return {path: "".join(pieces) for path, pieces in found.items()}


def _texts(value: Any, place: str, depth: int) -> Iterator[tuple[str, str]]:
    if depth > _DEPTH:
        return
    if isinstance(value, dict):
        for name, inner in value.items():
            path = f"{place}.{name}" if place else name
            if isinstance(inner, str):
                if inner and name in _PIECES | _ONCE:
                    yield path, inner
            else:
                yield from _texts(inner, path, depth + 1)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            index = inner.get("index") if isinstance(inner, dict) else None
            yield from _texts(inner, f"{place}.{index if isinstance(index, int) else number}", depth + 1)


class Recordings:
    """Where recordings are made and written. Long ones are made in a thread: nobody's answer waits for them."""

    def __init__(self, log: Callable[[Mapping[str, Any]], None]) -> None:
        self._log = log
        self._made: set[asyncio.Future[dict[str, Any]]] = set()

    def add(
        self, recorder: Recorder, request_id: str, workspace: str, model: str, request_body: bytes, answer: bytes
    ) -> None:
        """Records one request; see `Recorder.line`."""
        told = (request_id, workspace, model, request_body, answer)
        if len(request_body) + len(answer) <= _AT_ONCE:
            self._log(recorder.line(*told))
            return
        made = asyncio.get_running_loop().run_in_executor(None, recorder.line, *told)
        self._made.add(made)
        made.add_done_callback(self._write)

    async def close(self) -> None:
        """Waits for those that are being made."""
        await asyncio.gather(*self._made, return_exceptions=True)

    def _write(self, made: "asyncio.Future[dict[str, Any]]") -> None:
        self._made.discard(made)
        self._log(made.result())


def recorder_for(recording: Mapping[str, Any] | None) -> Recorder | None:
    """The recorder of a workspace by its `recording` field; None where it does not record."""
    if not recording or not recording.get("enabled"):
        return None
    redact, max_bytes = recording.get("redact"), recording.get("max_bytes")
    return Recorder(frozenset(CATEGORIES if redact is None else redact), max_bytes or DEFAULT_MAX_BYTES)
