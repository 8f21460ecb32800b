"""Our OpenAPI document is one: valid, whole, and with a type for whatever goes in or out."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from fastapi.routing import APIRoute

from steelyard import api
from steelyard.api.resources import RESOURCES
from steelyard.api.routes import routes_of
from tests.contract.compare import ANY, Document

# The errors that every operation of a sort can give, whatever it does.
_WITH_BODY = {"400", "413", "415", "422"}
_ON_A_RECORD = {"404", "412"}
_LIST = {"400", "422"}


@pytest.fixture(scope="module")
def document(http: httpx.Client) -> Document:
    """The document that the server answers."""
    return Document(http.get("/openapi.json").raise_for_status().json())


def _operations(document: Document) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document.body["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def _routes() -> Iterator[tuple[str, str]]:
    """Path and method of every route of every router in `api/`, whether or not the server has it."""
    modules = [importlib.import_module(f"steelyard.api.{found.name}") for found in pkgutil.iter_modules(api.__path__)]
    routers = [module.router for module in modules if hasattr(module, "router")]
    for router in [*routers, *map(routes_of, RESOURCES)]:
        for route in router.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                yield from ((route.path_format, method.lower()) for method in route.methods or ())


def test_the_document_is_openapi_3_1(document: Document) -> None:
    assert document.body["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document.body).validate()


def test_every_reference_leads_to_a_schema(document: Document) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document.body)))

    assert names - set(document.body["components"]["schemas"]) == set()


def test_every_schema_is_referred_to(document: Document) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document.body)))

    assert set(document.body["components"]["schemas"]) - names == set()


def test_every_route_is_in_the_document(document: Document) -> None:
    routes = set(_routes())

    assert len(routes) > 20
    assert {(path, method) for path, method in routes if method not in document.body["paths"].get(path, {})} == set()


def test_every_operation_says_what_it_does(document: Document) -> None:
    silent = [
        place
        for place, operation in _operations(document)
        if not (operation.get("summary") and operation.get("description", "").endswith("."))
    ]
    assert silent == []


def test_every_operation_has_an_id_of_its_own(document: Document) -> None:
    ids = [operation["operationId"] for _, operation in _operations(document)]

    assert sorted(ids) == sorted(set(ids))


def test_what_goes_in_and_out_has_a_type(document: Document) -> None:
    untyped = []
    for place, operation in _operations(document):
        bodies = {"body": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            for media, content in body.get("content", {}).items():
                types = {one["type"] for one in document.alternatives(content.get("schema", {}))}
                if media == "application/json" and ANY in types:
                    untyped.append(f"{place} {name}")
    assert untyped == []


def test_every_json_body_names_its_fields(document: Document) -> None:
    named = [
        (place, document.resolve(operation["requestBody"]["content"]["application/json"]["schema"]).get("properties"))
        for place, operation in _operations(document)
        if "application/json" in operation.get("requestBody", {}).get("content", {})
    ]
    assert len(named) > 10
    assert [place for place, properties in named if not properties] == []


def test_the_errors_of_an_operation_are_documented(document: Document) -> None:
    missing = {}
    for place, operation in _operations(document):
        wanted: set[str] = set()
        if place.endswith("/apis/auth/token"):
            continue  # OAuth has the status 400 for all that can be wrong with a request
        if "requestBody" in operation:
            wanted |= _WITH_BODY
        if place.endswith("{name}"):
            wanted |= _ON_A_RECORD
        if any(parameter["name"] == "page" for parameter in operation.get("parameters", [])):
            wanted |= _LIST
        if place.startswith("post") and "requestBody" in operation and ":" not in place:
            wanted |= {"409"}
        if wanted - set(operation["responses"]):
            missing[place] = wanted - set(operation["responses"])
    assert missing == {}


def test_every_error_has_a_detail_and_a_code(document: Document) -> None:
    wrong = []
    for place, operation in _operations(document):
        for status, answer in operation["responses"].items():
            # /health/ready says 503 in its own shape, which probes know.
            if status.startswith(("4", "5")) and not place.endswith("/health/ready"):
                schema = document.resolve(answer["content"]["application/json"]["schema"])
                if not {"detail", "code"} <= set(schema["required"]):
                    wrong.append(f"{place} {status}")
    assert wrong == []
