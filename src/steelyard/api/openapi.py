"""The OpenAPI document: what the router knows, and the bodies that we read ourselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from steelyard.api.batch import BatchRequest
from steelyard.api.history import Revert
from steelyard.api.operations import BODY_KEY
from steelyard.api.webhooks import Redeliver
from steelyard.records.registry import KINDS

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
    forms = {form.__name__: form for kind in KINDS.values() for form in (kind.create, kind.update)}
    forms |= {form.__name__: form for form in (Revert, BatchRequest, Redeliver)}
    inputs = [(form, "validation") for form in forms.values()]
    references, definitions = models_json_schema(inputs, ref_template=_REFERENCES)  # type: ignore[arg-type]
    document["components"]["schemas"] |= definitions.get("$defs", {})
    for operation in (operation for item in document["paths"].values() for operation in item.values()):
        name = operation.pop(BODY_KEY, None)
        if name is not None:
            schema = references[forms[name], "validation"]
            content = operation.get("requestBody", {}).get("content", {})
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": schema}, **content},
            }
    return document
