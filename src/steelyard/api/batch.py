"""`POST /apis/steelyard/v1/workspaces/{workspace}:batch`: many writes at once."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.batch import MOST_OPERATIONS, Operation, Result, one_by_one, together
from steelyard.api import answers
from steelyard.api.answers import Answer
from steelyard.api.errors import error_body
from steelyard.api.operations import WRITE, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of, parsed, raw_body
from steelyard.api.writes import Options, answer_run
from steelyard.errors import InvalidInput
from steelyard.records.forms import Form, validate
from steelyard.records.registry import KINDS

router = APIRouter(prefix="/apis/steelyard/v1", tags=["batch"], default_response_class=Response)

_IN_WORKSPACES = tuple(name for name in KINDS if name != "workspace")
_STATUS = {"create": 201, "delete": 204}


class BatchOperation(Form):
    """One write. `apply` creates the record, or makes it exactly what `body` says."""

    op: Literal["create", "update", "apply", "delete", "undelete", "revert"]
    kind: Annotated[str, Field(json_schema_extra={"enum": list(_IN_WORKSPACES)})]
    name: Annotated[str, Field(min_length=1, max_length=255)]
    body: Any = None
    if_match: str | None = None
    if_none_match: str | None = None
    dialect: Literal["fields", "merge", "json_patch"] = "fields"
    update_mask: str | None = None
    revision: int | None = None


class BatchRequest(Form):
    """Up to 1,000 writes; `atomic` (the default) means all or nothing."""

    operations: Annotated[list[BatchOperation], Field(min_length=1, max_length=MOST_OPERATIONS)]
    atomic: bool = True


class BatchResult(Form):
    """What became of one operation."""

    status: int
    etag: str | None = None
    changed: bool | None = None
    record: dict[str, Any] | None = None
    dry_run: dict[str, Any] | None = None
    error: dict[str, Any] | None = None


class BatchAnswer(Form):
    """One result for each operation, in their order; `applied` counts those that did not fail."""

    applied: int
    results: list[BatchResult]


@router.post(
    "/workspaces/{workspace}:batch",
    operation_id="batch",
    summary="Write many records at once",
    responses=answers_of(200, BatchAnswer, WRITE),
    openapi_extra=body_of(BatchRequest),
)
async def batch(request: Request, workspace: Home, options: Options) -> Response:
    """All operations in one transaction, or with `"atomic": false` each for itself.

    The first operation that fails ends an atomic batch: the answer is its error, with its number as `operation`, and
    nothing has happened.
    """
    context, caller = context_of(request), caller_of(request)
    body = await raw_body(request, batch=True)
    asked = validate(BatchRequest, parsed(request, body))
    operations = [_operation(index, operation) for index, operation in enumerate(asked.operations)]
    if not asked.atomic:
        results = await one_by_one(context, caller, workspace, operations, dry_run=options.dry_run)
        return _answer(results, request)
    prepared = together(context, caller, workspace, operations)
    return await answer_run(
        request,
        lambda tx: prepared.run(tx, show=options.dry_run),
        options,
        lambda results: _answer(results, request),
        body,
    )


def _operation(index: int, form: BatchOperation) -> Operation:
    if form.kind not in _IN_WORKSPACES:
        message = f"unknown kind {form.kind[:100]!r}; kinds: {', '.join(_IN_WORKSPACES)}"
        raise InvalidInput.of(("body", "operations", index, "kind"), "kind", message)
    return Operation(**form.model_dump())


def _answer(results: list[Result], request: Request) -> Answer:
    documents = [_document(result, request) for result in results]
    applied = sum(1 for result in results if result.error is None)
    return answers.json({"applied": applied, "results": documents})


def _document(result: Result, request: Request) -> dict[str, Any]:
    if result.error is not None:
        return {"status": result.error.status, "error": error_body(result.error, request.url.path, request.method)}
    written = result.written
    assert written is not None  # noqa: S101 - a result is an error or a write
    verb = "create" if written.before is None else "delete" if written.after is None else "update"
    document: dict[str, Any] = {
        "status": _STATUS.get(verb, 200),
        "etag": written.row.etag if written.after else None,
        "changed": written.before != written.after,
        "record": written.document if written.after else None,
    }
    if result.preview is not None:
        document["dry_run"] = result.preview.document()
    return document
