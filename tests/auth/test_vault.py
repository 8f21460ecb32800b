"""The vault: what is sealed opens only with its key and for its record, and a token says nothing of the secret."""

import base64
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steelyard.auth.vault import KEY_BYTES, Vault, load_master_key
from steelyard.errors import StartupError, UnreadableSecret

KEY = bytes(range(KEY_BYTES))
secrets = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(secret=secrets, context=secrets)
def test_what_is_sealed_opens_again(secret: str, context: str) -> None:
    vault = Vault(KEY)
    token = vault.seal(secret, context)
    assert vault.open(token, context) == secret
    assert vault.holds(token, secret, context)
    assert not vault.holds(token, secret + "x", context)
    assert Vault(KEY).open(token, context) == secret


def test_a_token_hides_its_secret_and_never_repeats() -> None:
    vault = Vault(KEY)
    tokens = {vault.seal("sk-secret", "model-1:api_endpoint.api_key") for _ in range(50)}
    assert len(tokens) == 50
    for token in tokens:
        assert token.startswith("v2.")
        assert "sk-secret" not in token
        assert base64.b64encode(b"sk-secret")[:8].decode() not in token
        assert KEY.hex() not in token


def test_a_token_is_bound_to_its_record() -> None:
    vault = Vault(KEY)
    token = vault.seal("s", "model-1:api_endpoint.api_key")
    for other in ("model-2:api_endpoint.api_key", "model-1:other", ""):
        with pytest.raises(UnreadableSecret):
            vault.open(token, other)
        assert not vault.holds(token, "s", other)


def test_another_key_opens_nothing() -> None:
    token = Vault(KEY).seal("s", "c")
    other = Vault(KEY[::-1])
    with pytest.raises(UnreadableSecret, match="another master key"):
        other.open(token, "c")
    assert not other.holds(token, "s", "c")


def test_a_damaged_token_opens_nothing() -> None:
    vault = Vault(KEY)
    version, key_id, body = vault.seal("secret", "c").split(".")
    raw = bytearray(base64.urlsafe_b64decode(body))
    for at in range(len(raw)):
        damaged = bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        token = f"{version}.{key_id}.{base64.urlsafe_b64encode(damaged).decode()}"
        with pytest.raises(UnreadableSecret):
            vault.open(token, "c")
    with pytest.raises(UnreadableSecret):
        vault.open(f"v3.{key_id}.{body}", "c")


def test_the_key_file_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    key = load_master_key(None, file)
    assert len(key) == KEY_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_master_key(None, file) == key
    assert load_master_key(None, tmp_path / "other.key") != key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    file = tmp_path / "master.key"
    load_master_key(None, file)
    file.chmod(mode)
    with pytest.raises(StartupError, match="chmod 600"):
        load_master_key(None, file)


@pytest.mark.parametrize("text", ["", "short", "not base64!", base64.b64encode(b"k" * 31).decode()])
def test_a_key_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "master.key"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(StartupError, match="32 bytes"):
        load_master_key(None, file)
    with pytest.raises(StartupError, match="master_key must be 32 bytes"):
        load_master_key(text, tmp_path / "unused.key")
    assert not (tmp_path / "unused.key").exists()


def test_a_configured_key_is_taken_and_no_file_made(tmp_path: Path) -> None:
    assert load_master_key(base64.b64encode(KEY).decode(), tmp_path / "master.key") == KEY
    assert list(tmp_path.iterdir()) == []
