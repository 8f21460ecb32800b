"""One JSON line for each request, gathered for a moment and written together: a write for each would cost more than
many a request.
"""

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson
from starlette.types import Scope

_GATHER_SECONDS = 0.1


class AccessLog:
    """Writes method, path, status, time and request id; never a query, a header or a body, where secrets may be."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lines: list[bytes] = []
        self._planned = False

    def write(self, scope: Scope, status: int, seconds: float) -> None:
        """Notes a request that has been answered."""
        client = scope.get("client")
        line = {
            "event": "request",
            "method": scope["method"],
            "path": scope["path"],
            "status": status,
            "ms": round(seconds * 1000, 3),
            "client": client[0] if client else None,
            "request_id": scope["steelyard.request_id"],
        }
        self.append(line)

    def append(self, line: Mapping[str, Any]) -> None:
        """Notes something else that happened, with its `event`. What stands in it is the caller's responsibility."""
        stamped = {"time": datetime.now(UTC), **line}
        self._lines.append(orjson.dumps(stamped, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what has been gathered."""
        lines, self._lines, self._planned = self._lines, [], False
        if lines:
            self._stream.write(b"".join(lines).decode())
            self._stream.flush()
