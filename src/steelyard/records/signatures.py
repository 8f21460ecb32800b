"""Signatures of messages, by Standard Webhooks 1.0.0 (symmetric: `v1`, HMAC-SHA256).

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import binascii
import hmac
from collections.abc import Sequence

SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret starts with, and none itself
SECRET_BYTES = 32
_FEWEST_BYTES, _MOST_BYTES = 24, 64


def write_secret(key: bytes) -> str:
    """A key as people pass it on: `whsec_` and base64."""
    return SECRET_PREFIX + base64.b64encode(key).decode()


def read_secret(text: str) -> bytes:
    """The key that `text` spells. Raises ValueError if it is not `whsec_` and the base64 of 24 to 64 bytes."""
    if not text.startswith(SECRET_PREFIX):
        raise ValueError(f"a signing secret starts with {SECRET_PREFIX}")
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"a signing secret is base64 after {SECRET_PREFIX}") from None
    if not _FEWEST_BYTES <= len(key) <= _MOST_BYTES:
        raise ValueError(f"a signing secret has {_FEWEST_BYTES} to {_MOST_BYTES} bytes")
    return key


def signed_headers(message_id: str, timestamp: int, body: bytes, secrets: Sequence[str]) -> list[tuple[str, str]]:
    """The three headers of a message; `timestamp` in seconds since 1970, one signature for each of `secrets`.

    Raises ValueError for what is no secret.
    """
    content = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    signatures = [base64.b64encode(hmac.digest(read_secret(secret), content, "sha256")).decode() for secret in secrets]
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
        ("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures)),
    ]
