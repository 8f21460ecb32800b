"""The server's own keys: sealed, kept, turned."""

import json
import stat
from pathlib import Path

import jwt
import pytest

from steelyard.auth.master_keys import KeyRing
from steelyard.auth.signing import SigningKeys
from steelyard.auth.vault import Vault
from steelyard.errors import StartupError
from tests.auth.forging import Clock

_DAY = 86_400


def _opened(folder: Path, clock: Clock, master: bytes = b"m" * 32) -> SigningKeys:
    return SigningKeys(folder / "token-keys.json", Vault(KeyRing(master)), clock)


async def _verifies(keys: SigningKeys, token: str) -> bool:
    found = await keys.find(jwt.get_unverified_header(token)["kid"], "EdDSA")
    return found is not None and jwt.decode(token, found.key, algorithms=["EdDSA"]) == {"sub": "ci"}


async def test_nothing_is_written_before_it_is_needed(tmp_path: Path) -> None:
    keys = _opened(tmp_path, Clock())

    assert not (tmp_path / "token-keys.json").exists()
    assert await keys.find("x", "EdDSA") is None


async def test_a_token_verifies_after_a_restart(tmp_path: Path) -> None:
    clock = Clock()
    token = await _opened(tmp_path, clock).sign({"sub": "ci"})

    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"
    assert await _verifies(_opened(tmp_path, clock), token)


async def test_the_private_key_is_sealed_and_nobody_elses(tmp_path: Path) -> None:
    keys = _opened(tmp_path, Clock())
    await keys.sign({"sub": "ci"})
    file = tmp_path / "token-keys.json"

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())[0]) == {"id", "made_at", "sealed"}
    assert all("d" not in key for key in await keys.published())
    file.chmod(0o644)
    with pytest.raises(StartupError):
        _opened(tmp_path, Clock())


async def test_keys_turn_and_the_one_before_verifies_for_a_while(tmp_path: Path) -> None:
    clock = Clock()
    keys = _opened(tmp_path, clock)
    await keys.sign({"sub": "ci"})
    clock.seconds += 30 * _DAY - 1
    old = await keys.sign({"sub": "ci"})
    clock.seconds += 1
    new = await keys.sign({"sub": "ci"})

    assert len(await keys.published()) == 2
    for opened in (keys, _opened(tmp_path, clock)):
        assert await _verifies(opened, old)
        assert await _verifies(opened, new)
    clock.seconds += 2 * 3600
    later = _opened(tmp_path, clock)
    assert not await _verifies(later, old)
    assert await _verifies(later, new)


@pytest.mark.parametrize("damage", [None, "", "[1]", '[{"id": "a"}]', "{"])
async def test_a_file_that_does_not_open_is_made_anew(tmp_path: Path, damage: str | None) -> None:
    token = await _opened(tmp_path, Clock()).sign({"sub": "ci"})
    if damage is not None:
        (tmp_path / "token-keys.json").write_text(damage)
    keys = _opened(tmp_path, Clock(), b"o" * 32)

    assert not await _verifies(keys, token)
    assert await _verifies(keys, await keys.sign({"sub": "ci"}))
