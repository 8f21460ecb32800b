"""What the operations of the API have in common, in code and in the OpenAPI document."""

from typing import Any

from pydantic import BaseModel

from steelyard.api.errors import ErrorBody, InvalidInputBody
from steelyard.records.forms import Form, Shown

_MEANING = {
    400: "A filter, cursor or reference that cannot be used.",
    401: "Nobody has said who they are, or nobody believes it.",
    403: "Policy says no, or a permission is missing.",
    404: "There is no such record.",
    409: "It exists already, is built in, or is still referenced.",
    410: "What was there is kept no longer.",
    412: "`If-Match` or `If-None-Match` does not hold.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    416: "The range begins past the end.",
    422: "Values that break the rules of their fields.",
    460: "A checksum that is not that of the bytes (tus).",
    500: "The bytes are damaged on the server.",
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


class DeleteResponse(Shown):
    """That something is deleted."""

    message: str = "Resource deleted successfully."
    id: str


def id_of(text: str) -> str:
    """A name of things as a part of an operation's id."""
    return text.replace(" ", "_")


class Described(dict[str, Any]):
    """A part of the OpenAPI document that refers to the schema of `model`.

    The framework would build a validator for each model of each answer of each operation, six hundred of them, whenever
    the server starts; this says the same when somebody asks for the document.
    """

    def __init__(self, part: dict[str, Any], model: type[BaseModel] | None = None) -> None:
        super().__init__(part)
        self.model = model


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """A reference to the schema of `model`."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _answer(description: str, model: type[BaseModel] | None = None) -> Described:
    content = {"application/json": {"schema": schema_of(model)}} if model else None
    return Described({"description": description} | ({"content": content} if content else {}), model)


def answers_of(
    status: int, answer: type[BaseModel] | None, errors: tuple[int, ...], *, conditional: bool = False
) -> dict[int | str, dict[str, Any]]:
    """The answers of an operation: the good one, and the errors that it can give."""
    found: dict[int | str, dict[str, Any]] = {status: _answer("Done.", answer)}
    if conditional:
        found[304] = _answer("The caller has it already (`If-None-Match`).")
    for error in errors:
        found[error] = _answer(_MEANING[error], InvalidInputBody if error == 422 else ErrorBody)
    return found


def answer_of(status: int, description: str, answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """One answer more."""
    return {status: _answer(description, answer)}


def dry_run_of(answer: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """The answer 200 of a dry run, for operations whose own good answer is another one."""
    return answer_of(200, "What a dry run would write.", answer)


def body_of(form: type[Form], *, patches: bool = False) -> Described:
    """The extra of an operation whose body is read by us, and only described to the framework.

    `patches` says that it comes in the patch dialects too.
    """
    content = {"application/json": {"schema": schema_of(form)}} | (_PATCHES if patches else {})
    return Described({"requestBody": {"required": True, "content": content}}, form)
