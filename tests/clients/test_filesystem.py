"""The SDK's file system (`fsspec`) over filesets, which data libraries open paths with."""

import fsspec  # type: ignore[import-not-found,unused-ignore]
import pytest
from nemo_platform import NeMoPlatform  # type: ignore[import-not-found,unused-ignore]

TREE = {"a.txt": b"alpha", "empty": b"", "sub/b.json": b"{}", "sub/deep/c.bin": bytes(range(256)), "sub2/d": b"d"}


@pytest.fixture
def system(sdk: NeMoPlatform) -> fsspec.AbstractFileSystem:
    """The file system, with `TREE` in the fileset `data`."""
    for path, content in TREE.items():
        sdk.files.upload_content(content=content, remote_path=path, fileset="data", fileset_auto_create=True)
    return sdk.files.fsspec


@pytest.fixture
def root(sdk: NeMoPlatform) -> str:
    """The path of the fileset."""
    return f"{sdk.workspace}/data"


def test_folders_are_listed_level_by_level(system: fsspec.AbstractFileSystem, root: str) -> None:
    assert sorted(system.ls(root, detail=False)) == [f"{root}#{name}" for name in ("a.txt", "empty", "sub", "sub2")]
    assert {(one["name"], one["type"], one["size"]) for one in system.ls(f"{root}#sub")} == {
        (f"{root}#sub/b.json", "file", 2),
        (f"{root}#sub/deep", "directory", 0),
    }


def test_everything_below_is_found(system: fsspec.AbstractFileSystem, root: str) -> None:
    assert system.find(root) == [f"{root}#{path}" for path in sorted(TREE)]
    assert system.find(f"{root}#sub") == [f"{root}#sub/b.json", f"{root}#sub/deep/c.bin"]
    assert system.du(f"{root}#sub") == 258


def test_what_is_there_is_told_from_what_is_not(system: fsspec.AbstractFileSystem, root: str) -> None:
    assert (system.isfile(f"{root}#a.txt"), system.isdir(f"{root}#a.txt")) == (True, False)
    assert (system.isfile(f"{root}#sub"), system.isdir(f"{root}#sub")) == (False, True)
    assert [system.exists(f"{root}#{path}") for path in ("sub/b.json", "su", "sub/b", "none")] == [
        True,
        False,
        False,
        False,
    ]
    assert system.exists(f"{root}-none") is False
    assert system.info(f"{root}#sub/deep/c.bin")["size"] == 256


@pytest.mark.parametrize(
    ("start", "end"), [(0, 10), (10, 20), (200, None), (250, 1000), (255, 256), (None, None)], ids=str
)
def test_a_range_is_read(system: fsspec.AbstractFileSystem, root: str, start: int | None, end: int | None) -> None:
    assert system.cat_file(f"{root}#sub/deep/c.bin", start=start, end=end) == bytes(range(256))[start:end]


def test_an_open_file_is_read_from_any_place(system: fsspec.AbstractFileSystem, root: str) -> None:
    with system.open(f"{root}#sub/deep/c.bin", "rb", block_size=16) as file:
        file.seek(100)
        middle = file.read(3)
        file.seek(-2, 2)
        assert (middle, file.read(), file.read()) == (b"def", b"\xfe\xff", b"")
    with system.open(f"{root}#empty", "rb") as file:
        assert file.read() == b""
    with system.open(f"{root}#a.txt", "r") as file:
        assert file.read() == "alpha"


def test_an_open_file_is_written_when_it_is_closed(system: fsspec.AbstractFileSystem, root: str) -> None:
    with system.open(f"{root}#new/n.txt", "wb") as file:
        file.write(b"one ")
        assert system.exists(f"{root}#new/n.txt") is False
        file.write(b"two")

    system.invalidate_cache()
    assert system.cat(f"{root}#new/n.txt") == b"one two"


def test_several_files_are_read_and_removed_at_once(system: fsspec.AbstractFileSystem, root: str) -> None:
    paths = [f"{root}#a.txt", f"{root}#sub/b.json"]

    assert system.cat(paths) == {paths[0]: b"alpha", paths[1]: b"{}"}
    system.rm(paths)
    system.invalidate_cache()

    assert system.find(root) == [f"{root}#{path}" for path in ("empty", "sub/deep/c.bin", "sub2/d")]


def test_a_path_that_is_not_there_is_the_error_of_file_systems(system: fsspec.AbstractFileSystem, root: str) -> None:
    with pytest.raises(FileNotFoundError):
        system.info(f"{root}#none")
    with pytest.raises(FileNotFoundError):
        system.open(f"{root}#none", "rb").read()
