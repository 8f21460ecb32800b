"""Schemathesis sends what our own OpenAPI document allows, and what it does not, to the real server.

Whatever is sent: no answer is a fault of the server, every status and media type is documented, every body is as its
schema says. That valid data is taken and invalid data refused is for the tests of the API: a schema cannot say all
rules (references, ancestors, projects that must exist).

Bounds: `EXAMPLES` cases for each operation by chance, the boundary values of each schema (the coverage phase) beside
them, from a fixed seed and without a database of earlier failures, so that every run is the same run.
"""

import asyncio
from typing import Any, cast

import httpx
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from steelyard.actions.context import Context
from steelyard.app import build_app
from steelyard.settings import LogSettings, Settings

EXAMPLES = 25
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CONFIG: dict[str, Any] = {
    "seed": 1,
    "generation": {"deterministic": True, "database": "none"},
    "phases": {"examples": {"enabled": False}, "stateful": {"enabled": False}},
}


async def _ask() -> dict[str, Any]:
    # Tests are made when files are read, before any server runs; the document alone needs no context.
    app = build_app(Settings(log=LogSettings(access=False)), cast("Context", None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://steelyard") as client:
        document: dict[str, Any] = (await client.get("/openapi.json")).raise_for_status().json()
    return document


DOCUMENT = asyncio.run(_ask())
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIG))


def test_the_document_is_the_one_that_the_server_answers(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json() == DOCUMENT


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(case: schemathesis.Case, server_url: str) -> None:
    case.call_and_validate(base_url=server_url, checks=CHECKS)
