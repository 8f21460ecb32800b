"""Who is calling is found out by what the store says now."""

from pathlib import Path
from typing import Any

import pytest

from steelyard.actions.identities import Identities
from steelyard.auth.keys import make_key
from steelyard.errors import Unauthorized, Unavailable
from steelyard.records.access import Narrowing
from steelyard.records.keys import ApiKey
from steelyard.store.protocol import WriteTransaction
from tests.contexts import opened


async def test_a_key_is_refused_right_after_it_is_revoked_whatever_fails_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_key()

    async def put(tx: WriteTransaction) -> None:
        await tx.put_key(ApiKey(made.id, "ann", "a", made.digest, "2026", None, None, None, None, Narrowing()))

    async def revoke(tx: WriteTransaction) -> None:
        await tx.revoke_key(made.id, "2026")

    async def fail(_action: object) -> Any:
        raise Unavailable("the disk is away")

    async with opened(tmp_path) as context:
        identities = Identities(context, None)
        assert identities.known(made.text.encode(), None) is None
        await context.store.write(put)
        found = await identities.identify(made.text, None)
        assert identities.known(made.text.encode(), None) is found
        await context.store.write(revoke)
        assert identities.known(made.text.encode(), None) is None
        with monkeypatch.context() as broken:
            broken.setattr(context.store, "read", fail)
            with pytest.raises(Unavailable):
                await identities.identify(made.text, None)
        assert identities.known(made.text.encode(), None) is None
        with pytest.raises(Unauthorized):
            await identities.identify(made.text, None)
