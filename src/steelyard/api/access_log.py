"""One JSON line for each request, gathered for a moment and written together: a write for each would cost more than
many a request.
"""

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from time import time
from typing import Any, NamedTuple, TextIO

import orjson
from starlette.types import Scope

from steelyard.scope import REQUEST_ID

_GATHER_SECONDS = 0.1


class _Answered(NamedTuple):
    """A request that has been answered. It is put into words with many others: that costs less than one at a time."""

    at: float
    method: str
    path: str
    status: int
    seconds: float
    client: tuple[str, int] | None
    request_id: str

    def line(self) -> bytes:
        """How it stands in the log."""
        line = {
            "time": datetime.fromtimestamp(self.at, UTC),
            "event": "request",
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "ms": round(self.seconds * 1000, 3),
            "client": self.client[0] if self.client else None,
            "request_id": self.request_id,
        }
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z)


class AccessLog:
    """Writes method, path, status, time and request id; never a query, a header or a body, where secrets may be."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lines: list[bytes | _Answered] = []
        self._planned = False

    def write(self, scope: Scope, status: int, seconds: float) -> None:
        """Notes a request that has been answered."""
        client, id = scope.get("client"), scope[REQUEST_ID]
        self._lines.append(_Answered(time(), scope["method"], scope["path"], status, seconds, client, id))
        self._plan()

    def append(self, line: Mapping[str, Any]) -> None:
        """Notes something else that happened, with its `event`. What stands in it is the caller's responsibility."""
        stamped = {"time": datetime.now(UTC), **line}
        self._lines.append(orjson.dumps(stamped, default=str, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z))
        self._plan()

    def _plan(self) -> None:
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Writes what has been gathered."""
        lines, self._lines, self._planned = self._lines, [], False
        if lines:
            self._stream.write(b"".join(one if isinstance(one, bytes) else one.line() for one in lines).decode())
            self._stream.flush()
