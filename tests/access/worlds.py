"""A server that asks everybody who they are, with two workspaces, and somebody of each kind."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from steelyard.records.permissions import PLATFORM_ROLES
from tests.access.table import COLUMNS, Column
from tests.servers import Server, running

OWN, OTHER, MISSING = "own", "other", "never"
"""The workspace in which roles are given, another one, and one that is not there."""
WORKSPACES, BINDINGS = "/apis/entities/v2/workspaces", "/apis/auth/v2/iam/role-bindings"
KEYS = "/apis/auth/v2/keys"
_KEY = re.compile(r"sy_[0-9A-Za-z]{12}_[0-9A-Za-z]{40}")


class World:
    """A running server, and clients of it: `root` is the first administrator's."""

    def __init__(self, server: Server, opened: contextlib.ExitStack) -> None:
        self.server = server
        self._open = opened
        self.url = server.url
        found = _KEY.search(server.log)
        assert found, server.log
        self.root_key = found[0]
        self.root = self.client(self.root_key)
        self._names = 0

    def client(self, key: str | None) -> httpx.Client:
        """A client that says by a key who it is."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self._open.enter_context(httpx.Client(base_url=self.url, headers=headers, timeout=30))

    def name(self, begin: str) -> str:
        """A name that nothing here has."""
        self._names += 1
        return f"{begin}-{self._names}"

    def bind(self, principal: str, role: str, workspace: str) -> str:
        """Gives a role, and answers the id of the binding."""
        body = {"principal": principal, "role": role, "workspace": workspace}
        answer = self.root.post(BINDINGS, json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def key(self, owner: str | None = None, **narrowing: Any) -> str:
        """A key of somebody's."""
        body = {"name": self.name("key"), **({"owner": owner} if owner else {}), **narrowing}
        answer = self.root.post(KEYS, json=body)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["key"])

    def somebody(self, *roles: tuple[str, str], **narrowing: Any) -> httpx.Client:
        """A client of somebody new, who has those roles, each in its workspace."""
        subject = self.name("somebody")
        for role, workspace in roles:
            self.bind(subject, role, workspace)
        return self.client(self.key(subject, **narrowing))

    def workspace(self, name: str | None = None) -> str:
        """A new workspace."""
        name = name or self.name("space")
        assert self.root.post(WORKSPACES, json={"name": name}).status_code == 201
        return name

    def asker(self, column: Column) -> httpx.Client:
        """A client of somebody of that kind."""
        if not column.known:
            return self.client(None)
        if column.role is None:
            return self.somebody()
        workspace = "system" if column.role in PLATFORM_ROLES else OWN
        narrowing = {"scopes": list(column.scopes), "workspaces": [OWN] if column.bounded else []}
        return self.somebody((column.role, workspace), **narrowing)


@contextlib.contextmanager
def world(folder: Path, *settings: str) -> Iterator[World]:
    """A server of that kind for the length of a `with`."""
    given = [part for setting in ("auth.enabled=true", *settings) for part in ("--set", setting)]
    with running(folder / "data", *given) as server, contextlib.ExitStack() as opened:
        yield World(server, opened)


def askers(made: World) -> dict[str, httpx.Client]:
    """Somebody of each column of the matrix."""
    return {column.title: made.asker(column) for column in COLUMNS}
