"""How clients sign in: what there is, the server's own keys, and the trade of workloads' tokens (RFC 8693).

These are open: whoever asks has no credential yet.
"""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from steelyard.api import answers
from steelyard.api.operations import answer_of, answers_of
from steelyard.api.requests import header, read_body, server_of
from steelyard.errors import BadTokenRequest, RateLimited, SteelyardError, TooLarge, Unauthorized
from steelyard.records.forms import Shown
from steelyard.scope import REQUEST_ID

router = APIRouter(prefix="/apis/auth", tags=["access"], default_response_class=Response)
_BODY_BYTES = 65_536
_MOST_FIELDS = 32
_FORM = "application/x-www-form-urlencoded"
_NO_STORE = [(b"cache-control", b"no-store")]


class OIDCDiscoveryResponse(Shown):
    """An identity provider, as clients need to know it."""

    issuer: str
    client_id: str
    default_scopes: str
    scope_prefix: str | None
    authorization_endpoint: str | None
    token_endpoint: str | None
    device_authorization_endpoint: str | None
    userinfo_endpoint: str | None
    workload_token_exchange_enabled: bool
    workload_client_id: str | None
    workload_token_endpoint: str | None
    workload_audience: str | None
    workload_scope: str | None


class AuthDiscoveryResponse(Shown):
    """Whether callers must say who they are, and how they can sign in."""

    auth_enabled: bool
    oidc: OIDCDiscoveryResponse | None


class JsonWebKeySetResponse(Shown):
    """Public keys (RFC 7517)."""

    keys: list[dict[str, Any]]


class WorkloadTokenExchangeResponse(Shown):
    """A token of this server, for a while."""

    access_token: str
    issued_token_type: str
    token_type: str
    expires_in: int
    scope: str | None = None


class WorkloadTokenExchangeErrorResponse(Shown):
    """Why there is none: in OAuth's words (RFC 6749, 5.2), and beside them as any error says it."""

    error: str
    error_description: str
    detail: str
    code: str


@router.get(
    "/discovery",
    operation_id="auth_discovery",
    summary="How to sign in",
    responses=answers_of(200, AuthDiscoveryResponse, ()),
)
async def discovery(request: Request) -> Response:
    """Addresses are null while the identity provider does not answer."""
    host = (header(request, b"host") or b"").decode("latin-1")
    return answers.json(await server_of(request).sign_in.discovery(f"{request.scope['scheme']}://{host}"))


@router.get(
    "/jwks",
    operation_id="auth_jwks",
    summary="The server's own public keys",
    responses=answers_of(200, JsonWebKeySetResponse, (503,)),
)
async def jwks(request: Request) -> Response:
    """Those which it signs tokens of workloads with; none where it signs none."""
    keys = await server_of(request).sign_in.keys()
    return answers.json({"keys": keys}, headers=[(b"cache-control", b"max-age=300")])


@router.post(
    "/token",
    operation_id="auth_token",
    summary="Trade a workload's token",
    responses={
        **answers_of(200, WorkloadTokenExchangeResponse, ()),
        **answer_of(400, "The request is wrong, or the token is not taken.", WorkloadTokenExchangeErrorResponse),
        **answer_of(401, "There is no such client.", WorkloadTokenExchangeErrorResponse),
        **answer_of(429, "Too many trades have failed.", WorkloadTokenExchangeErrorResponse),
        **answer_of(503, "The token's issuer does not answer.", WorkloadTokenExchangeErrorResponse),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                _FORM: {
                    "schema": {
                        "type": "object",
                        "required": ["grant_type", "client_id", "subject_token", "subject_token_type"],
                        "properties": {
                            name: {"type": "string"}
                            for name in (
                                *("grant_type", "client_id", "subject_token", "subject_token_type"),
                                *("audience", "requested_token_type", "scope"),
                            )
                        },
                    }
                }
            },
        }
    },
)
async def token(request: Request) -> Response:
    """The token of a CI job or a pod for one of this server, by the setting `auth.workloads` (RFC 8693)."""
    scope = request.scope
    client = scope.get("client")
    try:
        form = await _form(request)
        made = await server_of(request).sign_in.exchange(
            form, client[0] if client else None, scope[REQUEST_ID], (scope["method"], scope["path"])
        )
    except SteelyardError as error:
        return _refused(error)
    return answers.json(made, headers=_NO_STORE)


async def _form(request: Request) -> list[tuple[str, str]]:
    kind = (header(request, b"content-type") or b"").decode("latin-1").partition(";")[0].strip().lower()
    if kind != _FORM:
        raise BadTokenRequest("invalid_request", f"the body must be {_FORM}")
    try:
        body = await read_body(request, _BODY_BYTES, "none: it is fixed")
        return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except TooLarge:
        raise BadTokenRequest("invalid_request", f"the body is larger than {_BODY_BYTES} bytes") from None
    except ValueError:
        raise BadTokenRequest("invalid_request", "the body is no form that can be read") from None


def _refused(error: SteelyardError) -> Response:
    """In OAuth's words. A 401 is about the client."""
    name = "temporarily_unavailable" if error.status >= 500 else "invalid_request"
    if isinstance(error, BadTokenRequest):
        name = error.error
    elif isinstance(error, Unauthorized):
        name = "invalid_client"
    elif isinstance(error, RateLimited):
        name = "slow_down"
    headers = [(key.lower().encode(), value.encode()) for key, value in error.headers.items()]
    body = {"error": name, "error_description": error.message, "detail": error.message, "code": error.code}
    return answers.json(body, error.status, headers=[*_NO_STORE, *headers])
