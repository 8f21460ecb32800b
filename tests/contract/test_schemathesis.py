"""Schemathesis sends what our own OpenAPI document allows, and what it does not, to the real server.

Whatever is sent: no answer is a fault of the server, every status and media type is documented, every body is as its
schema says. That valid data is taken and invalid data refused is for the tests of the API: a schema cannot say all
rules (references, ancestors, projects that must exist).

Bounds: `EXAMPLES` cases for each operation by chance, the boundary values of each schema (the coverage phase) beside
them, from a fixed seed and without a database of earlier failures, so that every run is the same run.
"""

import json
import zlib
from collections import Counter, defaultdict
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

from tests.api.paths import SPEC
from tests.servers import running

Case = schemathesis.Case[Any]

EXAMPLES = 6
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


# What these want no schema can say: a past, a batch of records, digests of bytes that are here, a source with files, a
# setting that opens secrets, a workload. Other operations must succeed now and then.
HARD = (":revert", ":undelete", ":batch", ":import", ":redeliver", ":restore", ":sync", "/access", "/auth/token")
NOWHERE = "https://receiver.invalid/hook"
# Where each kind of storage names its server; left out, it would be the real one.
ADDRESSES = {"huggingface": "endpoint", "ngc": "host", "s3": "endpoint_url"}
FILE = "folder/config.json"
LENGTH = "1000000"


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
schema = schemathesis.openapi.from_dict(DOCUMENT, config=SchemathesisConfig.from_dict(CONFIG))


def test_the_document_is_the_one_that_the_server_answers(http: httpx.Client) -> None:
    assert http.get("/openapi.json").json() == DOCUMENT


class Known:
    """A workspace that has a record of each kind, so that requests find something; all but one have its name."""

    def __init__(self, http: httpx.Client, workspace: str) -> None:
        self.name = workspace
        self.alias = f"{workspace}@prod"
        self._http = http
        self._filesets = f"/apis/files/v2/workspaces/{workspace}/filesets/{workspace}"
        self.make()

    def make(self) -> None:
        """Makes what a delete has taken away."""
        self._http.post("/apis/entities/v2/workspaces", json={"name": self.name})
        records: dict[str, dict[str, Any]] = {
            "entities/v2/workspaces/{}/projects": {},
            "models/v2/workspaces/{}/models": {"spec": SPEC},
            "models/v2/workspaces/{}/prompts": {},
            "files/v2/workspaces/{}/filesets": {},
            "secrets/v2/workspaces/{}/secrets": {"value": "a secret"},
            "models/v2/workspaces/{}/aliases": {"name": self.alias, "model": self.name},
            "steelyard/v1/workspaces/{}/webhooks": {"url": NOWHERE},
            "models/v2/workspaces/{}/providers": {"host_url": NOWHERE},
            "inference-gateway/v2/workspaces/{}/virtual-models": {"default_model_entity": self.name},
            "steelyard/v1/workspaces/{}/limits": {"requests_per_minute": 60},
        }
        for path, fields in records.items():
            self._http.post(f"/apis/{path.format(self.name)}", json={"name": self.name, **fields})
        self._http.put(f"{self._filesets}/-/{FILE}", content=b"{}")
        adapter = {"name": self.name, "model": self.name, "fileset": self.name, "finetuning_type": "prompt_tuning"}
        self._http.post(f"/apis/models/v2/workspaces/{self.name}/adapters", json=adapter)

    def upload(self) -> str:
        """The id of an upload that has just begun."""
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": LENGTH}
        begun = self._http.post(f"{self._filesets}/uploads", headers=headers)
        return begun.headers["Location"].rsplit("/", 1)[-1]

    def lead_to(self, case: Case) -> None:
        """Sends most requests to the workspace, half of all to its records, a third with nothing optional.

        Only a known id can be the id of an upload: all of those in the workspace are sent to one.
        """
        draw = zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode())
        steps = {name: case.path_parameters[name] for name in case.path_parameters}
        if draw % 4 and "workspace" in steps:
            case.path_parameters["workspace"] = self.name
        if draw % (4 if "id" in steps else 2):
            case.path_parameters.update({name: self._known(name, case) for name in steps if name != "workspace"})
            case.body = self._naming(case.body)
        if draw % 3 == 0 or (case.method == "HEAD" and "/uploads" in case.path):
            # Conditions and past revisions by chance are hardly ever those of the record.
            case.query.clear()
            case.headers.clear()
        if draw % 3 and case.path.endswith("commits:compare"):
            case.query = {"from": "main"}  # the id of a commit by chance is that of none
        if draw % 3 == 0 and "/uploads" in case.path:
            case.headers.update({"Upload-Length": LENGTH} if case.method == "POST" else {"Upload-Offset": "0"})
        if any(part in case.path for part in ("webhooks", "filesets", "providers", ":batch")):
            case.body = _harmless(case.body)
        if case.method == "DELETE":
            self.make()

    def _known(self, step: str, case: Case) -> str:
        """The value of a step of the path that leads to something."""
        match step:
            case "span":
                return "1...1"
            case "path":
                return FILE
            case "id":
                return self.upload()
        return self.alias if "/aliases/" in case.path else self.name

    def _naming(self, body: Any) -> Any:
        """The body, with references to records that are there."""
        if not isinstance(body, dict):
            return body
        copies = [{"op": "copy", "from": FILE, "to": "copy.json"}]
        there = {"model": self.name, "fileset": self.name, "changes": copies, "host_url": NOWHERE}
        there |= {"api_key_secret_name": self.name, "project": self.name}
        return {key: there.get(key, value) for key, value in body.items()}


def _harmless(value: Any) -> Any:
    """The same without URLs that somebody may listen at: the server sends events to webhooks, and asks sources."""
    if isinstance(value, list):
        return [_harmless(item) for item in value]
    if isinstance(value, dict):
        address = ADDRESSES.get(str(value.get("type")))
        named = {**value, address: NOWHERE} if address else value
        return {key: NOWHERE if _is_url(item) else _harmless(item) for key, item in named.items()}
    return value


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and value.lower().startswith(("http:", "https:"))


@pytest.fixture
def known(http: httpx.Client, workspace: str) -> Known:
    """Records that requests may find."""
    return Known(http, workspace)


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
    seen[case.operation.label][response.status_code] += 1
    case.validate_response(response, checks=CHECKS)


def test_every_operation_has_been_tried_with_success_and_without(seen: defaultdict[str, Counter[int]]) -> None:
    if not seen:
        pytest.skip("needs the test above")

    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    expected = {one.label for one in operations if not one.path.endswith(HARD)}
    assert {label for label in expected if not any(status < 300 for status in seen[label])} == set()
    taking = {one.label for one in operations if "parameters" in one.definition.raw or one.body}
    assert {label for label in taking if not any(400 <= status < 500 for status in seen[label])} == set()
