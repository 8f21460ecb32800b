"""What the operations of the API have in common, in code and in the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from steelyard.api.errors import ErrorBody, InvalidInputBody
from steelyard.records.forms import Form

BODY_KEY = "x-steelyard-body"

_MEANING = {
    400: "A filter, cursor or reference that cannot be used.",
    403: "Policy says no.",
    404: "There is no such record.",
    409: "It exists already, is built in, or is still referenced.",
    412: "`If-Match` or `If-None-Match` does not hold.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Values that break the rules of their fields.",
    503: "The server is stopping, or its database does not answer.",
    507: "The disk is full; nothing was changed.",
}
_PATCHES = {
    "application/merge-patch+json": {"schema": {"type": "object", "additionalProperties": True}},
    "application/json-patch+json": {
        "schema": {
            "type": "array",
            "maxItems": 1000,
            "items": {
                "type": "object",
                "required": ["op", "path"],
                "properties": {
                    "op": {"enum": ["add", "remove", "replace", "move", "copy", "test"]},
                    "path": {"type": "string"},
                    "from": {"type": "string"},
                    "value": {},
                },
            },
        }
    },
}
READ = (400, 404, 412, 422, 503)
LIST = (400, 422, 503)
WRITE = (400, 403, 404, 409, 412, 413, 415, 422, 503, 507)
DELETE = (404, 409, 412, 422, 503, 507)


class DeleteResponse(BaseModel):
    """That something is deleted."""

    message: str = "Resource deleted successfully."
    id: str


def answers_of(
    status: int, answer: type[BaseModel] | None, errors: tuple[int, ...], *, conditional: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation: the good one, and the errors that it can give."""
    good: dict[str, Any] = {"description": "Done."}
    if answer is not None:
        good["model"] = answer
    found: dict[int | str, dict[str, Any]] = {status: good}
    if conditional:
        found[304] = {"description": "The caller has it already (`If-None-Match`)."}
    for error in errors:
        body: type[BaseModel] = InvalidInputBody if error == 422 else ErrorBody
        found[error] = {"model": body, "description": _MEANING[error]}
    return found


def dry_run_of(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of a dry run, for operations whose own good answer is another one."""
    return {200: {"model": answer, "description": "What a dry run would write."}}


def body_of(form: type[Form], *, patches: bool = False) -> dict[str, Any]:
    """The extra of an operation whose body is read by us, and only described to the framework.

    `patches` says that it comes in the patch dialects too.
    """
    extra: dict[str, Any] = {BODY_KEY: form.__name__}
    if patches:
        extra["requestBody"] = {"required": True, "content": _PATCHES}
    return extra
