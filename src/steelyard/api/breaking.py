"""An answer whose body may end before it is whole, because what it is read from fails."""

import logging

from starlette.responses import StreamingResponse
from starlette.types import Send

from steelyard.errors import SteelyardError

_log = logging.getLogger("steelyard.files")


class BreakingResponse(StreamingResponse):
    """A streamed answer; where its pieces fail, it is not completed, and the server ends the connection.

    The head is out by then, so that the error can reach nobody but the operator; the client sees too few bytes.
    """

    async def stream_response(self, send: Send) -> None:
        """Sends the head and the pieces."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async for piece in self.body_iterator:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except SteelyardError as failed:
            _log.warning("a download ended early: %s", failed.message)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
