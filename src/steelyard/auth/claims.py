"""Who a token is about: what its claims say, held against the rules that names have here. Pure functions."""

import re
from collections.abc import Mapping
from math import isfinite
from typing import Any, NamedTuple

from steelyard.errors import Unauthorized
from steelyard.records.access import Principal

SUBJECT = re.compile(r"[A-Za-z0-9@._\-:+/]{1,256}")
MOST_GROUPS = 100
_GROUP = "group:"
_SCOPE_LENGTH, _MOST_SCOPES = 256, 100


class ClaimRules(NamedTuple):
    """How the claims of one issuer are read."""

    groups_claim: str = "groups"
    reserved: frozenset[str] = frozenset()
    """Names that the server has given itself: nobody else's are believed."""


def invalid_token(why: str) -> Unauthorized:
    """The error of a token that is not believed."""
    return Unauthorized(
        f"the token is not believed: {why}", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )


def check_times(claims: Mapping[str, Any], now: float, skew: float) -> float:
    """When the token ends (`exp`), with the skew. Raises Unauthorized if it is not in force now."""
    ends = _time(claims, "exp")
    if ends is None:
        raise invalid_token("it never ends (no exp)")
    if now >= ends + skew:
        raise invalid_token("it has expired")
    begins, made = _time(claims, "nbf"), _time(claims, "iat")
    if begins is not None and begins > now + skew:
        raise invalid_token("it is not in force yet (nbf)")
    if made is not None and made > now + skew:
        raise invalid_token("it was made in the future (iat)")
    return ends + skew


def principal_of(claims: Mapping[str, Any], issuer: str, rules: ClaimRules) -> Principal:
    """Who the claims of a verified token are about. Raises Unauthorized for names that nobody can have here."""
    subject = checked_subject(claims.get("sub"), rules.reserved)
    return Principal(subject, _email(claims), checked_groups(_groups(claims, rules)), issuer, _scopes(claims))


def checked_subject(subject: object, reserved: frozenset[str]) -> str:
    """A subject that somebody else names, if it can be one here. Raises Unauthorized."""
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise invalid_token("its subject must be 1 to 256 of the characters A-Z a-z 0-9 @ . _ - : + /")
    if subject in reserved or subject.startswith(_GROUP):
        raise invalid_token(f"{subject!r} is a name that this server has given itself")
    return subject


def checked_email(email: object) -> str | None:
    """An e-mail address that bindings may name; None for what is none."""
    if isinstance(email, str) and SUBJECT.fullmatch(email) and email.count("@") == 1 and not email.startswith(_GROUP):
        return email
    return None


def checked_groups(groups: list[str]) -> frozenset[str]:
    """The groups that bindings can name. Raises Unauthorized for too many: which ones should count?"""
    if len(groups) > MOST_GROUPS:
        raise invalid_token(f"it names more than {MOST_GROUPS} groups")
    return frozenset(group for group in groups if SUBJECT.fullmatch(_GROUP + group))


def _email(claims: Mapping[str, Any]) -> str | None:
    if claims.get("email_verified") in (False, "false", "False"):
        return None
    return checked_email(claims.get("email"))


def _groups(claims: Mapping[str, Any], rules: ClaimRules) -> list[str]:
    found: Any = claims.get(rules.groups_claim)
    if found is None and "." in rules.groups_claim:
        found = claims  # as `realm_access.roles`
        for part in rules.groups_claim.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _scopes(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """What narrows the token: scopes with a colon. `scp` is how some providers call it, and a list."""
    said = claims.get("scope", claims.get("scp"))
    words = said.split() if isinstance(said, str) else said if isinstance(said, list) else []
    scopes = [word for word in words if isinstance(word, str) and ":" in word]
    if len(scopes) > _MOST_SCOPES or any(len(scope) > _SCOPE_LENGTH for scope in scopes):
        raise invalid_token("it has too many scopes, or too long ones")
    return tuple(dict.fromkeys(scopes))


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise invalid_token(f"{name} is no time")
    return float(value) if abs(value) < 1e15 else 1e15 if value > 0 else -1e15
