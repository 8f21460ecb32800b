"""The routes of a kind of record: the same for all kinds, so that what one can, all can."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from steelyard.api.history import history_routes
from steelyard.api.lists import Cursor, FilterText, ListRequest, PageNumber, PageSize, list_records, page_of, sorts_of
from steelyard.api.operations import DELETE, LIST, READ, WRITE, DeleteResponse, answers_of, body_of, dry_run_of, id_of
from steelyard.api.parameters import (
    AtTime,
    Home,
    PastRevision,
    UpdateMask,
    Verbose,
    not_narrowed,
    not_verbose,
    nowhere,
    past_time,
)
from steelyard.api.resource import change_record, create_record, delete_record, freeze_record, read_record
from steelyard.api.writes import Options, Shape, shape_gone
from steelyard.records.kinds import Kind


@dataclass(frozen=True, slots=True)
class Resource:
    """How a kind of record stands in the API.

    `delete_shape` makes the answer to a delete from workspace and name (None: an empty 204); `puts` says that there is
    a PUT, `verbose` that there are parts which are shown on demand, `freezes` that it can be frozen.
    """

    kind: Kind
    prefix: str
    plural: str
    in_workspace: bool = True
    puts: bool = False
    verbose: bool = False
    echo_filter: bool = False
    freezes: bool = False
    created: int = 201
    page_size: int = 100
    delete_shape: Callable[[str, str], Shape] | None = None
    delete_answer: type[BaseModel] = DeleteResponse
    creates: Callable[..., Awaitable[Response]] = create_record
    """How a new one is made, where that takes more than writing a record."""
    create_parameters: Callable[..., Any] = nowhere
    """A dependency for query parameters of the create that are taken and mean nothing here."""
    narrows: Callable[..., Any] = not_narrowed
    """A dependency that reads parameters of the list into a filter, which goes beside that of the caller."""


def routes_of(resource: Resource) -> APIRouter:
    """All routes of one kind."""
    kind, plural = resource.kind, resource.plural
    one = kind.title.lower()
    router = APIRouter(prefix=resource.prefix, tags=[plural], default_response_class=Response)
    home: Any = Home if resource.in_workspace else Annotated[str, Depends(nowhere)]
    verbosity: Any = Verbose if resource.verbose else Annotated[bool, Depends(not_verbose)]
    sorts: Any = sorts_of(kind)
    narrowing: Any = Annotated[Any, Depends(resource.narrows)]

    @router.get(
        "",
        operation_id=f"list_{id_of(plural)}",
        summary=f"List {plural}",
        responses=answers_of(200, page_of(kind.answer), LIST),
    )
    async def list_(
        request: Request,
        workspace: home,
        verbose: verbosity = False,
        page: PageNumber = 1,
        page_size: PageSize = resource.page_size,
        sort: sorts = kind.default_sort,
        cursor: Cursor = None,
        filter: FilterText = None,
        narrowed: narrowing = None,
    ) -> Response:
        """Those of one workspace, or of all (`-`), where they are in workspaces; filtered, sorted, page by page."""
        wanted = ListRequest(page, page_size, sort, cursor)
        return await list_records(
            request,
            kind,
            workspace,
            wanted,
            verbose=verbose,
            echo_filter=resource.echo_filter,
            narrowed=narrowed,
        )

    @router.post(
        "",
        operation_id=f"create_{id_of(one)}",
        summary=f"Create a {one}",
        status_code=resource.created,
        responses=dry_run_of(kind.answer) | answers_of(resource.created, kind.answer, WRITE),
        openapi_extra=body_of(kind.create),
        dependencies=[Depends(resource.create_parameters)],
    )
    async def create(request: Request, workspace: home, options: Options) -> Response:
        """A new record; a name that is taken is 409."""
        return await resource.creates(request, kind, workspace, options, resource.created)

    @router.get(
        "/{name}",
        operation_id=f"get_{id_of(one)}",
        summary=f"Get a {one}",
        responses=answers_of(200, kind.answer, READ, conditional=True),
    )
    async def get(
        request: Request,
        workspace: home,
        name: str,
        verbose: verbosity = False,
        revision: PastRevision = None,
        at: AtTime = None,
    ) -> Response:
        """As it is, or as it was at a revision or a time."""
        return await read_record(request, kind, workspace, name, verbose=verbose, revision=revision, at=past_time(at))

    @router.patch(
        "/{name}",
        operation_id=f"update_{id_of(one)}",
        summary=f"Update a {one}",
        responses=answers_of(200, kind.answer, WRITE),
        openapi_extra=body_of(kind.update, patches=True),
    )
    async def update(
        request: Request,
        workspace: home,
        name: str,
        options: Options,
        verbose: verbosity = False,
        update_mask: UpdateMask = None,
    ) -> Response:
        """Changes what the body names, and answers the record as it is stored.

        As `application/json`, a field that is absent or null keeps its value, and objects and lists replace whole. As
        `application/merge-patch+json` (RFC 7396), null clears and objects merge. As `application/json-patch+json`
        (RFC 6902), the operations are applied in order; a `test` that fails is 412. With `update_mask`, exactly the
        paths of the mask change: one that the body lacks is cleared.
        """
        shown = {"verbose": verbose} if resource.verbose else {}
        return await change_record(request, kind, workspace, name, options, mask=update_mask, **shown)

    if resource.puts:

        @router.put(
            "/{name}",
            operation_id=f"replace_{id_of(one)}",
            summary=f"Replace a {one}",
            responses=answers_of(200, kind.answer, WRITE),
            openapi_extra=body_of(kind.update),
        )
        async def replace(request: Request, workspace: home, name: str, options: Options) -> Response:
            """Sets what the body names; of a workspace the rest is kept, of other kinds it gets its default."""
            return await change_record(request, kind, workspace, name, options, put=True)

    delete_answers = (
        answers_of(200, resource.delete_answer, DELETE) if resource.delete_shape else answers_of(204, None, DELETE)
    )
    if not resource.delete_shape:
        delete_answers |= dry_run_of(kind.answer)

    @router.delete(
        "/{name}",
        operation_id=f"delete_{id_of(one)}",
        summary=f"Delete a {one}",
        status_code=200 if resource.delete_shape else 204,
        responses=delete_answers,
    )
    async def delete(
        request: Request,
        workspace: home,
        name: str,
        options: Options,
        purge: Annotated[bool, Query(description="Keep nothing: no history, no way back.")] = False,
    ) -> Response:
        """Deletes it; `:undelete` brings it back. `X-Steelyard-Dangling` counts the records that still name it."""
        shape = resource.delete_shape(workspace, name) if resource.delete_shape else shape_gone
        return await delete_record(request, kind, workspace, name, options, shape, purge=purge)

    history_routes(router, kind, home)
    if resource.freezes:
        _freeze_routes(router, kind)
    return router


def _freeze_routes(router: APIRouter, kind: Kind) -> None:
    answers = answers_of(200, kind.answer, WRITE)

    @router.post("/{name}:freeze", operation_id="freeze_model", summary="Freeze a model", responses=answers)
    async def freeze(request: Request, workspace: Home, name: str, options: Options) -> Response:
        """Makes its spec, fileset and trust immutable. To take trust back stays allowed."""
        return await freeze_record(request, workspace, name, options, frozen=True)

    @router.post("/{name}:unfreeze", operation_id="unfreeze_model", summary="Unfreeze a model", responses=answers)
    async def unfreeze(request: Request, workspace: Home, name: str, options: Options) -> Response:
        """Lets its spec, fileset and trust be changed again."""
        return await freeze_record(request, workspace, name, options, frozen=False)
