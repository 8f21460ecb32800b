"""What secrets can beyond what all records can: be read by services, and be sealed under new keys."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions.audit import note_done
from steelyard.actions.rotation import rotate_keys
from steelyard.actions.secrets import access_secret
from steelyard.api import answers
from steelyard.api.operations import answers_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, context_of
from steelyard.records.secrets import SecretAccess, SecretRotation

router = APIRouter(prefix="/apis/secrets/v2", tags=["secrets"], default_response_class=Response)


@router.get(
    "/workspaces/{workspace}/secrets/{name}/access",
    operation_id="access_secret",
    summary="Read the value of a secret",
    responses=answers_of(200, SecretAccess, (403, 404, 422, 503)),
)
async def access(request: Request, workspace: Home, name: str) -> Response:
    """Only where the setting `secrets.access` opens it: else the server uses secrets, and nobody reads them."""
    context = context_of(request)
    value = await access_secret(context, workspace, name)
    await note_done(context, caller_of(request), "secrets.access", "platform-secret", workspace, name)
    shown = {"name": name, "workspace": workspace, "value": value}
    return answers.json(shown)


@router.post(
    "/rotate-encryption-keys",
    operation_id="rotate_encryption_keys",
    summary="Seal all secrets under new keys",
    status_code=202,
    responses=answers_of(202, SecretRotation, (409, 422, 503, 507)),
)
async def rotate(
    request: Request,
    master_key: Annotated[
        bool,
        Query(
            description="First take a new master key: one that the server makes, where it keeps the key itself, or the "
            "one that stands first in `master_key_file`."
        ),
    ] = False,
) -> Response:
    """Every secret of every record, deleted or past, gets a new data key, itself sealed by the master key. It is done
    when answered.
    """
    context, detail = context_of(request), "under a new master key" if master_key else ""
    await note_done(context, caller_of(request), "secrets.rotate", "platform-secret", None, "all", detail)
    done = await rotate_keys(context, master_key=master_key)
    return answers.json({"rotated_secrets": done.rotated, "success": not done.unreadable}, 202)
