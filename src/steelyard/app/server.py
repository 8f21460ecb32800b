"""Runs the server until it is told to stop."""

import contextlib
import gc
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import uvicorn

from steelyard import __version__
from steelyard.api.protocol import protocol_of
from steelyard.api.requests import Stopping
from steelyard.app.assembly import build_app
from steelyard.app.context import open_context
from steelyard.app.doors import exposure_of
from steelyard.errors import StartupError
from steelyard.settings import LimitSettings, Settings
from steelyard.store.data_folder import DataFolder

_logger = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """Says where it listens once it does, and that it stops before it waits for the answers under way."""

    def __init__(
        self, config: uvicorn.Config, data_dir: Path, exposure: str | None, on_stop: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._exposure = exposure
        self._data_dir = data_dir
        self._on_stop = on_stop

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # What is here now stays: the collector need not look at it again, nor look for new cycles at every 700 objects.
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        if self.started and sockets:
            host, port = sockets[0].getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            print(  # noqa: T201 - said to whoever started us, whatever the log's level
                f"Steelyard {__version__} listens on http://{host}:{port} (data in {self._data_dir}, docs at /docs)"
                + (f"\n{self._exposure}" if self._exposure else ""),
                file=sys.stderr,
                flush=True,
            )


def serve(settings: Settings) -> None:
    """Runs the server until it is told to stop. Raises StartupError if it cannot start."""
    logging.basicConfig(level=settings.log.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)  # what is in the data folder is nobody else's business
    exposure = exposure_of(settings)
    folder = DataFolder.claim(settings.data_dir)
    try:
        listener = _listen(settings.host, settings.port)
        limits = _within_the_system(settings.limits)
        context, stopping = open_context(settings, folder), Stopping()

        def stop() -> None:
            stopping.asked = True
            context.store.changed.ring()

        config = uvicorn.Config(
            build_app(settings, context, stopping),
            loop="uvloop",
            http=protocol_of(limits),
            ws="none",
            lifespan="on",
            access_log=False,
            log_config=None,
            log_level=max(logging.getLevelName(settings.log.level.upper()), logging.WARNING),
            server_header=False,
            proxy_headers=False,  # what a caller writes of itself is not believed
            timeout_keep_alive=75,  # longer than proxies keep theirs: none sends into a connection that we just closed
            timeout_graceful_shutdown=settings.limits.shutdown_seconds,
        )
        # The server stops on these by itself, and then sends them on to whoever handled them before: a stop that was
        # asked for is no failure.
        for asked in (signal.SIGTERM, signal.SIGINT):
            signal.signal(asked, lambda *_: None)
        _Server(config, settings.data_dir, exposure, stop).run([listener])
    finally:
        folder.release()


def _within_the_system(limits: LimitSettings) -> LimitSettings:
    """The limits, with no more connections than half of the open files: files and upstreams take the others.

    A process may raise its own bound up to the hard one; the soft one is that low for the sake of programs that use
    select(), and none here does.
    """
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # some systems have a lower bound yet that they do not tell
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        soft = most
    if soft == resource.RLIM_INFINITY or soft >= 2 * limits.connections:
        return limits
    _logger.warning(
        "limits.connections is %d here, not %d: the system allows %d open files", soft // 2, limits.connections, soft
    )
    return limits.model_copy(update={"connections": soft // 2})


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}; choose another with --host and --port"
        ) from None
