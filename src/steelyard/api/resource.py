"""What a request to a record does, whatever its kind: called by the routes, and by the hot path."""

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import history, records
from steelyard.actions.models import freeze_model
from steelyard.actions.registry import VERBS
from steelyard.api import answers
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body, said, said_to_replace
from steelyard.api.writes import Shape, WriteOptions, answer_write, shape_record
from steelyard.errors import InvalidParameters
from steelyard.records.kinds import Kind


async def read_record(
    request: Request,
    kind: Kind,
    workspace: str,
    name: str,
    *,
    verbose: bool = False,
    revision: int | None = None,
    at: str | None = None,
) -> Response:
    """A record as it is, or as it was at a revision or a time."""
    conditions = conditions_of(request)
    if revision is None and at is None:
        row, document = await records.get(context_of(request), kind, workspace, name, verbose=verbose)
    else:
        if revision is not None and at is not None:
            message = "either a revision or a time, not both"
            raise InvalidParameters.of(("query", "at"), "revision_and_time", message)
        row, document = await history.get_past(
            context_of(request), kind, workspace, name, revision=revision, at=at, verbose=verbose
        )
    return answers.not_modified(row) if conditions.unchanged(row) else answers.one(row, document)


async def create_record(
    request: Request, kind: Kind, workspace: str, options: WriteOptions, status: int = 201
) -> Response:
    """A new record."""
    body = await raw_body(request)
    conditions = conditions_of(request)
    write = VERBS[kind.name].create(
        context_of(request), caller_of(request), workspace, parsed(request, body), conditions
    )
    return await answer_write(request, write, options, shape_record(status), body)


async def change_record(
    request: Request,
    kind: Kind,
    workspace: str,
    name: str,
    options: WriteOptions,
    *,
    mask: str | None = None,
    put: bool = False,
    **shown: bool,
) -> Response:
    """A change of a record, in the dialect of the body's media type. `shown` is `verbose`, for kinds that know it."""
    body = await raw_body(request)
    change = said_to_replace(request, body) if put else said(request, body, mask)
    write = VERBS[kind.name].update(
        context_of(request), caller_of(request), workspace, name, change, conditions_of(request), **shown
    )
    return await answer_write(request, write, options, shape_record(), body)


async def delete_record(
    request: Request, kind: Kind, workspace: str, name: str, options: WriteOptions, shape: Shape, *, purge: bool
) -> Response:
    """A delete, which can be undone unless it is a purge."""
    context, caller = context_of(request), caller_of(request)
    write = VERBS[kind.name].delete(context, caller, workspace, name, conditions_of(request))
    if purge:
        write = history.purge(context, caller, write, workspace, name, conditions_of(request))
    return await answer_write(request, write, options, shape)


async def revert_record(request: Request, kind: Kind, workspace: str, name: str, options: WriteOptions) -> Response:
    """A record made what it was at a revision."""
    body = await raw_body(request)
    number = history.read_revert(parsed(request, body))
    write = history.revert(
        context_of(request),
        caller_of(request),
        kind,
        workspace,
        name,
        number,
        conditions_of(request),
        VERBS[kind.name].rules,
    )
    return await answer_write(request, write, options, shape_record(), body)


async def undelete_record(request: Request, kind: Kind, workspace: str, name: str, options: WriteOptions) -> Response:
    """A deleted record brought back."""
    conditions, rules = conditions_of(request), VERBS[kind.name].rules
    write = history.undelete(context_of(request), caller_of(request), kind, workspace, name, conditions, rules)
    return await answer_write(request, write, options, shape_record())


async def freeze_record(
    request: Request, workspace: str, name: str, options: WriteOptions, *, frozen: bool
) -> Response:
    """A model made immutable where it matters, or mutable again."""
    write = freeze_model(
        context_of(request), caller_of(request), workspace, name, conditions_of(request), frozen=frozen
    )
    return await answer_write(request, write, options, shape_record())
