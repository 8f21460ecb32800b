"""What a workspace lets be written down of its requests and answers, for those workspaces alone that ask for it."""

from collections.abc import Mapping
from typing import Any

CATEGORIES = ("email", "phone", "card", "key", "ip")
"""What can be taken out of a recording."""
DEFAULT_MAX_BYTES = 65_536


class Recorder:
    """Makes lines for the log out of requests and answers, without what the workspace wants taken out."""

    def __init__(self, redact: frozenset[str], max_bytes: int) -> None:
        self._redact = redact
        self.max_bytes = max_bytes

    def line(self, request_id: str, workspace: str, model: str, request_body: bytes, answer: bytes) -> dict[str, Any]:
        """The line of one request, for `AccessLog.append`. `answer` is what the client was sent, a stream as it was."""
        return {"event": "inference", "request_id": request_id, "workspace": workspace, "model": model}


def recorder_for(recording: Mapping[str, Any] | None) -> Recorder | None:
    """The recorder of a workspace by its `recording` field; None where it does not record."""
    if not recording or not recording.get("enabled"):
        return None
    redact = recording.get("redact")
    max_bytes = recording.get("max_bytes")
    return Recorder(frozenset(CATEGORIES if redact is None else redact), max_bytes or DEFAULT_MAX_BYTES)
