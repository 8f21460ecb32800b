"""A new fileset, which may be of a source."""

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.syncing import create_from_source, start_sync
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body
from steelyard.api.writes import WriteOptions, answer_write, shape_record
from steelyard.records.kinds import Kind


async def create_fileset(
    request: Request, kind: Kind, workspace: str, options: WriteOptions, status: int = 200
) -> Response:
    """A new fileset; where it asks for it (`cache`), all files of its source begin to be fetched."""
    context, caller = context_of(request), caller_of(request)
    body = await raw_body(request)
    document = parsed(request, body)
    write = await create_from_source(context, caller, workspace, document, conditions_of(request))
    answer = await answer_write(request, write, options, shape_record(status), body)
    if answer.status_code == status and not options.dry_run and document.get("cache") and _has_source(document):
        await start_sync(context, caller, workspace, document["name"])
    return answer


def _has_source(document: dict[str, object]) -> bool:
    storage = document.get("storage")
    return isinstance(storage, dict) and (storage.get("type") != "local" or bool(storage.get("path")))
