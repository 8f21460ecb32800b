"""API keys as their owners hold them: `sy_<id>_<secret>`. The server keeps the sha256 of the secret, which is random
and long enough that nothing slower is needed; it is shown once, when it is made.
"""

import hashlib
import re
import secrets
from typing import NamedTuple

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZabcdefghjkmnpqrstvwxyz"
_ID_LENGTH, _SECRET_LENGTH = 12, 40
"""40 of 54 characters are 230 bits."""
KEY_BEGINS = "sy_"
_KEY = re.compile(r"sy_([0-9A-Za-z]{12})_([0-9A-Za-z]{40})")


class NewKey(NamedTuple):
    """A key that has just been made."""

    id: str
    text: str
    digest: str


def make_key() -> NewKey:
    """A new key."""
    id, secret = _random(_ID_LENGTH), _random(_SECRET_LENGTH)
    return NewKey(id, f"sy_{id}_{secret}", digest_of(secret))


def read_key(text: str) -> tuple[str, str] | None:
    """The id and the secret of a key; None for what is no key."""
    found = _KEY.fullmatch(text)
    return (found[1], found[2]) if found else None


def digest_of(secret: str) -> str:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def holds(digest: str, secret: str) -> bool:
    """Whether a secret is the one of that digest; it takes as long whatever is wrong."""
    return secrets.compare_digest(digest, digest_of(secret))


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
