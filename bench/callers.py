"""Many callers for the benchmark of authentication: keys and roles, put straight into a data folder."""

import asyncio
from pathlib import Path

from steelyard.auth.keys import make_key
from steelyard.records.access import Binding, Narrowing
from steelyard.records.keys import ApiKey
from steelyard.store.protocol import WriteTransaction
from steelyard.store.sqlite import open_store

KEYS, BINDINGS = 10_000, 1_000
_AT = "2026-01-05T08:00:00.000000Z"
_NARROWINGS = (
    Narrowing(),
    Narrowing(workspaces=("default",)),
    Narrowing(scopes=("models:*", "inference:*")),
    Narrowing(scopes=("models:*", "inference:write"), workspaces=("default", "other")),
)


def add_callers(data: Path) -> list[str]:
    """1,000 people who may edit the workspace `default`, half of them through a group of theirs, and ten keys of each,
    of which seven are narrowed. The keys' texts; one person's are far apart.

    No server may have the folder open.
    """
    made = [make_key() for _ in range(KEYS)]
    # half of them end, but not while the benchmark runs
    keys = [
        ApiKey(
            one.id,
            f"person-{number % BINDINGS:04d}",
            f"key-{number // BINDINGS}",
            one.digest,
            _AT,
            "bench",
            "2099-01-01T00:00:00.000000Z" if number % 2 else None,
            None,
            None,
            _NARROWINGS[number // BINDINGS % len(_NARROWINGS)],
            groups=(f"team-{number % BINDINGS:04d}",) if number % 2 else (),
        )
        for number, one in enumerate(made)
    ]
    bindings = [
        Binding(
            f"role-binding-{number:09d}",
            f"group:team-{number:04d}" if number % 2 else f"person-{number:04d}",
            "default",
            "Editor",
            "bench",
            _AT,
        )
        for number in range(BINDINGS)
    ]

    async def action(tx: WriteTransaction) -> None:
        for key in keys:
            await tx.put_key(key)
        for binding in bindings:
            await tx.put_binding(binding)

    async def write() -> None:
        store = open_store(data / "steelyard.db", 1)
        try:
            await store.write(action)
        finally:
            await store.close()

    asyncio.run(write())
    return [one.text for one in made]
