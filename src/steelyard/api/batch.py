"""`POST /apis/steelyard/v1/workspaces/{workspace}:batch`: many writes at once."""

from dataclasses import replace
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.batch import MOST_OPERATIONS, Operation, Result, one_by_one, prepare, together
from steelyard.actions.perform import OnceKey, run_once
from steelyard.actions.writes import Write
from steelyard.api import answers
from steelyard.api.answers import Answer
from steelyard.api.errors import error_body
from steelyard.api.operations import WRITE, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of, parsed, raw_body
from steelyard.api.writes import Options, answer_run, once_key
from steelyard.errors import InvalidInput, SteelyardError
from steelyard.records.forms import Form, validate
from steelyard.records.registry import KINDS
from steelyard.store.protocol import WriteTransaction
from steelyard.store.queries import KeptAnswer

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
    key = once_key(request, body)
    if not asked.atomic and key is not None and not options.dry_run:
        return await _each_once(request, workspace, operations, key)
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


async def _each_once(request: Request, workspace: str, operations: list[Operation], key: OnceKey) -> Answer:
    """Performs each operation for itself, once for the key; one that failed is tried again when it is repeated."""
    context, caller = context_of(request), caller_of(request)

    async def begin(tx: WriteTransaction) -> KeptAnswer:
        return KeptAnswer("", 200, [], "")

    await run_once(context, begin, key, heavy=False)  # whatever comes first under the key decides what it stands for
    documents = []
    for index, operation in enumerate(operations):
        try:
            write = prepare(context, caller, workspace, operation)

            async def run(tx: WriteTransaction, write: Write = write) -> KeptAnswer:
                document = _document(Result(await write.run(tx)), request)
                return KeptAnswer("", 200, [], orjson.dumps(document).decode())

            own = replace(key, scope=f"{key.scope} {index}")
            kept, _ = await run_once(context, run, own, heavy=write.heavy)
            documents.append(orjson.loads(kept.body))
        except SteelyardError as error:
            documents.append(_document(Result(error=error), request))
    applied = sum(1 for document in documents if "error" not in document)
    return answers.json({"applied": applied, "results": documents})


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
