"""Folders that the settings name: files below them, and nothing that a link or a path leads to from there."""

import os
from pathlib import Path

import pytest

from steelyard.errors import BadReference, OutboundFailed
from steelyard.records.filesets import Pinned
from steelyard.records.storage import LocalStorage
from steelyard.sources.sources import ConfiguredSources
from tests.sources.conftest import content, entry, fields, fileset


@pytest.fixture
def folder(tmp_path: Path, sources: ConfiguredSources) -> Path:
    folder = tmp_path / "shared"
    (folder / "llama" / "sub").mkdir(parents=True)
    (folder / "llama" / "config.json").write_bytes(b"{}")
    (folder / "llama" / "sub" / "w.bin").write_bytes(b"weights" * 300_000)
    (folder / "llama" / "empty").write_bytes(b"")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(b"secret")
    return folder


async def pin(sources: ConfiguredSources, path: str) -> Pinned:
    return await sources.pin("default", fields(LocalStorage(path=path)))


async def test_the_files_of_a_folder(folder: Path, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, "models/llama")
    assert [file.path for file in pinned.files] == ["config.json", "empty", "sub/w.bin"]
    assert await content(sources, pinned, "sub/w.bin") == b"weights" * 300_000
    assert await content(sources, pinned, "empty") == b""
    assert await sources.read_range(fileset(pinned), entry(pinned, "sub/w.bin"), 7, 7) == b"weights"
    assert (await pin(sources, "models")).files[0].path == "llama/config.json"


@pytest.mark.parametrize("path", ["other", "/etc", "models/../outside", "models/none", "models/llama/config.json", "/"])
async def test_only_named_folders_are_read(folder: Path, sources: ConfiguredSources, path: str) -> None:
    with pytest.raises(BadReference) as caught:
        await pin(sources, path)
    assert str(folder) not in caught.value.message


async def test_links_are_not_followed(folder: Path, sources: ConfiguredSources) -> None:
    (folder / "link").symlink_to(folder.parent / "outside")
    with pytest.raises(BadReference):
        await pin(sources, "models/link")
    with pytest.raises(OutboundFailed, match="link"):
        await pin(sources, "models")
    (folder / "llama" / "file").symlink_to(folder.parent / "outside" / "secret")
    with pytest.raises(OutboundFailed, match="'file'"):
        await pin(sources, "models/llama")


async def test_a_pipe_is_no_file(folder: Path, sources: ConfiguredSources) -> None:
    os.mkfifo(folder / "llama" / "pipe")
    with pytest.raises(OutboundFailed, match="no file"):
        await pin(sources, "models/llama")


@pytest.mark.parametrize("step", ["sub", "sub/w.bin"])
async def test_a_step_that_becomes_a_link_is_not_followed(folder: Path, sources: ConfiguredSources, step: str) -> None:
    pinned = await pin(sources, "models/llama")
    target = folder / "llama" / step
    (folder.parent / "outside" / "w.bin").write_bytes(b"weights" * 300_000)
    moved = folder.parent / "moved"
    target.rename(moved)
    target.symlink_to(folder.parent / "outside" / ("" if step == "sub" else "w.bin"))
    with pytest.raises(OutboundFailed):
        await content(sources, pinned, "sub/w.bin")


async def test_what_was_written_over_is_not_given(folder: Path, sources: ConfiguredSources) -> None:
    pinned = await pin(sources, "models/llama")
    (folder / "llama" / "sub" / "w.bin").write_bytes(b"another" * 300_000)
    with pytest.raises(OutboundFailed, match="changed"):
        await content(sources, pinned, "sub/w.bin")
    (folder / "llama" / "sub" / "w.bin").unlink()
    with pytest.raises(OutboundFailed, match="no longer"):
        await sources.read_range(fileset(pinned), entry(pinned, "sub/w.bin"), 0, 1)
    os.mkfifo(folder / "llama" / "sub" / "w.bin")
    with pytest.raises(OutboundFailed):
        await sources.read_range(fileset(pinned), entry(pinned, "sub/w.bin"), 0, 1)
