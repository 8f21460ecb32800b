"""An upstream in memory behind our translation: what a client is answered, and what the upstream was asked."""

from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson

from steelyard.errors import InvalidInput
from steelyard.gateway import dialects
from steelyard.gateway.dialects import CHAT, MESSAGES
from tests.gateway.dialects.samples import chat_stream, message_stream

Json = dict[str, Any]


@dataclass
class Upstream:
    """Answers each request of a client's dialect with one answer of an upstream's dialect."""

    client: str
    upstream: str
    answer: Json
    # After so many events the upstream's stream ends with an error.
    breaks_after: int | None = None
    asked: list[Json] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._handle)

    def _handle(self, request: httpx2.Request) -> httpx2.Response:
        body = orjson.loads(request.content)
        try:
            asked = dialects.translate_request(body, self.client, self.upstream)
        except InvalidInput as error:
            return httpx2.Response(422, json=dialects.error_body(self.client, 422, error.message, error.code))
        self.asked.append(asked)
        if not body.get("stream"):
            made = dialects.translate_response(self.answer, self.upstream, self.client, model="shown", request=body)
            self.sent.append(orjson.dumps(made))
            return httpx2.Response(200, content=self.sent[-1], headers={"content-type": "application/json"})
        self.sent.append(self._stream(body))
        return httpx2.Response(200, content=self.sent[-1], headers={"content-type": "text/event-stream"})

    def _stream(self, body: Json) -> bytes:
        translation = dialects.StreamTranslation(
            self.upstream,
            self.client,
            model="shown",
            include_usage=dialects.uses_stream_usage(body, self.client),
            request=body,
        )
        events = chat_stream(self.answer) if self.upstream == CHAT else message_stream(self.answer)
        if self.breaks_after is not None:
            sent = [translation.feed(event) for event in events[: self.breaks_after]]
            return b"".join([*sent, translation.error(502, "the upstream went away", "upstream_cut")])
        made = b"".join([*map(translation.feed, events), translation.end()])
        assert translation.complete
        return made


def of(client: str, upstream: str, answer: Json, **more: Any) -> Upstream:
    """An upstream that answers `answer`."""
    assert upstream in (CHAT, MESSAGES)
    return Upstream(client, upstream, answer, **more)
