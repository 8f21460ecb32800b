"""The server about itself: health, status, cluster info, metrics."""

from typing import Any, Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard import __version__
from steelyard.api import answers
from steelyard.api.operations import answer_of, answers_of
from steelyard.api.requests import context_of, server_of
from steelyard.records.forms import Shown

router = APIRouter(tags=["system"], default_response_class=Response)

_SERVICES = ("entities", "models", "files", "secrets")


class HealthLive(Shown):
    """That the process runs."""

    status: Literal["live"] = "live"


class HealthReady(Shown):
    """That requests are answered."""

    status: Literal["ready"] = "ready"


class HealthNotReady(Shown):
    """That requests cannot be answered now."""

    status: Literal["not_ready"] = "not_ready"


class NotReadyService(Shown):
    """A service that does not answer yet, and why."""

    name: str
    message: str = ""


class Services(Shown):
    """The services by their state."""

    ready: list[str] = []
    not_ready: list[NotReadyService] = []


class Controllers(Shown):
    """The background loops by their state."""

    healthy: bool = True
    status: dict[str, bool] = {}


class PlatformStatus(Shown):
    """The state of the whole."""

    status: Literal["healthy", "degraded", "unhealthy"]
    services: Services = Services()
    controllers: Controllers = Controllers()


class ClusterInfo(Shown):
    """What runs here."""

    platform_version: str
    revision: str


@router.get("/health/live", responses=answers_of(200, HealthLive, ()))
async def health_live() -> Response:
    """Whether the process runs."""
    return answers.json({"status": "live"})


@router.get(
    "/health/ready",
    responses=answers_of(200, HealthReady, ()) | answer_of(503, "Not ready.", HealthNotReady),
)
async def health_ready(request: Request) -> Response:
    """Whether requests are answered: 503 when the database is not."""
    if await context_of(request).store.ready():
        return answers.json({"status": "ready"})
    return answers.json({"status": "not_ready"}, 503)


@router.get("/status", responses=answers_of(200, PlatformStatus, ()))
async def platform_status(request: Request) -> Response:
    """The state of the services."""
    ready = await context_of(request).store.ready()
    services: dict[str, Any] = {"ready": list(_SERVICES), "not_ready": []}
    if not ready:
        message = "the database does not answer"
        services = {"ready": [], "not_ready": [{"name": name, "message": message} for name in _SERVICES]}
    controllers = {"healthy": True, "status": {}}
    status = "healthy" if ready else "unhealthy"
    return answers.json({"status": status, "services": services, "controllers": controllers})


@router.get("/cluster-info", responses=answers_of(200, ClusterInfo, ()))
async def cluster_info() -> Response:
    """What runs here."""
    return answers.json({"platform_version": __version__, "revision": f"steelyard-{__version__}"})


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}, "description": "Prometheus metrics."}})
async def metrics(request: Request) -> Response:
    """The server's metrics, for Prometheus."""
    return Response(server_of(request).metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
