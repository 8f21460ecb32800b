"""Builds what knows tokens: of the identity provider, of workloads, and those that the server signs itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from time import time
from typing import Any
from urllib.parse import urlsplit

from steelyard.actions.context import Context
from steelyard.actions.identities import Tokens
from steelyard.actions.refusals import Refusals
from steelyard.actions.sign_in import SignIn, fetcher
from steelyard.app.rules import outbound_of
from steelyard.auth.abuse import Attempts
from steelyard.errors import StartupError, Unauthorized
from steelyard.outbound.networks import is_loopback
from steelyard.outbound.transport import HttpTransport, Transport
from steelyard.records.access import Principal
from steelyard.settings import Settings

_OURS = "steelyard"
"""What the server calls itself, its tokens' audience and their client, where the settings do not name them."""
_KEYS = "token-keys.json"


@dataclass(frozen=True, slots=True)
class Believed:
    """What says whose a token is (None: no tokens), what clients are told of it, and the way to issuers."""

    tokens: Tokens | None
    sign_in: SignIn
    transport: Transport | None = None


def believed_of(
    settings: Settings, context: Context, refusals: Refusals, attempts: Attempts, reserved: frozenset[str]
) -> Believed:
    """What the settings say about tokens. `reserved` are names that no token may have. Raises StartupError."""
    auth = settings.auth
    if auth.oidc.issuer is None and not auth.workloads:
        return Believed(None, SignIn(enabled=True))
    # They load what verifies tokens; a server that takes none starts without it.
    from steelyard.actions.exchange import Exchange, ExchangeRules, Workload  # noqa: PLC0415
    from steelyard.auth.claims import ClaimRules, principal_of  # noqa: PLC0415
    from steelyard.auth.issuers import Issuer  # noqa: PLC0415
    from steelyard.auth.signing import SigningKeys  # noqa: PLC0415
    from steelyard.auth.tokens import TokenVerifier, Trusted  # noqa: PLC0415

    oidc, skew = auth.oidc, float(auth.oidc.skew_seconds)
    parts = [[*one.split("|"), ""][:4] for one in auth.workloads]
    workloads = [Workload(url, pattern, who, tuple(scopes.split())) for url, pattern, who, scopes in parts]
    urls = list(dict.fromkeys([*([oidc.issuer] if oidc.issuer else []), *(one.issuer for one in workloads)]))
    transport = _transport(settings, urls)
    issuers = {url: Issuer(url, fetcher(transport), time, float(oidc.refetch_seconds)) for url in urls}
    audience, client_id = oidc.audience or oidc.client_id, oidc.client_id or _OURS
    trusted: dict[str, Trusted] = {}
    if oidc.issuer:
        if audience is None:
            raise StartupError("set auth.oidc.audience or auth.oidc.client_id: a token for anybody is for nobody")
        issuer = oidc.issuer
        rules = ClaimRules(oidc.groups_claim, reserved | {workload.principal for workload in workloads})
        trusted[issuer] = Trusted(issuer, audience, issuers[issuer], lambda claims: principal_of(claims, issuer, rules))
    exchange = None
    if workloads:
        ours = ExchangeRules(workloads, auth.public_url or _OURS, oidc.audience or _OURS, client_id, skew)
        if ours.issuer in issuers:
            raise StartupError("auth.public_url is this server's URL, and no issuer's that it believes")
        for_us = {url: Trusted(url, ours.audience, issuers[url], _nobody) for url in {one.issuer for one in workloads}}
        keys = SigningKeys(settings.data_dir / _KEYS, context.vault, time)
        exchange = Exchange(context, ours, for_us, keys, time, refusals, attempts)
        trusted[ours.issuer] = Trusted(ours.issuer, ours.audience, keys, exchange.principal)
    sign_in = SignIn(
        enabled=True,
        issuer=issuers[oidc.issuer] if oidc.issuer else None,
        client_id=client_id,
        scopes=oidc.scopes,
        public_url=auth.public_url.rstrip("/") if auth.public_url else None,
        workloads=exchange,
    )
    return Believed(TokenVerifier(trusted, time, skew), sign_in, transport)


def _transport(settings: Settings, urls: Iterable[str]) -> HttpTransport:
    """The way to issuers: where the outbound policy leads, and to the hosts that the settings name as issuers, which
    may be private. Raises StartupError for one by http that is not on this machine, nor allowed by name.
    """
    policy, hosts = outbound_of(settings), set()
    for url in urls:
        host = (urlsplit(url).hostname or "").lower()
        if urlsplit(url).scheme != "https" and not is_loopback(host) and host not in policy.allowed_hosts:
            raise StartupError(f"the issuer {url} must be an https URL: others could answer in its name")
        hosts.add(host)
    allowed = replace(policy, allowed_hosts=policy.allowed_hosts | hosts)
    return HttpTransport(allowed, ca_bundle=settings.outbound.ca_bundle)


def _nobody(claims: Mapping[str, Any]) -> Principal:
    """A workload's own token is only traded."""
    raise Unauthorized("the token of a workload is traded at /apis/auth/token, and not taken elsewhere")
