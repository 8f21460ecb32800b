"""A repository of the shared server, and a client that speaks the Hub's protocol by hand."""

import base64
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import httpx
import pytest

HF = "/apis/files/v2/hf"


class Hub:
    """One repository, as seen by whoever writes the requests of the protocol himself."""

    def __init__(self, http: httpx.Client, repository: str) -> None:
        self.http = http
        self.repository = repository
        self.api = f"{HF}/api/models/{repository}"

    def commit(
        self, *lines: dict[str, Any] | bytes, parent: str | None = None, revision: str = "main"
    ) -> httpx.Response:
        header: dict[str, Any] = {"summary": "a change", "description": ""}
        if parent is not None:
            header["parentCommit"] = parent
        every: Sequence[dict[str, Any] | bytes] = ({"key": "header", "value": header}, *lines)
        body = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in every)
        return self.http.post(f"{self.api}/commit/{revision}", content=body)

    def put(self, files: dict[str, bytes]) -> str:
        """Commits files, and answers the commit's id."""
        answer = self.commit(*(file_line(path, content) for path, content in files.items()))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["commitOid"])

    def batch(self, *objects: dict[str, Any], transfers: Sequence[str] = ("basic", "multipart")) -> httpx.Response:
        body = {"operation": "upload", "transfers": list(transfers), "objects": objects, "hash_algo": "sha256"}
        return self.http.post(f"{HF}/{self.repository}.git/info/lfs/objects/batch", json=body)

    def paths(self, revision: str = "main") -> list[str]:
        return [one["rfilename"] for one in self.http.get(f"{self.api}/revision/{revision}").json()["siblings"]]

    def read(self, path: str, revision: str = "main", **headers: str) -> httpx.Response:
        return self.http.get(f"{HF}/{self.repository}/resolve/{revision}/{path}", headers=headers)


def file_line(path: str, content: bytes) -> dict[str, Any]:
    """A line of a commit that brings a file."""
    encoded = base64.b64encode(content).decode()
    return {"key": "file", "value": {"path": path, "content": encoded, "encoding": "base64"}}


def object_of(content: bytes) -> dict[str, Any]:
    """What a client says of bytes before it sends them."""
    return {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}


@pytest.fixture
def hub(http: httpx.Client, workspace: str) -> Hub:
    """A new repository without files."""
    body = {"name": "repo", "organization": workspace}
    assert http.post(f"{HF}/api/repos/create", json=body).status_code == 200
    return Hub(http, f"{workspace}/repo")
