"""Under which names the outermost layer leaves what it knows of a request in its ASGI scope, for whoever answers it."""

from collections.abc import Callable

HEADERS = "steelyard.headers"
"""The headers by name, both as bytes, names in lower case; several of one name are joined."""
REQUEST_ID = "steelyard.request_id"
"""The request's id, as text."""
ROUTE = "steelyard.route"
"""Where who answers leaves the template of its route, for metrics."""
SERVER = "steelyard.server"
"""What is the same for all requests."""
IDENTITY = "steelyard.identity"
"""Who is calling; None for nobody who has said so. It is not there on a server without authentication."""
RULE = "steelyard.rule"
"""The permission by which the operation is allowed, and where the caller has it, for the audit."""
LEAVING = "steelyard.leaving"
"""A `Leaving`: how to hear that the client has gone."""


class Leaving:
    """Calls `callback`, if somebody has set it, when the client's connection is lost."""

    __slots__ = ("callback", "gone")

    def __init__(self) -> None:
        self.callback: Callable[[], object] | None = None
        self.gone = False

    def lost(self) -> None:
        """The connection is lost."""
        self.gone = True
        if self.callback is not None:
            self.callback()
