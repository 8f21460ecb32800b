"""Builds the server from its settings, and runs it."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from ipaddress import ip_network
from pathlib import Path
from time import time
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from steelyard import __version__
from steelyard.actions.context import Context
from steelyard.actions.deliveries import Deliverer
from steelyard.actions.discovery import Discovery, DiscoveryRules
from steelyard.actions.maintenance import maintain
from steelyard.actions.rotation import finish_rotation
from steelyard.actions.secrets import secret_reader
from steelyard.actions.workspaces import seed_workspaces
from steelyard.api import (
    access,
    adapters,
    batch,
    commits,
    discovered,
    errors,
    feed,
    files,
    fsck,
    hub,
    insight,
    providers,
    secrets,
    sync,
    system,
    transfer,
    uploads,
    usage,
    webhooks,
)
from steelyard.api.access_log import AccessLog
from steelyard.api.admission import put_before
from steelyard.api.edge import Edge
from steelyard.api.hot import HotRoutes
from steelyard.api.metrics import Metrics
from steelyard.api.openapi import build_openapi
from steelyard.api.protocol import SteelyardProtocol
from steelyard.api.requests import Server, Stopping
from steelyard.api.resources import RESOURCES
from steelyard.api.routes import routes_of
from steelyard.auth.master_keys import LOCAL, KeySources, open_master_keys
from steelyard.auth.vault import Vault
from steelyard.authentication import check_exposure, doors_of, say_key, seed_access
from steelyard.blobs.local import LocalBlobs
from steelyard.blobs.protocol import BlobStore
from steelyard.blobs.staging import LocalStaging
from steelyard.errors import StartupError, SteelyardError
from steelyard.gateway import catalog
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.opening import open_gateway
from steelyard.gateway.routes import Holder, HotGateway, router_of
from steelyard.gateway.telemetry import Telemetry, open_telemetry
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport
from steelyard.records.deliveries import DeliveryRules
from steelyard.records.file_policy import FilePolicy
from steelyard.records.identity import record_id, rising_clock, time_ago
from steelyard.records.policy import Policy
from steelyard.records.trust import AllowLists
from steelyard.settings import Settings
from steelyard.sources.rules import SourceRules
from steelyard.sources.sources import ConfiguredSources
from steelyard.store.data_folder import DataFolder
from steelyard.store.sqlite import open_store

_log = logging.getLogger("steelyard")

_DAY = 24 * 3600


def open_context(settings: Settings, folder: DataFolder) -> Context:
    """The outside world of the actions, in a data folder that is ours. Raises StartupError."""
    key_file, database = folder.path / LOCAL, folder.path / "steelyard.db"
    sources = keys_of(settings, folder)
    if sources.local and database.exists() and not key_file.exists():
        _log.warning(
            "%s is missing and made anew: secrets that were sealed with the old one cannot be opened", key_file
        )
    store = open_store(database, settings.store.readers, history=settings.history.enabled)
    vault = Vault(open_master_keys(sources))
    transport = HttpTransport(outbound_of(settings), ca_bundle=settings.outbound.ca_bundle)
    return Context(
        store=store,
        vault=vault,
        blobs=blobs_of(settings, folder),
        staging=LocalStaging(folder.path / "uploads"),
        sources=ConfiguredSources(transport, sources_of(settings), secret_reader(store, vault)),
        policy=policy_of(settings),
        now=rising_clock(time),
        ago=time_ago(time),
        new_id=lambda prefix: record_id(prefix, uuid4().bytes),
        outbound=outbound_of(settings),
    )


def build_app(settings: Settings, context: Context, stopping: Stopping) -> ASGIApp:
    """The application; its lifespan ends with the store closed. Raises StartupError."""
    transport = HttpTransport(outbound_of(settings), ca_bundle=settings.outbound.ca_bundle)
    deliverer = Deliverer(context, transport, deliveries_of(settings))
    asking = HttpTransport(outbound_of(settings), ca_bundle=settings.outbound.ca_bundle)
    discovery = Discovery(context, asking, DiscoveryRules(settings.gateway.discovery_seconds))
    access_log = AccessLog() if settings.log.access else None
    metrics, gate, telemetry = Metrics(), Holder(), telemetry_of(settings)
    doors = doors_of(settings, context)

    @contextlib.asynccontextmanager
    async def lifespan(api: FastAPI) -> AsyncIterator[None]:
        await seed_workspaces(context)
        if doors.identities is not None:
            say_key(await seed_access(context, settings.auth.admin_email))
        counts = GatewayMetrics(settings.telemetry.max_label_values)
        metrics.register(counts)
        counts.watch("telemetry_dropped", lambda: telemetry.dropped)
        log = access_log or AccessLog()  # what workspaces record is written even so
        gateway = await open_gateway(settings, context, counts, telemetry, log.append, discovery.noted)
        gate.put(gateway.entry)
        tasks = [
            asyncio.create_task(
                maintain(context, settings.history.retention_days * _DAY, settings.usage.keep_days * _DAY)
            ),
            asyncio.create_task(deliverer.run()),
            asyncio.create_task(discovery.run()),
        ]
        if doors.identities is not None:
            tasks.append(asyncio.create_task(doors.identities.note_use()))
        if context.vault.keys.unfinished:
            tasks.append(asyncio.create_task(finish_rotation(context)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await gateway.close()
            await doors.close()
            await context.pulls.close()
            await context.sources.close()
            await context.store.close()
            await context.staging.close()
            await context.blobs.close()
            log.flush()

    api = FastAPIOffline(  # its pages load nothing from elsewhere
        title="Steelyard",
        version=__version__,
        description="A self-hosted model registry with a gate.",
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers={
            SteelyardError: errors.on_steelyard_error,
            RequestValidationError: errors.on_invalid_parameters,
            HTTPException: errors.on_http_exception,
            Exception: errors.on_unexpected,
        },
    )
    parts = (
        access,
        adapters,
        providers,
        insight,
        files,
        commits,
        uploads,
        fsck,
        sync,
        hub,
        secrets,
        batch,
        transfer,
        feed,
        webhooks,
        usage,
        discovered,
        system,
    )
    routers = [*map(routes_of, RESOURCES), *(part.router for part in parts), catalog.router, router_of(gate)]
    # The routes as they are: included routers would be searched one after the other, and hide which methods a path has.
    api.router.routes.extend(route for router in routers for route in router.routes)
    api.openapi = lambda: _once(api)  # type: ignore[method-assign]
    put_before(api.router.routes)
    server = Server(context, settings.limits, metrics, stopping, discovery)
    return Edge(HotGateway(HotRoutes(api), gate), server, access_log, doors.door)


def _once(api: FastAPI) -> dict[str, object]:
    api.openapi_schema = api.openapi_schema or build_openapi(api)
    return api.openapi_schema


def blobs_of(settings: Settings, folder: DataFolder) -> BlobStore:
    """Where the settings say that the bytes of files are kept. Raises StartupError."""
    given = settings.files.object_store
    if given.url is None:
        return LocalBlobs(folder.path / "blobs")
    from steelyard.blobs.objects import open_objects  # noqa: PLC0415 - a server that needs it not starts without it

    secret = given.secret_access_key.get_secret_value() if given.secret_access_key else None
    options = {
        "endpoint": given.endpoint,
        "region": given.region,
        "access_key_id": given.access_key_id,
        "secret_access_key": secret,
    }
    known = {key: value for key, value in options.items() if value is not None}
    return open_objects(given.url, known, presigned=given.downloads == "presigned")


def keys_of(settings: Settings, folder: DataFolder) -> KeySources:
    """What the settings say about the master key."""
    return KeySources(
        folder=folder.path,
        key=settings.master_key.get_secret_value() if settings.master_key else None,
        file=settings.master_key_file,
        command=settings.master_key_command,
        previous=[key.get_secret_value() for key in settings.master_key_previous],
    )


def telemetry_of(settings: Settings) -> Telemetry:
    """What the settings say about traces. Raises StartupError."""
    given = settings.telemetry
    return open_telemetry(
        given.otlp_endpoint,
        given.otlp_headers.get_secret_value() if given.otlp_headers else None,
        sample_ratio=given.sample_ratio,
        service_name=given.service_name,
    )


def policy_of(settings: Settings) -> Policy:
    """What the settings say about records."""
    return Policy(
        unknown_fields=settings.unknown_fields,
        strict_references=settings.strict_references,
        protect_references=settings.protect_references,
        allow_trust_remote_code=settings.models.trust_remote_code.enabled,
        trusted_sources=AllowLists(
            huggingface=settings.models.trust_remote_code.hf_allow_list,
            ngc=settings.models.trust_remote_code.ngc_allow_list,
        ),
        allow_tool_call_plugin=settings.models.tool_call_plugin.enabled,
        allow_secret_access=settings.secrets.access == "open",
        max_record_bytes=settings.limits.record_body_bytes,
        max_depth=settings.limits.json_depth,
        files=FilePolicy(
            pickles=settings.files.pickles,
            untrusted_code=settings.files.untrusted_code,
            max_bytes=settings.files.max_bytes,
            upload_seconds=settings.files.upload_hours * 3600,
            keep_replaced_seconds=settings.files.keep_replaced_days * 24 * 3600,
            presigned=settings.files.object_store.downloads == "presigned",
        ),
    )


def outbound_of(settings: Settings) -> OutboundPolicy:
    """What the settings say about requests to other servers."""
    outbound = settings.outbound
    return OutboundPolicy(
        schemes=frozenset(outbound.schemes),
        allow_private=outbound.allow_private,
        allowed_hosts=frozenset(outbound.allowed_hosts),
        allowed_networks=tuple(map(ip_network, outbound.allowed_networks)),
    )


def sources_of(settings: Settings) -> SourceRules:
    """What the settings say about the places that files are taken from."""
    named = (folder.partition("=") for folder in settings.files.folders)
    return SourceRules(
        hosts=frozenset(settings.files.source_hosts), folders={name: Path(path) for name, _, path in named}
    )


def deliveries_of(settings: Settings) -> DeliveryRules:
    """What the settings say about deliveries to webhooks."""
    given = settings.webhooks
    return DeliveryRules(
        timeout=given.timeout_seconds,
        concurrency=given.concurrency,
        backoff=given.backoff_seconds,
        backoff_max=given.backoff_max_seconds,
        disable_after_failures=given.disable_after_failures,
        disable_after=given.disable_after_hours * 3600,
        rotation=given.rotation_hours * 3600,
        kept=given.kept_deliveries,
    )


class _Server(uvicorn.Server):
    """Says where it listens once it does, and that it stops before it waits for the answers under way."""

    def __init__(self, config: uvicorn.Config, data_dir: Path, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
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
                f"Steelyard {__version__} listens on http://{host}:{port} (data in {self._data_dir}, docs at /docs)",
                file=sys.stderr,
                flush=True,
            )


def serve(settings: Settings) -> None:
    """Runs the server until it is told to stop. Raises StartupError if it cannot start."""
    logging.basicConfig(level=settings.log.level.upper(), format="%(levelname)s %(name)s: %(message)s")
    os.umask(0o077)  # what is in the data folder is nobody else's business
    check_exposure(settings)
    folder = DataFolder.claim(settings.data_dir)
    try:
        listener = _listen(settings.host, settings.port)
        context, stopping = open_context(settings, folder), Stopping()

        def stop() -> None:
            stopping.asked = True
            context.store.changed.ring()

        config = uvicorn.Config(
            build_app(settings, context, stopping),
            loop="uvloop",
            http=SteelyardProtocol,
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
        _Server(config, settings.data_dir, stop).run([listener])
    finally:
        folder.release()


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise StartupError(
            f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}; choose another with --host and --port"
        ) from None
