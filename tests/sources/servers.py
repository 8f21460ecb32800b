"""A real HTTP server for tests, whose every answer the test writes: files, redirects, breaks, lies."""

import datetime
import hashlib
import ipaddress
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Asked:
    """A request as it came; `path` has the query, header names are in lower case."""

    path: str
    headers: dict[str, str]


@dataclass
class File:
    """A file that is served with ranges and an entity tag.

    `breaks` are the numbers of bytes after which the next transfers are cut off; `says` is the length that is told,
    where it is a lie; `waits` holds each transfer up after the first `waits_after` bytes, until it is set.
    """

    content: bytes
    etag: str | None = None
    ranges: bool = True
    breaks: list[int] = field(default_factory=list)
    says: int | None = None
    waits: threading.Event | None = None
    waits_after: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        return f'"{hashlib.sha256(self.content).hexdigest()}"' if self.etag is None else self.etag


Reply = File | tuple[int, dict[str, str], bytes]


class Web:
    """Serves what `places` has, by path without query, or what `answer` makes of a request; keeps what it is asked."""

    def __init__(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.places: dict[str, Reply] = {}
        self.answer: Callable[[Asked], Reply | None] = lambda _: None
        self.asked: list[Asked] = []
        self.sent = 0
        self._lock = threading.Lock()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                web._take(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer((host, 0), Handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://{host}:{self.port}"

    def _take(self, request: BaseHTTPRequestHandler) -> None:
        asked = Asked(request.path, {name.lower(): value for name, value in request.headers.items()})
        with self._lock:
            self.asked.append(asked)
        reply = self.answer(asked) or self.places.get(unquote(request.path.partition("?")[0])) or (404, {}, b"")
        try:
            self._send_file(request, asked, reply) if isinstance(reply, File) else self._send(request, *reply)
        except OSError:
            request.close_connection = True

    def _send(self, request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("content-length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
        self.sent += len(body)

    def _send_file(self, request: BaseHTTPRequestHandler, asked: Asked, file: File) -> None:
        content, size = file.content, len(file.content)
        match = _RANGE.fullmatch(asked.headers.get("range", "")) if file.ranges else None
        start, stop, status = 0, size, 200
        if match is not None:
            start, stop, status = int(match[1]), min(size, int(match[2]) + 1 if match[2] else size), 206
        headers = {"etag": file.tag, **file.headers} if file.tag else dict(file.headers)
        if match is not None and start >= size:
            self._send(request, 416, {**headers, "content-range": f"bytes */{size}"}, b"")
            return
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status == 206:
            request.send_header("content-range", f"bytes {start}-{stop - 1}/{size}")
        request.send_header("content-length", str(stop - start if file.says is None else file.says))
        request.end_headers()
        breaks = file.breaks.pop(0) if file.breaks and stop - start > 1 else None
        part = content[start:stop][:breaks]
        if file.waits is not None and len(part) > file.waits_after:
            request.wfile.write(part[: file.waits_after])
            self.sent += file.waits_after
            file.waits.wait(30)
            part = part[file.waits_after :]
        request.wfile.write(part)
        self.sent += len(part)
        if breaks is not None or file.says is not None:
            request.close_connection = True

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(30)


@contextmanager
def serving(host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Iterator[Web]:
    """A server for the length of a `with`."""
    web = Web(host, tls)
    try:
        yield web
    finally:
        web.close()


def certified(folder: Path, address: str = "127.0.0.1") -> tuple[Path, ssl.SSLContext]:
    """A certificate for `address` as a bundle of authorities, and what serves with it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, key_file = folder / "authority.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(bundle, key_file)
    return bundle, tls
