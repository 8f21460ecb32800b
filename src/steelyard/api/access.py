"""Who may do what: keys, members, role bindings, and who the caller is."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import bindings, keys
from steelyard.api import answers
from steelyard.api.operations import DeleteResponse, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, identity_of, parsed, raw_body
from steelyard.api.resources import wait_for_roles
from steelyard.records.access import SYSTEM, Binding
from steelyard.records.forms import Form, Shown, validate
from steelyard.records.keys import CreateKeyRequest, KeyBody, Subject, key_document

router = APIRouter(tags=["access"], default_response_class=Response)
_KEYS, _BINDINGS = "/apis/auth/v2/keys", "/apis/auth/v2/iam/role-bindings"
_MEMBERS = "/apis/entities/v2/workspaces/{workspace}/members"
_READ = (400, 401, 403, 404, 412, 422, 503)
_WRITE = (400, 401, 403, 404, 409, 412, 413, 415, 422, 503, 507)


class KeyList(Shown):
    """Keys, in the order in which they were made."""

    data: list[KeyBody]


class WorkspaceMemberInput(Form):
    """Somebody who gets roles: a subject, an e-mail address, `group:name`, or `*` for everybody."""

    principal: Subject | Annotated[str, Field(pattern=r"^\*$")]
    roles: Annotated[list[str], Field(max_length=20)] = ["Editor"]


class WorkspaceMemberUpdate(Form):
    """The roles that somebody has from now on."""

    roles: Annotated[list[str], Field(max_length=20)]


class RoleBindingInput(Form):
    """A role for somebody; without a workspace, for the whole server (`system`)."""

    principal: Subject | Annotated[str, Field(pattern=r"^\*$")]
    role: str
    workspace: str | None = None


class WorkspaceMember(Shown):
    """Somebody with roles in a workspace."""

    principal: str
    roles: list[str]
    granted_at: str | None
    granted_by: str | None


class MemberList(Shown):
    """All members."""

    data: list[WorkspaceMember]


class RoleBinding(Shown):
    """That somebody has a role somewhere."""

    id: str
    name: str
    principal: str
    workspace: str | None
    role: str
    granted_by: str
    granted_at: str
    revoked_at: str | None


class BindingPage(Shown):
    """A page of role bindings."""

    data: list[RoleBinding]
    pagination: dict[str, Any]
    sort: str
    filter: dict[str, Any] | None


class WhoAmI(Shown):
    """Who is calling, and what they may do."""

    authenticated: bool
    subject: str | None
    email: str | None
    groups: list[str]
    issuer: str | None
    key: str | None
    everywhere: list[str]
    workspaces: dict[str, list[str]]


@router.get("/apis/auth/v2/me", operation_id="who_am_i", summary="Who am I?", responses=answers_of(200, WhoAmI, _READ))
async def who_am_i(request: Request) -> Response:
    """Whom the server takes the caller for, and which permissions they have where."""
    identity = request.scope.get("steelyard.identity")
    if identity is None:
        nobody = dict.fromkeys(("subject", "email", "issuer", "key"))
        return answers.json({"authenticated": False, **nobody, "groups": [], "everywhere": [], "workspaces": {}})
    principal, access = identity.principal, identity.access
    return answers.json(
        {
            "authenticated": True,
            "subject": principal.subject,
            "email": principal.email,
            "groups": sorted(principal.groups),
            "issuer": principal.issuer,
            "key": identity.key_id,
            "everywhere": sorted(access.everywhere),
            "workspaces": {name: sorted(has) for name, has in sorted(access.in_workspaces.items())},
        }
    )


@router.post(
    _KEYS,
    operation_id="create_key",
    summary="Create an API key",
    status_code=201,
    responses=answers_of(201, KeyBody, _WRITE),
    openapi_extra=body_of(CreateKeyRequest),
)
async def create_key(request: Request) -> Response:
    """A key of the caller's own, or of a service. Its text is in this answer, and nowhere else."""
    body = parsed(request, await raw_body(request))
    made = await keys.create_key(context_of(request), caller_of(request), identity_of(request), body)
    return answers.json({**key_document(made.key), "key": made.text}, 201)


