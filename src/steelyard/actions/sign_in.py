"""What clients are told of how to sign in, and what the server asks of identity providers for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from steelyard.errors import BadTokenRequest, OutboundFailed
from steelyard.outbound.transport import OutboundRequest, Timeouts, Transport

if TYPE_CHECKING:
    # They load what verifies tokens; a server without an identity provider does without.
    from steelyard.actions.exchange import Exchange
    from steelyard.auth.issuers import Fetch, Issuer

_TIMEOUTS = Timeouts(connect=5.0, read=5.0, total=10.0)
_MOST_BYTES = 262_144
_HEADERS = (("accept", "application/json"), ("accept-encoding", "identity"), ("user-agent", "Steelyard"))
_OFF = "tokens of workloads are not traded here (setting auth.workloads)"


def fetcher(transport: Transport) -> "Fetch":
    """Reads documents of issuers, over a way to other servers that policy bounds."""

    async def fetch(url: str) -> bytes:
        async with transport.open(OutboundRequest("GET", url, _HEADERS, timeouts=_TIMEOUTS)) as answer:
            if answer.status != 200:
                raise OutboundFailed(f"the issuer answers {answer.status}", reason="status")
            body = bytearray()
            async for chunk in answer.chunks():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise OutboundFailed("the issuer's answer is too long", reason="protocol")
        return bytes(body)

    return fetch


@dataclass(frozen=True, slots=True)
class SignIn:
    """How to sign in here. Without authentication there is nothing to say."""

    enabled: bool = False
    issuer: "Issuer | None" = None
    client_id: str | None = None
    scopes: Sequence[str] = ()
    public_url: str | None = None
    workloads: "Exchange | None" = None

    async def discovery(self, url: str) -> Mapping[str, Any]:
        """How clients sign in. `url` is how this one calls the server."""
        if not self.enabled or (self.issuer is None and self.workloads is None):
            return {"auth_enabled": self.enabled, "oidc": None}
        rules = self.workloads.rules if self.workloads is not None else None
        oidc: dict[str, Any] = {
            "issuer": self.issuer.url if self.issuer else rules.issuer if rules else "",
            "client_id": self.client_id or (rules.client_id if rules else ""),
            "default_scopes": " ".join(self.scopes),
            "scope_prefix": None,
            **(await self.issuer.endpoints() if self.issuer else {}),
            "workload_token_exchange_enabled": rules is not None,
            "workload_client_id": rules.client_id if rules else None,
            "workload_token_endpoint": f"{self.public_url or url}/apis/auth/token" if rules else None,
            "workload_audience": rules.audience if rules else None,
            "workload_scope": None,
        }
        return {"auth_enabled": True, "oidc": oidc}

    async def keys(self) -> list[dict[str, str]]:
        """The public keys of the tokens that this server signs."""
        return await self.workloads.signing.published() if self.workloads is not None else []

    async def exchange(
        self, form: Sequence[tuple[str, str]], address: str | None, request_id: str, where: tuple[str, str]
    ) -> Mapping[str, Any]:
        """A token for a workload's. Raises BadTokenRequest, Unauthorized, RateLimited, Unavailable."""
        if self.workloads is None:
            raise BadTokenRequest("invalid_request", _OFF)
        return await self.workloads.exchange(form, address, request_id, where)
