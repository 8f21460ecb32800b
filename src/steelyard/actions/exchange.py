"""Trades the token of a workload (a CI job, a pod) for a short-lived one of this server (RFC 8693).

A token can be traded until it expires, and again: a pod's is read by each of its processes, and whenever a quarter of
an hour is over. So it has to be short-lived itself, and each trade is written into the audit, with its `jti`.
"""

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from uuid import uuid4

from steelyard.actions.context import Caller, Context
from steelyard.actions.refusals import Refusals
from steelyard.auth.abuse import Attempts
from steelyard.auth.signing import LIFETIME, SigningKeys
from steelyard.auth.tokens import Trusted, unverified_claims, verified_claims
from steelyard.errors import BadTokenRequest, Unauthorized
from steelyard.records.access import Principal
from steelyard.records.audit import By
from steelyard.records.permissions import SCOPES, covers_scope
from steelyard.store.protocol import WriteTransaction

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a kind
JWT = "urn:ietf:params:oauth:token-type:jwt"
_REQUIRED = ("grant_type", "client_id", "subject_token", "subject_token_type")
_KNOWN = frozenset({*_REQUIRED, "audience", "requested_token_type", "scope", "resource"})
_LONGEST = 86_400.0
"""How long a workload's token may be in force, in seconds: what lasts longer is no token of a job."""


class Workload(NamedTuple):
    """Whose tokens are traded: the issuer, the subjects (a pattern with `*`), whom they become, with which scopes."""

    issuer: str
    pattern: str
    principal: str
    scopes: tuple[str, ...] = ()


class ExchangeRules(NamedTuple):
    """What the settings say about it. `issuer` and `audience` are the server's own, for the tokens that it signs."""

    workloads: Sequence[Workload]
    issuer: str
    audience: str
    client_id: str
    skew: float


