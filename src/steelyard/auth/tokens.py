"""Tokens of others: JSON Web Tokens of the issuers that the settings name, verified and remembered for a moment.

What a token says of where its key is (`jku`, `jwk`, `x5u`, `x5c`) is not looked at: keys come from the issuer alone.
"""

import hashlib
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jwt
import orjson

from steelyard.auth.claims import check_times, invalid_token
from steelyard.auth.key_sets import ALGORITHMS, KeySource
from steelyard.errors import Unauthorized
from steelyard.records.access import Principal

_KINDS = frozenset({None, "jwt", "at+jwt", "application/at+jwt"})
"""Other kinds of tokens (of logouts, of events, of proofs) say nothing about who is calling."""
_KID_LENGTH = 256
_KEPT, _KEPT_SECONDS = 10_000, 300.0
_OPTIONS: Any = {
    "require": ["iss", "sub", "aud", "exp"],
    # Held against our own clock and rules.
    **dict.fromkeys(("verify_exp", "verify_nbf", "verify_iat", "verify_sub", "verify_jti"), False),
}


class Trusted(NamedTuple):
    """An issuer whose tokens are believed: for whom they must be, and who they are about."""

    issuer: str
    audience: str
    keys: KeySource
    principal: Callable[[Mapping[str, Any]], Principal]
    """Raises Unauthorized."""


class _Kept(NamedTuple):
    principal: Principal
    until: float
    keys: KeySource
    version: int


class TokenVerifier:
    """Says whose a token is. `now` are seconds since 1970."""

    def __init__(self, trusted: Mapping[str, Trusted], now: Callable[[], float], skew: float) -> None:
        self._trusted = trusted
        self._now = now
        self._skew = skew
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Whose token it is. Raises Unauthorized; Unavailable if the issuer's keys cannot be had."""
        digest = hashlib.sha256(token.encode()).digest()
        kept = self._kept.get(digest)
        if kept is not None and self._now() < kept.until and kept.version == kept.keys.version:
            return kept.principal
        issuer = unverified_claims(token).get("iss")
        trusted = self._trusted.get(issuer) if isinstance(issuer, str) else None
        if trusted is None:
            raise invalid_token("its issuer is none of this server's")
        claims, ends = await verified_claims(token, trusted, self._now, self._skew)
        principal = trusted.principal(claims)
        keys = trusted.keys
        self._kept[digest] = _Kept(principal, min(ends, self._now() + _KEPT_SECONDS), keys, keys.version)
        self._kept.move_to_end(digest)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return principal


async def verified_claims(
    token: str, trusted: Trusted, now: Callable[[], float], skew: float
) -> tuple[Mapping[str, Any], float]:
    """The claims of a token of that issuer, and when it ends. Raises Unauthorized, Unavailable."""
    kid, algorithm = _header(token)
    key = await trusted.keys.find(kid, algorithm)
    if key is None:
        raise invalid_token("its key is none of its issuer's for that algorithm")
    try:
        claims = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            issuer=trusted.issuer,
            audience=trusted.audience,
            options=_OPTIONS,
        )
    except jwt.InvalidAudienceError:
        raise invalid_token("it is for somebody else (aud)") from None
    except jwt.InvalidIssuerError:
        raise invalid_token("its issuer is another one") from None
    except jwt.MissingRequiredClaimError as error:
        raise invalid_token(f"it lacks {error.claim}") from None
    except (jwt.PyJWTError, ValueError, TypeError):
        raise invalid_token("its signature does not verify") from None
    if "events" in claims or "cnf" in claims:
        raise invalid_token("it is no bearer token")
    return claims, check_times(claims, now(), skew)


def unverified_claims(token: str) -> Mapping[str, Any]:
    """What a token says, which nobody has verified: to find out whom to ask. Raises Unauthorized."""
    return _part(token, 1)


def _header(token: str) -> tuple[str | None, str]:
    header = _part(token, 0)
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise invalid_token("it is not signed by a public-key algorithm that is taken here")
    if kind is not None and (not isinstance(kind, str) or kind.lower() not in _KINDS):
        raise invalid_token("it is another kind of token (typ)")
    if kid is not None and (not isinstance(kid, str) or len(kid) > _KID_LENGTH):
        raise invalid_token("its kid is none")
    if "crit" in header or "b64" in header:
        raise invalid_token("it asks for extensions that are not known here (crit)")
    return kid, algorithm


def _part(token: str, place: int) -> Mapping[str, Any]:
    parts = token.split(".")
    text = parts[place] if len(parts) == 3 else ""
    try:
        said = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Unauthorized(
            "this is no API key (they begin with sy_) and no token (JWT)",
            headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
        )
    return said
