"""The vault: what is sealed opens only with its key and for its record, and a token says nothing of the secret."""

import base64
import os

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from steelyard.auth.key_files import KEY_BYTES
from steelyard.auth.master_keys import KeyRing
from steelyard.auth.vault import Vault
from steelyard.errors import UnreadableSecret

KEY = bytes(range(KEY_BYTES))
secrets = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def vault_of(*keys: bytes) -> Vault:
    """A vault that seals with the first of the keys, and opens with all."""
    return Vault(KeyRing(keys[0], keys[1:]))


@given(secret=secrets, context=secrets)
def test_what_is_sealed_opens_again(secret: str, context: str) -> None:
    vault = vault_of(KEY)
    token = vault.seal(secret, context)
    assert vault.open(token, context) == secret
    assert vault.holds(token, secret, context)
    assert not vault.holds(token, secret + "x", context)
    assert vault_of(KEY).open(token, context) == secret


def test_a_token_hides_its_secret_and_never_repeats() -> None:
    vault = vault_of(KEY)
    tokens = {vault.seal("sk-secret", "model-1:api_endpoint.api_key") for _ in range(50)}
    assert len(tokens) == 50
    for token in tokens:
        assert token.startswith("v2.")
        assert "sk-secret" not in token
        assert base64.b64encode(b"sk-secret")[:8].decode() not in token
        assert KEY.hex() not in token


def test_a_token_is_bound_to_its_record() -> None:
    vault = vault_of(KEY)
    token = vault.seal("s", "model-1:api_endpoint.api_key")
    for other in ("model-2:api_endpoint.api_key", "model-1:other", ""):
        with pytest.raises(UnreadableSecret):
            vault.open(token, other)
        assert not vault.holds(token, "s", other)


def test_another_key_opens_nothing() -> None:
    token = vault_of(KEY).seal("s", "c")
    other = vault_of(KEY[::-1])
    with pytest.raises(UnreadableSecret, match="another master key"):
        other.open(token, "c")
    assert not other.holds(token, "s", "c")


def test_a_key_from_before_opens_and_does_not_seal() -> None:
    old, new = vault_of(KEY), vault_of(KEY[::-1], KEY)
    token = old.seal("s", "c")
    assert new.open(token, "c") == "s"
    assert new.holds(token, "s", "c")
    sealed = new.seal("s", "c")
    with pytest.raises(UnreadableSecret):
        old.open(sealed, "c")
    assert vault_of(KEY[::-1]).open(sealed, "c") == "s"


def test_a_token_of_the_first_version_still_opens() -> None:
    vault, nonce = vault_of(KEY), os.urandom(12)
    sealed = base64.urlsafe_b64encode(nonce + AESGCM(KEY).encrypt(nonce, b"secret", b"c")).decode()
    token = f"v1.{vault.keys.present.id}.{sealed}"
    assert vault.open(token, "c") == "secret"
    with pytest.raises(UnreadableSecret):
        vault.open(token, "d")


def test_a_damaged_token_opens_nothing() -> None:
    vault = vault_of(KEY)
    version, key_id, body = vault.seal("secret", "c").split(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for at in range(len(raw)):
        damaged = bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        token = f"{version}.{key_id}.{base64.urlsafe_b64encode(damaged).decode()}"
        with pytest.raises(UnreadableSecret):
            vault.open(token, "c")
    with pytest.raises(UnreadableSecret):
        vault.open(f"v3.{key_id}.{body}", "c")


@given(st.text(max_size=60))
def test_what_is_no_token_is_unreadable_and_nothing_else(text: str) -> None:
    vault = vault_of(KEY)
    for token in (text, f"v2.{vault.keys.present.id}.{text}", f"v1.{vault.keys.present.id}.{text}"):
        with pytest.raises(UnreadableSecret):
            vault.open(token, "c")
        assert not vault.holds(token, "", "c")
