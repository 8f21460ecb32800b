"""Requests to one server, one after another."""

import http.client
import json
from typing import Any

from bench.load import LoadError
from bench.server import Server


class Connection:
    """One keep-alive connection, one request after another."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        """The body of the answer. Raises LoadError if it is none below 300."""
        if body is None:
            return self._send(method, path, None, {})
        return self._send(method, path, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def put(self, path: str, content: bytes) -> bytes:
        """Puts a file. Raises LoadError if the answer is none below 300."""
        return self._send("PUT", path, content, {"Content-Type": "application/octet-stream"})

    def close(self) -> None:
        """Lets go of the connection."""
        self._connection.close()

    def _send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> bytes:
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status >= 300:
            raise LoadError(f"{method} {path}: {answer.status} {said[:200]!r}")
        return said
