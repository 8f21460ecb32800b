"""A real receiver of webhooks: an HTTP server on loopback that verifies what it is sent with the official library."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook

_PATIENCE = 30


@dataclass
class Message:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    def verified(self, secret: str) -> Any:
        """What the official library makes of it. Raises WebhookVerificationError."""
        return Webhook(secret).verify(self.body, self.headers)

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Answer:
    """How the receiver answers; `hangs` seconds late."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    hangs: float = 0
    body: bytes = b""


class Receiver:
    """Keeps what it is sent. `answers` says how the next requests are answered; after them all is well."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.answers: list[Answer] = []
        self.always: Answer | None = None
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._take(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self.released = threading.Event()

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("content-length", 0)))
        with self._lock:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.messages.append(Message(request.path, headers, body))
            answer = self.answers.pop(0) if self.answers else self.always or Answer()
        if answer.hangs:
            self.released.wait(answer.hangs)
        try:
            request.send_response(answer.status)
            for name, value in answer.headers.items():
                request.send_header(name, value)
            if answer.status != 204:
                request.send_header("content-length", str(len(answer.body)))
            request.end_headers()
            request.wfile.write(answer.body)
        except OSError:
            request.close_connection = True

    def speak(self, tls: ssl.SSLContext) -> None:
        """Speaks TLS from now on."""
        self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)

    def wait_for(self, number: int) -> list[Message]:
        """The messages, once there are so many."""
        until(lambda: len(self.messages) >= number, lambda: f"{len(self.messages)} of {number} messages came")
        return self.messages

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_PATIENCE)


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver for the length of a `with`."""
    receiver = Receiver()
    try:
        yield receiver
    finally:
        receiver.close()


def until(true: Callable[[], bool], otherwise: Callable[[], str] = lambda: "it never came true") -> None:
    """Returns when it is true; fails when it is not within the time that the slowest machine needs."""
    end = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < end, otherwise()
        time.sleep(0.02)
