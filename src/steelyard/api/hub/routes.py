"""What all routes of the Hub's protocol share: where they stand, and how they say what went wrong.

A repository of the Hub is a fileset here: `workspace/fileset`. Clients decide by the header `X-Error-Code` what kind of
thing is missing, and show people the header `X-Error-Message`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.files.tree import list_files, require_fileset
from steelyard.api import answers
from steelyard.api.requests import caller_of, context_of, limits_of, parsed, read_body
from steelyard.errors import Forbidden, InvalidInput, NotFound, SteelyardError
from steelyard.records.filesets import is_external
from steelyard.records.kinds import Row

BASE = "/apis/files/v2/hf"
HOME_WORKSPACE = "default"
"""The workspace of repositories that are created without one."""
PLURALS = {"model": "models", "dataset": "datasets"}
NO_REPOSITORY, NO_REVISION, NO_ENTRY = "RepoNotFound", "RevisionNotFound", "EntryNotFound"
_CODE = "x-error-code"
_MESSAGE_LENGTH = 500


class Repository(NamedTuple):
    """A fileset as the Hub's clients name it; `type` is `model` or `dataset`, which are the same filesets."""

    type: str
    workspace: str
    name: str

    @property
    def id(self) -> str:
        """`workspace/fileset`."""
        return f"{self.workspace}/{self.name}"


class HubRoute(APIRoute):
    """A route whose errors have the form that clients of the Hub understand."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The handler, with its errors shaped."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except NotFound as error:
                error.headers.setdefault(_CODE, await _what_is_missing(request))
                return error_answer(error)
            except SteelyardError as error:
                return error_answer(error)

        return answer


def hub_router() -> APIRouter:
    """A router for a part of the protocol. Its routes are not in the OpenAPI document: the Hub's clients know them."""
    return APIRouter(prefix=BASE, route_class=HubRoute, include_in_schema=False, default_response_class=Response)


Handler = Callable[..., Awaitable[Response]]


def on_repository(router: APIRouter, path: str, *methods: str, api: bool = True) -> Callable[[Handler], Handler]:
    """Registers a handler for `path` below each repository, as a model and as a dataset.

    `api` says that it stands below `/api/models/`; else it stands where the repository itself does. The handler is
    given the request; `repository_of` tells which repository is meant.
    """

    def register(handler: Handler) -> Handler:
        for type, plural in PLURALS.items():
            place = f"/api/{plural}" if api else "" if type == "model" else f"/{plural}"
            router.add_api_route(
                f"{place}/{{workspace}}/{{name}}{path}",
                handler,
                methods=list(methods or ("GET",)),
                name=f"hub_{type}_{handler.__name__}",
            )
        return handler

    return register


def repository_of(request: Request) -> Repository:
    """The repository that a path names."""
    path: str = request.scope["path"]
    dataset = path.startswith((f"{BASE}/api/datasets/", f"{BASE}/datasets/"))
    values = request.path_params
    return Repository("dataset" if dataset else "model", values["workspace"], values["name"])


def revision_of(request: Request) -> str | None:
    """The revision that a path names, None for the head."""
    revision: str | None = request.path_params.get("revision")
    return None if revision is None else revision.removeprefix("refs/heads/")


def endpoint_of(request: Request) -> str:
    """What the client has as `HF_ENDPOINT`, without a slash at the end."""
    return f"{str(request.base_url).rstrip('/')}{BASE}"


def url_of(request: Request, repository: Repository) -> str:
    """The address of a repository, from which clients read its type and id.

    Its type always stands in it: clients before 1.0 take for the type what is before the workspace.
    """
    return f"{endpoint_of(request)}/{PLURALS[repository.type]}/{quote(repository.id)}"


async def require_writable(request: Request, repository: Repository) -> Row:
    """The fileset of a repository whose files the caller can change. Raises NotFound, Forbidden."""
    row = await require_fileset(context_of(request), repository.workspace, repository.name)
    caller_of(request).require("filesets.update", repository.workspace)
    if is_external(row.fields):
        raise Forbidden("the files of this fileset are those of its source, and can only be read")
    return row


async def json_body(request: Request) -> dict[str, Any]:
    """The body, a JSON object, of whatever media type. Raises BrokenJson, InvalidInput, TooLarge."""
    body = parsed(request, await read_body(request, limits_of(request).batch_body_bytes, "limits.batch_body_bytes"))
    if not isinstance(body, dict):
        raise InvalidInput.of(("body",), "dict_type", "the body must be a JSON object")
    return body


async def _what_is_missing(request: Request) -> str:
    """Whether there is no such repository, no such revision of it, or nothing at that path."""
    values = request.path_params
    if "workspace" not in values:
        return NO_REPOSITORY
    context = context_of(request)
    for code, revision in ((NO_REPOSITORY, None), (NO_REVISION, revision_of(request))):
        try:
            await list_files(context, values["workspace"], values["name"], revision, limit=1)
        except NotFound:
            return code
    return NO_ENTRY


def error_answer(error: SteelyardError, **more: Any) -> Response:
    """An error as the Hub's clients read it; `more` is said beside it."""
    # What is wrong with a value is 422 elsewhere; these clients tell people the reason only with 400.
    status = 400 if isinstance(error, InvalidInput) else error.status
    message = " ".join(error.message.split())
    readable = message[:_MESSAGE_LENGTH].encode("ascii", "replace").decode()
    headers = [(b"x-error-message", readable.encode())]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in error.headers.items()]
    return answers.json({"error": message, "code": error.code, **more}, status, headers)
