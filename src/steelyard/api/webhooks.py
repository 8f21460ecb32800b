"""What webhooks can beyond what all records can: deliveries, status, a new secret, a ping, a redelivery."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from steelyard.actions import webhooks
from steelyard.api import answers
from steelyard.api.operations import READ, WRITE, answers_of, body_of
from steelyard.api.parameters import Home
from steelyard.api.requests import caller_of, conditions_of, context_of, parsed, raw_body
from steelyard.api.writes import Options, answer_write, shape_record
from steelyard.errors import InvalidParameters
from steelyard.records.forms import Form, Shown, validate
from steelyard.records.webhooks import Webhook

router = APIRouter(
    prefix="/apis/steelyard/v1/workspaces/{workspace}/webhooks", tags=["webhooks"], default_response_class=Response
)


class Redeliver(Form):
    """Which change to send again, by its cursor."""

    cursor: Annotated[str, Field(pattern="^[0-9]{1,18}$")]


class DeliveryBody(Shown):
    """One message, however often it was tried. `outcome` is waiting, retrying, delivered or failed.

    `status` and `error` are those of the last attempt. What a receiver answers is not kept.
    """

    message_id: str
    event: str
    cursor: str | None
    trigger: str
    outcome: str
    attempts: int
    status: int | None
    error: str | None
    created_at: str
    last_attempt_at: str | None
    next_attempt_at: str | None


class DeliveryPage(Shown):
    """A page of deliveries, newest first; `next_cursor` is null on the last one."""

    data: list[DeliveryBody]
    total_results: int
    next_cursor: str | None


class WebhookStatus(Shown):
    """How a webhook fares. `health` is ok, failing or disabled."""

    health: str
    cursor: str
    behind: int
    consecutive_failures: int
    failing_since: str | None
    next_attempt_at: str | None
    last_attempt_at: str | None
    last_success_at: str | None
    last_status: int | None
    last_error: str | None
    disabled_reason: str | None


@router.get(
    "/{name}/deliveries",
    operation_id="list_webhook_deliveries",
    summary="List the deliveries of a webhook",
    responses=answers_of(200, DeliveryPage, READ),
)
async def list_deliveries(
    request: Request,
    workspace: Home,
    name: str,
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    cursor: Annotated[str | None, Query(max_length=18, description="`next_cursor` of the page before.")] = None,
) -> Response:
    """What was sent and what came of it, newest first. The newest thousand are remembered."""
    newest = None if cursor is None else _number(cursor)
    found = await webhooks.list_deliveries(context_of(request), workspace, name, newest=newest, limit=page_size)
    following = None if found.following is None else str(found.following)
    return answers.json({"data": found.documents, "total_results": found.total, "next_cursor": following})


def _number(cursor: str) -> int:
    if not cursor.isascii() or not cursor.isdigit():
        raise InvalidParameters.of(("query", "cursor"), "cursor", "send 'next_cursor' as it was answered")
    return int(cursor)


@router.get(
    "/{name}/status",
    operation_id="get_webhook_status",
    summary="Get the status of a webhook",
    responses=answers_of(200, WebhookStatus, READ),
)
async def status(request: Request, workspace: Home, name: str) -> Response:
    """How far it has come, and what has failed since when. It changes with each delivery; the record does not."""
    return answers.json(await webhooks.webhook_status(context_of(request), workspace, name))


@router.post(
    "/{name}:rotate-secret",
    operation_id="rotate_webhook_secret",
    summary="Give a webhook a new secret",
    responses=answers_of(200, Webhook, WRITE),
)
async def rotate_secret(request: Request, workspace: Home, name: str, options: Options) -> Response:
    """The answer holds the new secret, once. For a day, deliveries are signed with the old one too."""
    context, caller = context_of(request), caller_of(request)
    write = webhooks.rotate_secret(context, caller, workspace, name, conditions_of(request))
    return await answer_write(request, write, options, shape_record())


@router.post(
    "/{name}:ping",
    operation_id="ping_webhook",
    summary="Send a test message to a webhook",
    status_code=202,
    responses=answers_of(202, DeliveryBody, READ),
)
async def ping(request: Request, workspace: Home, name: str) -> Response:
    """Sends `webhook.ping`, once, also where the webhook is disabled. The deliveries tell what came of it."""
    return answers.json(await webhooks.ping(context_of(request), caller_of(request), workspace, name), 202)


@router.post(
    "/{name}:redeliver",
    operation_id="redeliver_to_webhook",
    summary="Send a change to a webhook again",
    status_code=202,
    responses=answers_of(202, DeliveryBody, WRITE),
    openapi_extra=body_of(Redeliver),
)
async def redeliver(request: Request, workspace: Home, name: str) -> Response:
    """Sends one change of the workspace again, once, with the id that it had."""
    form = validate(Redeliver, parsed(request, await raw_body(request)))
    context, caller = context_of(request), caller_of(request)
    return answers.json(await webhooks.redeliver(context, caller, workspace, name, int(form.cursor)), 202)
