"""The server's end of HTTP, whose refusals have the shape of all other errors."""

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class SteelyardProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, whose refusal of a request that cannot be parsed is JSON too."""

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, and ends the connection, whose state nobody knows any more."""
        body = orjson.dumps({"detail": msg, "code": "bad_request"})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        self.transport.close()