@router.get(_KEYS, operation_id="list_keys", summary="List API keys", responses=answers_of(200, KeyList, _READ))
async def list_keys(
    request: Request,
    owner: Annotated[str | None, Query(max_length=256, description="Of whom; `*` for all. Unset: the caller.")] = None,
) -> Response:
    """The caller's own; those of others for who may administer keys."""
    caller = caller_of(request)
    wanted = caller.name if owner is None else None if owner == "*" else owner
    found = await keys.list_keys(context_of(request), caller, wanted)
    return answers.json({"data": [key_document(key) for key in found]})


@router.get(
    f"{_KEYS}/{{id}}", operation_id="get_key", summary="Get an API key", responses=answers_of(200, KeyBody, _READ)
)
async def get_key(request: Request, id: str) -> Response:
    """What it is, not its text."""
    return answers.json(key_document(await keys.get_key(context_of(request), caller_of(request), id)))


@router.delete(
    f"{_KEYS}/{{id}}",
    operation_id="revoke_key",
    summary="Revoke an API key",
    responses=answers_of(200, KeyBody, _WRITE),
)
async def revoke_key(request: Request, id: str) -> Response:
    """From the answer on it is worth nothing, and neither are keys that were made with it."""
    return answers.json(key_document(await keys.revoke_key(context_of(request), caller_of(request), id)))


@router.get(_MEMBERS, operation_id="list_members", summary="List members", responses=answers_of(200, MemberList, _READ))
async def list_members(request: Request, workspace: Home) -> Response:
    """Who has roles in a workspace."""
    found = await bindings.list_members(context_of(request), workspace)
    return answers.json({"data": [member._asdict() for member in found]})


@router.post(
    _MEMBERS,
    operation_id="add_member",
    summary="Add a member",
    status_code=201,
    responses=answers_of(201, WorkspaceMember, _WRITE),
    openapi_extra=body_of(WorkspaceMemberInput),
    dependencies=[Depends(wait_for_roles)],
)
async def add_member(request: Request, workspace: Home) -> Response:
    """Gives somebody roles; 409 for a member."""
    body = validate(WorkspaceMemberInput, parsed(request, await raw_body(request)))
    caller = caller_of(request)
    made = await bindings.add_member(context_of(request), caller, workspace, body.principal, body.roles)
    return answers.json(made._asdict(), 201)


@router.put(
    f"{_MEMBERS}/{{principal_id:path}}",
    operation_id="set_member",
    summary="Set the roles of a member",
    responses=answers_of(200, WorkspaceMember, _WRITE),
    openapi_extra=body_of(WorkspaceMemberUpdate),
    dependencies=[Depends(wait_for_roles)],
)
async def set_member(request: Request, workspace: Home, principal_id: str) -> Response:
    """These and no others; the last administrator stays one."""
    body = validate(WorkspaceMemberUpdate, parsed(request, await raw_body(request)))
    principal = validate(WorkspaceMemberInput, {"principal": principal_id}).principal
    made = await bindings.set_member(context_of(request), caller_of(request), workspace, principal, body.roles)
    return answers.json(made._asdict())


@router.delete(
    f"{_MEMBERS}/{{principal_id:path}}",
    operation_id="remove_member",
    summary="Remove a member",
    responses=answers_of(200, DeleteResponse, _WRITE),
    dependencies=[Depends(wait_for_roles)],
)
async def remove_member(request: Request, workspace: Home, principal_id: str) -> Response:
    """Takes all their roles; the last administrator stays."""
    await bindings.remove_member(context_of(request), caller_of(request), workspace, principal_id)
    return answers.json({"message": "Member removed", "id": principal_id})


