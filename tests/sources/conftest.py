"""Real servers to pull from, and a puller that may send to them."""

import ipaddress
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from steelyard.errors import BadReference
from steelyard.outbound.policy import OutboundPolicy
from steelyard.outbound.transport import HttpTransport
from steelyard.records.filesets import FileEntry, Pinned
from steelyard.records.kinds import Fields, Row
from steelyard.records.storage import Storage
from steelyard.sources.rules import SourceRules
from steelyard.sources.sources import ConfiguredSources
from tests.sources.servers import Web, serving

LOOPBACK = OutboundPolicy(allowed_networks=(ipaddress.ip_network("127.0.0.1/32"), ipaddress.ip_network("127.0.0.3/32")))
SECRETS = {"token": "hub-token", "id": "key-id", "key": "key-secret"}


@pytest.fixture
def web() -> Iterator[Web]:
    with serving() as web:
        yield web


@pytest.fixture
def elsewhere() -> Iterator[Web]:
    """A server of another host, from which files may be taken too."""
    with serving("127.0.0.3") as web:
        yield web


async def open_secret(workspace: str, reference: str, field: str) -> str:
    if reference not in SECRETS:
        raise BadReference("there is no such secret", field=field)
    return SECRETS[reference]


def rules(folders: dict[str, Path] | None = None) -> SourceRules:
    hosts = frozenset({"127.0.0.1", "127.0.0.3", "localhost", "files.example"})
    return SourceRules(hosts, folders or {}, attempts=3, pause=0.01, silence_seconds=2.0)


@pytest.fixture
async def sources(tmp_path: Path) -> AsyncIterator[ConfiguredSources]:
    (tmp_path / "shared").mkdir()
    made = ConfiguredSources(HttpTransport(LOOPBACK), rules({"models": tmp_path / "shared"}), open_secret)
    yield made
    await made.close()


def fields(storage: Storage) -> Fields:
    """A storage in stored form."""
    return storage.model_dump(mode="json")


def fileset(pinned: Pinned) -> Row:
    """The record of a fileset that was pinned so."""
    return Row("fileset", "fileset-1", "default", "pulled", 1, "", "", {"storage": pinned.storage})


def entry(pinned: Pinned, path: str) -> FileEntry:
    """A file of it, which nobody has fetched yet."""
    (change,) = (file for file in pinned.files if file.path == path)
    return FileEntry(path, None, change.size, 1, "", change.remote)


async def content(sources: ConfiguredSources, pinned: Pinned, path: str) -> bytes:
    """All bytes of a file."""
    return b"".join([piece async for piece in sources.stream(fileset(pinned), entry(pinned, path))])
