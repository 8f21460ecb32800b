"""Answers what is no HTTP request in the shape of all other errors."""

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class JsonErrorsProtocol(HttpToolsProtocol):
    """The server's HTTP protocol, whose refusal of a request that cannot be parsed is JSON too."""

    def send_400_response(self, msg: str) -> None:
        """Refuses what cannot be parsed, and ends the connection, whose state nobody knows any more."""
        body = orjson.dumps({"detail": msg, "code": "bad_request"})
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        head += b"content-length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)
        self.transport.close()