@router.get(
    _BINDINGS,
    operation_id="list_role_bindings",
    summary="List role bindings",
    responses=answers_of(200, BindingPage, _READ),
)
async def list_role_bindings(
    request: Request,
    page: Annotated[int, Query(ge=1)] = 1,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 10,
    sort: Annotated[str, Query(pattern=r"^-?(granted_at|created_at|principal|role|workspace)$")] = "created_at",
    principal: Annotated[str | None, Query(alias="filter[principal]")] = None,
    workspace: Annotated[str | None, Query(alias="filter[workspace]")] = None,
    role: Annotated[str | None, Query(alias="filter[role]")] = None,
    is_active: Annotated[bool | None, Query(alias="filter[is_active]")] = None,
) -> Response:
    """Those of the workspaces whose bindings the caller may see."""
    found = await bindings.list_bindings(context_of(request), caller_of(request))
    wanted = {"principal": principal, "workspace": workspace, "role": role}
    said = {key: value for key, value in wanted.items() if value is not None}
    found = [one for one in found if all(getattr(one, key) == value for key, value in said.items())]
    if is_active is not None:
        found = [one for one in found if (one.revoked_at is None) == is_active]
    field = sort.removeprefix("-").replace("created_at", "granted_at")
    found.sort(key=lambda one: (getattr(one, field), one.id), reverse=sort.startswith("-"))
    shown = found[(page - 1) * page_size : page * page_size]
    pagination = {
        "page": page,
        "page_size": page_size,
        "current_page_size": len(shown),
        "total_pages": -(-len(found) // page_size),
        "total_results": len(found),
    }
    echoed = {key: {"$eq": value} for key, value in said.items()} or None
    data = [_binding(one) for one in shown]
    return answers.json({"data": data, "pagination": pagination, "sort": sort, "filter": echoed})


@router.post(
    _BINDINGS,
    operation_id="create_role_binding",
    summary="Give a role",
    responses=answers_of(200, RoleBinding, _WRITE),
    openapi_extra=body_of(RoleBindingInput),
    dependencies=[Depends(wait_for_roles)],
)
async def create_role_binding(request: Request) -> Response:
    """In force for the next request."""
    body = validate(RoleBindingInput, parsed(request, await raw_body(request)))
    where = body.workspace or SYSTEM
    made = await bindings.create_binding(context_of(request), caller_of(request), where, body.principal, body.role)
    return answers.json(_binding(made))


@router.get(
    f"{_BINDINGS}/{{name}}",
    operation_id="get_role_binding",
    summary="Get a role binding",
    responses=answers_of(200, RoleBinding, _READ),
)
async def get_role_binding(request: Request, name: str) -> Response:
    """By its name, which is its id."""
    found = await bindings.get_binding(context_of(request), caller_of(request), name)
    etag = _etag(found)
    if conditions_of(request).unchanged_since(etag):
        return Response(status_code=304, headers={"etag": etag})
    return answers.json(_binding(found), headers=[(b"etag", etag.encode())])


@router.delete(
    f"{_BINDINGS}/{{name}}",
    operation_id="delete_role_binding",
    summary="Take a role back",
    responses=answers_of(200, DeleteResponse, _WRITE),
    dependencies=[Depends(wait_for_roles)],
)
async def delete_role_binding(request: Request, name: str) -> Response:
    """In force for the next request; the last administrator stays."""
    context, caller = context_of(request), caller_of(request)
    conditions_of(request).unchanged_since(_etag(await bindings.get_binding(context, caller, name)))
    gone = await bindings.delete_binding(context, caller, name)
    return answers.json({"message": "Role binding revoked", "id": gone.id})


def _etag(one: Binding) -> str:
    """A binding changes once: when it is revoked."""
    return f'"{one.id}.{1 if one.revoked_at is None else 2}"'


def _binding(one: Binding) -> dict[str, Any]:
    return {
        "id": one.id,
        "name": one.id,
        "principal": one.principal,
        "workspace": one.workspace,
        "role": one.role,
        "granted_by": one.granted_by or "system",
        "granted_at": one.granted_at,
        "revoked_at": one.revoked_at,
    }
