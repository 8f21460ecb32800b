"""What the OpenAPI document says of requests for inference: the fields that the gateway itself reads, and that the
dialects have many more.
"""

from typing import Any

Schema = dict[str, Any]

_MODEL: Schema = {"type": "string", "description": "`workspace/name`, an alias, a virtual model, or `base&adapters/…`."}
_STREAM: Schema = {"type": "boolean", "default": False, "description": "Answer as Server-Sent Events."}
_OBJECTS: Schema = {"type": "array", "items": {"type": "object", "additionalProperties": True}}
_TEXT_OR_LIST: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "object"}}]}

_BODIES: dict[str | None, tuple[Schema, tuple[str, ...]]] = {
    "v1/chat/completions": ({"model": _MODEL, "messages": _OBJECTS, "stream": _STREAM}, ("model", "messages")),
    "v1/responses": ({"model": _MODEL, "input": _TEXT_OR_LIST, "stream": _STREAM}, ("model", "input")),
    "v1/messages": (
        {"model": _MODEL, "messages": _OBJECTS, "max_tokens": {"type": "integer", "minimum": 1}, "stream": _STREAM},
        ("model", "messages", "max_tokens"),
    ),
    "v1/completions": ({"model": _MODEL, "prompt": _TEXT_OR_LIST, "stream": _STREAM}, ("model", "prompt")),
    "v1/embeddings": ({"model": _MODEL, "input": _TEXT_OR_LIST}, ("model", "input")),
    None: ({"model": _MODEL, "stream": _STREAM}, ()),
}

ANY_ANSWER: Schema = {
    "type": "object",
    "additionalProperties": True,
    "properties": {"model": {"type": "string"}, "usage": {"type": "object", "additionalProperties": True}},
}
ERROR: Schema = {
    "type": "object",
    "description": "An error in the shape of the client's dialect, with ours beside it.",
    "required": ["detail", "code", "error"],
    "additionalProperties": True,
    "properties": {
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {"message": {"type": "string"}, "type": {"type": "string"}},
        },
    },
}


def body_of(path: str | None, *, required: bool = True) -> dict[str, Any]:
    """The body of an operation by its path, None for one that may be any."""
    properties, needed = _BODIES[path]
    schema: Schema = {"type": "object", "additionalProperties": True, "properties": properties}
    if needed:
        schema["required"] = list(needed)
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def answers_of(schema: Schema, errors: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation that is no inference: the good one, and errors in the shape of all others."""
    plain = {key: value for key, value in ERROR.items() if key != "description"} | {"required": ["detail", "code"]}
    errors = {422: "A part of the path that no name has.", **errors}
    described = {200: ("Done.", schema), **{status: (what, plain) for status, what in errors.items()}}
    return {
        status: {"description": what, "content": {"application/json": {"schema": shape}}}
        for status, (what, shape) in described.items()
    }
