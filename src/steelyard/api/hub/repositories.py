"""Making, removing and listing repositories, and who is asking."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.perform import perform
from steelyard.actions.records import list_all
from steelyard.actions.registry import VERBS
from steelyard.api import answers
from steelyard.api.hub.routes import (
    HOME_WORKSPACE,
    NO_REPOSITORY,
    PLURALS,
    Repository,
    error_answer,
    hub_router,
    json_body,
    url_of,
)
from steelyard.api.hub.shown import repository_shown
from steelyard.api.requests import caller_of, context_of
from steelyard.errors import AlreadyExists, InvalidInput, InvalidParameters, NotFound
from steelyard.records.conditions import NONE
from steelyard.records.filesets import FILESET
from steelyard.records.filters.ast import All, Compare, Filter, Operator
from steelyard.store.queries import Query

router = hub_router()

_MOST_LISTED = 1000
_NOBODY = "anonymous"


@router.post("/api/repos/create")
async def create(request: Request) -> Response:
    """A new fileset without files, for models or for a dataset."""
    body = await json_body(request)
    repository = _named(body)
    fileset = {"name": repository.name, "purpose": repository.type}
    write = VERBS[FILESET.name].create(context_of(request), caller_of(request), repository.workspace, fileset, NONE)
    url = url_of(request, repository)
    try:
        written = await perform(context_of(request), write)
    except AlreadyExists as error:
        # Whoever does not mind that it exists reads its address here.
        return error_answer(error, url=url)
    return answers.json({"url": url, "name": repository.id, "id": written.row.id})


@router.delete("/api/repos/delete")
async def delete(request: Request) -> Response:
    """Removes a fileset; the delete can be undone by the API of filesets."""
    repository = _named(await json_body(request))
    write = VERBS[FILESET.name].delete(
        context_of(request), caller_of(request), repository.workspace, repository.name, NONE
    )
    await perform(context_of(request), write)
    return answers.json({"url": url_of(request, repository)})


def _named(body: dict[str, Any]) -> Repository:
    """The repository that a body names, in its own words or as `workspace/name`. Raises InvalidInput."""
    name, workspace = body.get("name"), body.get("organization")
    if isinstance(name, str) and not workspace and name.count("/") == 1:
        workspace, _, name = name.partition("/")
    type = body.get("type") or "model"
    if not isinstance(name, str) or not isinstance(workspace, str | None):
        raise InvalidInput.of(("body", "name"), "string_type", "must name the repository, as text")
    if type not in PLURALS:
        raise InvalidInput.of(("body", "type"), "enum", "must be 'model' or 'dataset': there are no others here")
    return Repository(type, workspace or HOME_WORKSPACE, name)


@router.get("/api/models")
@router.get("/api/datasets")
async def listed(request: Request) -> Response:
    """Filesets, newest first: of a workspace (`author`), with a text in their names (`search`)."""
    query = request.query_params
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST_LISTED):
        raise InvalidParameters.of(("query", "limit"), "limit", f"must be a number from 1 to {_MOST_LISTED}")
    filters: list[Filter] = []
    if search := query.get("search"):
        filters.append(Compare(FILESET.filters["name"], Operator.LIKE, search[:200]))
    if request.scope["path"].endswith("/datasets"):
        filters.append(Compare(FILESET.filters["purpose"], Operator.EQ, "dataset"))
    wanted = Query(
        FILESET.name,
        query.get("author") or None,
        "created_at",
        descending=True,
        limit=int(limit),
        filter=None if not filters else filters[0] if len(filters) == 1 else All(tuple(filters)),
    )
    found = await list_all(context_of(request), FILESET, wanted)
    return answers.json([repository_shown(document) for document in found.documents])


@router.get("/api/whoami-v2")
async def who_am_i(request: Request) -> Response:
    """The caller, nobody without authentication; the name is the workspace of repositories that have none."""
    subject = caller_of(request).name or _NOBODY
    return answers.json(
        {
            "type": "user",
            "id": subject,
            "name": HOME_WORKSPACE,
            "fullname": subject,
            "email": None,
            "isPro": False,
            "orgs": [],
            "auth": {"type": "access_token", "accessToken": {"displayName": subject, "role": "write"}},
        }
    )


@router.post("/api/validate-yaml")
async def validate_yaml(request: Request) -> Response:
    """Nothing is asked of what stands at the top of a README."""
    await json_body(request)
    return answers.json({"errors": [], "warnings": []})


@router.api_route("/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
@router.get("/api/{plural}/{name}/revision/{revision}")
@router.get("/api/{plural}/{name}/tree/{revision}")
@router.get("/api/{plural}/{name}")
async def without_workspace(request: Request) -> Response:
    """A repository without a workspace, as the Hub has had them since its early days; there is none here."""
    raise NotFound(
        f"{request.path_params['name'][:100]!r} is no repository; name it as 'workspace/fileset'",
        headers={"x-error-code": NO_REPOSITORY},
    )
