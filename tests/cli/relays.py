"""A wire between a command and a server that can be cut, or held, after a number of bytes."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit


class Relay:
    """Passes bytes on to a server and back, up to `limit` from the client and `back_limit` from the server; there it
    cuts the connection, once, or holds all of them.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.limit: int | None = None
        self.back_limit: int | None = None
        self.holds = False
        self.passed = 0
        self.back = 0
        self.reached = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                with self._lock:
                    self._open |= {client, server}
                for pair in ((client, server, self._forth), (server, client, self._back)):
                    threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, may_pass: Callable[[int], bool]) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                if not may_pass(len(data)):
                    self.reached.set()
                    if self.holds:
                        return
                    break
                target.sendall(data)
            # So that the other direction ends too.
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _forth(self, length: int) -> bool:
        with self._lock:
            if self.limit is not None and self.passed >= self.limit:
                self.limit = self.limit if self.holds else None
                return False
            self.passed += length
            return True

    def _back(self, length: int) -> bool:
        with self._lock:
            if self.back_limit is not None and self.back >= self.back_limit:
                self.back_limit = self.back_limit if self.holds else None
                return False
            self.back += length
            return True

    def close(self) -> None:
        with self._lock:
            ends = list(self._open)
        for end in [self._listener, *ends]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def drop(self) -> None:
        """Cuts what is held, so that the server sees the end of it."""
        with self._lock:
            ends, self._open = list(self._open), set()
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def relay(target: str) -> Iterator[Relay]:
    """A relay for the length of a `with`."""
    made = Relay(target)
    try:
        yield made
    finally:
        made.close()
