"""The limit for reads: the least that an ASGI application on the same server can do to answer a model.

Run as `uvicorn --factory bench.limit_asgi:make_app`. No routing, no lookup, no encoding: the body is ready.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson

from bench.records import answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


def make_app() -> App:
    """An application that answers every request with the same model."""
    body = orjson.dumps(answer(1))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    end = {"type": "http.response.body", "body": body}

    async def app(_scope: Message, _receive: Receive, send: Send) -> None:
        await send(start)
        await send(end)

    return app
