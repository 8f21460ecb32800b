"""Puts the application together: its parts, its routes, and what runs beside them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

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
from steelyard.actions.workspaces import seed_workspaces
from steelyard.api import (
    access,
    adapters,
    audit,
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
    tokens,
    transfer,
    uploads,
    usage,
    webhooks,
)
from steelyard.api.access_log import AccessLog
from steelyard.api.admission import put_before
from steelyard.api.edge import Edge
from steelyard.api.gatekeeper import Gatekeeper
from steelyard.api.hot import HotRoutes
from steelyard.api.metrics import Metrics
from steelyard.api.openapi import build_openapi
from steelyard.api.requests import Server, Stopping
from steelyard.api.resources import RESOURCES
from steelyard.api.routes import routes_of
from steelyard.app.doors import doors_of, say_key, seed_access
from steelyard.app.rules import deliveries_of, outbound_of, telemetry_of
from steelyard.errors import SteelyardError
from steelyard.gateway import catalog
from steelyard.gateway.metrics import GatewayMetrics
from steelyard.gateway.opening import open_gateway
from steelyard.gateway.routes import Holder, HotGateway, router_of
from steelyard.outbound.transport import HttpTransport
from steelyard.settings import Settings

_DAY = 24 * 3600


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
        audit,
        tokens,
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
    again = doors.door.again if isinstance(doors.door, Gatekeeper) else None
    server = Server(context, settings.limits, metrics, stopping, discovery, doors.sign_in, again)
    return Edge(HotGateway(HotRoutes(api), gate), server, access_log, doors.door)


def _once(api: FastAPI) -> dict[str, object]:
    api.openapi_schema = api.openapi_schema or build_openapi(api)
    return api.openapi_schema
