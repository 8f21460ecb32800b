"""The OpenAPI document: what the router knows, and the bodies that we read ourselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from steelyard.api.operations import BODY_KEY
from steelyard.records.forms import Form

_REFERENCES = "#/components/schemas/{model}"


def build_openapi(app: FastAPI) -> dict[str, Any]:
    """The document that `/openapi.json` answers."""
    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    extras = {route.unique_id: route.openapi_extra or {} for route in routes}
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    forms: list[type[Form]] = [extra[BODY_KEY] for extra in extras.values() if BODY_KEY in extra]
    references, definitions = models_json_schema([(form, "validation") for form in forms], ref_template=_REFERENCES)
    document["components"]["schemas"] |= definitions.get("$defs", {})
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        form = operation.pop(BODY_KEY, None)
        if form is not None:
            schema = references[form, "validation"]
            operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return document
