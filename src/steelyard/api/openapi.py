"""The OpenAPI document: what the router knows, and the schemas of the bodies that we read and write ourselves."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from steelyard.api.operations import Described
from steelyard.api.writes import WRITE_PARAMETERS, options_of

_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, or a token of the identity provider; where authentication is on.",
}
_REFERENCES = "#/components/schemas/{model}"


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The document that `/openapi.json` answers."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    models = {model.__name__: model for model in _models(app)}
    _, definitions = models_json_schema([(model, "validation") for model in models.values()], ref_template=_REFERENCES)
    document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
    for route in app.routes:
        if isinstance(route, APIRoute) and any(each.call is options_of for each in route.dependant.dependencies):
            for method in route.methods or ():
                operation = document["paths"][route.path_format][method.lower()]
                operation["parameters"] = [*operation.get("parameters", ()), *WRITE_PARAMETERS]
    document["components"]["securitySchemes"] = {"key": _KEY}
    document["security"] = [{}, {"key": []}]  # neither is wrong: a server without authentication asks nobody
    return document


def _models(app: FastAPI) -> Iterator[type[BaseModel]]:
    """The models of all bodies and answers of the routes."""
    for route in app.routes:
        if isinstance(route, APIRoute):
            for part in (route.openapi_extra, *route.responses.values()):
                if isinstance(part, Described) and part.model is not None:
                    yield part.model
