"""Repositories as a file system."""

import os
from pathlib import Path

import pytest
from huggingface_hub import HfApi, HfFileSystem

LARGE = os.urandom(2 << 20)


@pytest.fixture
def home(fs: HfFileSystem, repo: str) -> str:
    """A repository with a large file and two small ones."""
    for path, content in {"w.bin": LARGE, "m/a.txt": b"a", "m/n/b.txt": b"b"}.items():
        fs.pipe_file(f"{repo}/{path}", content)
    return repo


def test_listing(fs: HfFileSystem, home: str) -> None:
    assert fs.ls(home, detail=False) == [f"{home}/m", f"{home}/w.bin"]
    assert fs.find(home) == [f"{home}/m/a.txt", f"{home}/m/n/b.txt", f"{home}/w.bin"]
    assert fs.glob(f"{home}/**/*.txt") == [f"{home}/m/a.txt", f"{home}/m/n/b.txt"]
    assert fs.info(f"{home}/w.bin")["size"] == len(LARGE)
    assert fs.isdir(f"{home}/m")
    assert not fs.exists(f"{home}/nothing")


def test_ranges(fs: HfFileSystem, home: str) -> None:
    with fs.open(f"{home}/w.bin", "rb", block_size=1000) as file:
        file.seek(100_000)
        assert file.read(50) == LARGE[100_000:100_050]
        file.seek(-10, os.SEEK_END)
        assert file.read(50) == LARGE[-10:]
    assert fs.cat_file(f"{home}/w.bin", start=5, end=9) == LARGE[5:9]
    with fs.open(f"{home}/w.bin", "rb", block_size=0) as stream:
        assert stream.read() == LARGE


def test_writing(fs: HfFileSystem, home: str, tmp_path: Path) -> None:
    (tmp_path / "put.txt").write_bytes(b"put")
    fs.put(str(tmp_path / "put.txt"), f"{home}/put/put.txt")
    with fs.open(f"{home}/w.txt", "w") as file:
        file.write("written")
    fs.cp_file(f"{home}/w.bin", f"{home}/copy.bin")

    assert fs.cat_file(f"{home}/put/put.txt") == b"put"
    assert fs.read_text(f"{home}/w.txt") == "written"
    assert fs.cat_file(f"{home}/copy.bin") == LARGE


def test_removing(fs: HfFileSystem, home: str) -> None:
    fs.rm(f"{home}/m", recursive=True)
    fs.rm(f"{home}/w.bin")

    assert fs.find(home) == []


def test_older_states(fs: HfFileSystem, api: HfApi, home: str) -> None:
    commit = api.repo_info(home).sha
    fs.pipe_file(f"{home}/w.bin", b"other")

    assert fs.cat_file(f"{home}@{commit}/w.bin") == LARGE
    assert fs.cat_file(f"{home}/w.bin") == b"other"