class Exchange:
    """Trades tokens. `issuers` are those of the workloads, by URL; `now` are seconds since 1970."""

    def __init__(
        self,
        context: Context,
        rules: ExchangeRules,
        issuers: Mapping[str, Trusted],
        signing: SigningKeys,
        now: Callable[[], float],
        refusals: Refusals,
        attempts: Attempts,
    ) -> None:
        self.rules = rules
        self.signing = signing
        self._context = context
        self._issuers = issuers
        self._now = now
        self._refusals = refusals
        self._attempts = attempts
        self._principals = frozenset(workload.principal for workload in rules.workloads)

    async def exchange(
        self, form: Sequence[tuple[str, str]], address: str | None, request_id: str, where: tuple[str, str]
    ) -> dict[str, Any]:
        """The answer to a request. Raises BadTokenRequest, Unauthorized (the client), RateLimited, Unavailable."""
        self._attempts.check(address, "")
        try:
            return await self._exchange(self._asked(form), address, request_id)
        except (BadTokenRequest, Unauthorized) as error:
            self._attempts.failed(address, "")
            if isinstance(error, BadTokenRequest):  # other refusals are noted by whoever stands at the door
                self._refusals.add(None, address, request_id, *where, error.status)
            raise

    def principal(self, claims: Mapping[str, Any]) -> Principal:
        """Who a token of ours is about. Raises Unauthorized for one whom the settings do not name any more."""
        subject, issuer, scopes = claims.get("sub"), claims.get("workload_issuer"), claims.get("scope")
        if subject not in self._principals:
            raise Unauthorized("the token is of a workload that the settings do not name any more")
        words = scopes.split() if isinstance(scopes, str) else ()
        return Principal(str(subject), None, frozenset(), str(issuer), tuple(words))

    def _asked(self, form: Sequence[tuple[str, str]]) -> dict[str, str]:
        asked = {name: value for name, value in form if value}
        if len({name for name, _ in form if name in _KNOWN}) != sum(name in _KNOWN for name, _ in form):
            raise BadTokenRequest("invalid_request", "a parameter is there twice")
        if asked.get("grant_type", GRANT) != GRANT:
            raise BadTokenRequest("unsupported_grant_type", f"grant_type must be {GRANT}")
        for name in _REQUIRED:
            if name not in asked:
                raise BadTokenRequest("invalid_request", f"{name} is missing")
        if asked["client_id"] != self.rules.client_id:
            raise Unauthorized("there is no client of that id; /apis/auth/discovery says which there is")
        if asked["subject_token_type"] != JWT:
            raise BadTokenRequest("invalid_request", f"subject_token_type must be {JWT}")
        if asked.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
            raise BadTokenRequest("invalid_request", f"requested_token_type must be {ACCESS_TOKEN}")
        if asked.get("audience", self.rules.audience) != self.rules.audience or "resource" in asked:
            raise BadTokenRequest("invalid_target", f"tokens are for {self.rules.audience!r} here")
        return asked

    async def _exchange(self, asked: Mapping[str, str], address: str | None, request_id: str) -> dict[str, Any]:
        claims, workload = await self._workload(asked["subject_token"])
        scopes = _scopes(asked.get("scope", ""), workload.scopes)
        now, id = self._now(), uuid4().hex
        signed: dict[str, Any] = {
            "iss": self.rules.issuer,
            "aud": self.rules.audience,
            "sub": workload.principal,
            "iat": int(now),
            "exp": int(now) + LIFETIME,
            "jti": id,
            "client_id": self.rules.client_id,
            "workload_issuer": workload.issuer,
            "workload_subject": claims["sub"],
        }
        said = {"scope": " ".join(scopes)} if scopes else {}
        token = await self.signing.sign({**signed, **said})
        await self._note(claims, workload, id, address, request_id)
        return {
            "access_token": token,
            "issued_token_type": ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            **said,
        }

    async def _workload(self, token: str) -> tuple[Mapping[str, Any], Workload]:
        """Whose token it is, by the first rule that fits. Raises BadTokenRequest, Unavailable."""
        try:
            trusted = self._issuers.get(str(unverified_claims(token).get("iss")))
            if trusted is None:
                raise BadTokenRequest("invalid_request", "the token's issuer is none of the setting auth.workloads")
            claims, ends = await verified_claims(token, trusted, self._now, self.rules.skew)
        except Unauthorized as error:
            raise BadTokenRequest("invalid_request", f"the workload's token is not taken: {error.message}") from None
        made, subject = claims.get("iat"), claims.get("sub")
        if not isinstance(made, int | float) or ends - made > _LONGEST + self.rules.skew:
            raise BadTokenRequest("invalid_request", "the workload's token must live for a day at most (iat, exp)")
        if isinstance(subject, str) and len(subject) <= 1024:
            for workload in self.rules.workloads:
                if workload.issuer == trusted.issuer and fnmatchcase(subject, workload.pattern):
                    return claims, workload
        raise BadTokenRequest("invalid_request", "the token's subject is none of the setting auth.workloads")

    async def _note(
        self, claims: Mapping[str, Any], workload: Workload, id: str, address: str | None, request_id: str
    ) -> None:
        by = By(None, workload.issuer, address, f"auth.workloads {workload.pattern}")
        caller = Caller(workload.principal, request_id, by=by)
        detail = f"of {claims['sub']}, jti {str(claims.get('jti'))[:200]}"
        entry = caller.entry(self._context.now(), "tokens.exchange", "token", None, id, detail)

        async def action(tx: WriteTransaction) -> None:
            await tx.put_audit(entry)

        await self._context.store.write(action)


def _scopes(asked: str, most: tuple[str, ...]) -> tuple[str, ...]:
    """The scopes that a token gets: those asked for, which must be within the workload's; without any, all of these."""
    wanted = tuple(dict.fromkeys(asked.split()))
    if not wanted:
        return most
    for scope in wanted:
        if scope not in SCOPES:
            raise BadTokenRequest("invalid_scope", f"there is no scope {scope[:100]!r}")
        if most and not covers_scope(most, scope):
            raise BadTokenRequest("invalid_scope", f"the workload may not have the scope {scope!r}")
    return wanted
