"""Schemathesis sends what our own OpenAPI document allows, and what it does not, to the real server.

Whatever is sent: no answer is a fault of the server, every status and media type is documented, every body is as its
schema says. That valid data is taken and invalid data refused is for the tests of the API: a schema cannot say all
rules (references, ancestors, projects that must exist).

The server is one for this file, which may send to this machine alone: a sound engine answers for most models, and where
nobody listens, nobody is waited for. (A name that nobody has is looked up for 5 seconds and more, where the network's
own server of names is busy.)

Bounds: `EXAMPLES` cases for each operation by chance, the boundary values of each schema (the coverage phase) beside
them, from a fixed seed and without a database of earlier failures, so that every run is the same run.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.serialization import Binary

from steelyard.settings.tree import LimitSettings
from tests.contract.known import Case, Known, passes_on
from tests.gateway.upstreams import Upstream, upstream
from tests.servers import Server, running

pytestmark = pytest.mark.alone

EXAMPLES = 6
CHECKS = [
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


# What these want no schema can say: a past, a batch of records, digests of bytes that are here, a source with files, a
# setting that opens secrets, a workload, somebody who has said who they are. Others must succeed now and then.
HARD = (
    *(":revert", ":undelete", ":batch", ":import", ":redeliver", ":restore", ":sync", "/access", "/auth/token"),
    *("/auth/v2/keys", "/auth/v2/keys/{id}"),
)
EVENT = {
    "schema": {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "string", "pattern": r"^(\{.*\}|\[DONE\])$"}, "event": {"type": "string"}},
    }
}
LOCAL = ("--set", "outbound.allowed_networks=127.0.0.0/8")
# What may be answered where it is documented that nobody answers for a model, with these codes. The same from
# elsewhere, or any other 5xx, is a fault of the server.
UPSTREAM_FAULTS = {502: "upstream_failed", 503: "no_provider", 504: "upstream_timeout"}


@schemathesis.serializer("application/x-ndjson")
def _lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Lines of JSON: texts as they are, anything else as one line."""
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


@schemathesis.serializer("application/offset+octet-stream")
def _piece(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """A piece of a file: bytes and texts as they are, anything else as JSON."""
    if isinstance(value, Binary):
        return value.data
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


def _ask() -> dict[str, Any]:
    # Tests are made when files are read, before the shared server runs: a server of a moment says what there is.
    with TemporaryDirectory() as folder, running(Path(folder) / "data") as server:
        document: dict[str, Any] = httpx.get(f"{server.url}/openapi.json", timeout=30).raise_for_status().json()
    return document


DOCUMENT = _ask()


def _with_events(document: Any) -> Any:
    """The document, with the form of an event in place of the stream's: OpenAPI 3.1 has words for the whole alone."""
    if isinstance(document, list):
        return [_with_events(item) for item in document]
    if isinstance(document, dict):
        return {key: EVENT if key == "text/event-stream" else _with_events(item) for key, item in document.items()}
    return document


schema = schemathesis.openapi.from_dict(_with_events(DOCUMENT), config=SchemathesisConfig.from_dict(CONFIG))


def no_fault_of_the_server(context: schemathesis.CheckContext, response: schemathesis.Response, case: Case) -> None:
    """As `not_a_server_error`, but for what is documented of an upstream that does not answer."""
    status = response.status_code
    documented = passes_on(case.operation) and str(status) in case.operation.definition.raw["responses"]
    if documented and status in UPSTREAM_FAULTS and response.json()["code"] == UPSTREAM_FAULTS[status]:
        return
    not_a_server_error(context, response, case)


def test_the_document_is_the_one_that_the_server_answers(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json() == DOCUMENT


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("schemathesis") / "data", *LOCAL) as server:
        yield server


@pytest.fixture(scope="module")
def server_url(server: Server) -> str:
    return server.url


@pytest.fixture(scope="module")
def http(server_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server_url, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def engine() -> Iterator[Upstream]:
    """Who serves the models."""
    with upstream() as engine:
        yield engine


@pytest.fixture
def known(http: httpx.Client, workspace: str, engine: Upstream) -> Known:
    """Records that requests may find."""
    return Known(http, workspace, engine.url)


@pytest.fixture(scope="module")
def seen() -> defaultdict[str, Counter[int]]:
    """How often each operation has given each status."""
    return defaultdict(Counter)


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_every_answer_is_as_the_document_says(
    case: Case, server_url: str, known: Known, seen: defaultdict[str, Counter[int]]
) -> None:
    known.lead_to(case)
    response = case.call(base_url=server_url)
    if response.status_code == 431:
        # Refused before it is known which operation is asked: documented of none.
        assert response.json()["code"] == "head_too_large"
        assert _head_of(response) > LimitSettings().head_bytes
        return
    seen[case.operation.label][response.status_code] += 1
    case.validate_response(response, checks=[no_fault_of_the_server, *CHECKS])


def _head_of(response: schemathesis.Response) -> int:
    """How long the head of the request is at least, in bytes."""
    asked = response.request
    return len(asked.path_url) + sum(len(name) + len(value) for name, value in asked.headers.items())


def test_every_operation_has_been_tried_with_success_and_without(seen: defaultdict[str, Counter[int]]) -> None:
    if not seen:
        pytest.skip("needs the test above")

    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    expected = {one.label for one in operations if not one.path.endswith(HARD)}
    assert {label for label in expected if not any(status < 300 for status in seen[label])} == set()
    taking = {one.label for one in operations if "parameters" in one.definition.raw or one.body}
    assert {label for label in taking if not any(400 <= status < 500 for status in seen[label])} == set()
    asking = {one.label for one in operations if passes_on(one)}
    assert {label for label in asking if not any(status in UPSTREAM_FAULTS for status in seen[label])} == set()
