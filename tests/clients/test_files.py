"""The SDK puts files into filesets, gets them back, lists and deletes them: one, a folder, or those of a pattern."""

import io
from pathlib import Path

import pytest
from nemo_platform import NeMoPlatform  # type: ignore[import-not-found,unused-ignore]
from nemo_platform_plugin.client.errors import (  # type: ignore[import-not-found,unused-ignore]
    BadRequestError,
    ConflictError,
    NotFoundError,
)

from tests.clients.checkpoints import read, written

TREE = {
    "a.txt": b"alpha",
    "a.txt.old": b"older",
    "empty": b"",
    "odd name %2F + \u00fc & (1)?.txt": b"odd",
    "sub/b.json": b"{}",
    "sub/deep/c.bin": bytes(range(256)) * 2000,
    "sub2/d.json": b"[]",
}


@pytest.fixture
def tree(sdk: NeMoPlatform, tmp_path: Path) -> None:
    """The fileset `data`, with `TREE`."""
    sdk.files.upload(local_path=written(tmp_path / "tree", TREE), fileset="data", fileset_auto_create=True)


def paths(sdk: NeMoPlatform, remote_path: str = "", fileset: str = "data") -> list[str]:
    return [file.path for file in sdk.files.list(fileset=fileset, remote_path=remote_path).data]


@pytest.mark.usefixtures("tree")
def test_a_folder_goes_up_and_comes_back_as_it_was(sdk: NeMoPlatform, tmp_path: Path) -> None:
    sdk.files.download(fileset="data", local_path=str(tmp_path / "back"))

    assert read(tmp_path / "back") == TREE


@pytest.mark.usefixtures("tree")
def test_a_list_says_what_the_files_are(sdk: NeMoPlatform) -> None:
    answer = sdk.files.list(fileset="data", include_cache_status=True)

    assert {file.path: file.size for file in answer.data} == {path: len(body) for path, body in TREE.items()}
    assert answer.data[0].file_ref == f"{sdk.workspace}/data#a.txt"
    assert answer.data[0].file_url.endswith(f"/apis/files/v2/workspaces/{sdk.workspace}/filesets/data/-/a.txt")
    assert answer.cache_status == "not_cacheable"


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("remote_path", "expected"),
    {
        "": sorted(TREE),
        "sub/": ["sub/b.json", "sub/deep/c.bin"],
        "sub": ["sub/b.json", "sub/deep/c.bin"],
        "sub/deep": ["sub/deep/c.bin"],
        "a.txt": ["a.txt"],
        "a.tx": [],
        "nowhere/": [],
        "*.txt": ["a.txt", "odd name %2F + \u00fc & (1)?.txt"],
        "*/*.json": ["sub/b.json", "sub2/d.json"],
    }.items(),
)
def test_a_list_is_of_a_folder_a_file_or_a_pattern(sdk: NeMoPlatform, remote_path: str, expected: list[str]) -> None:
    assert paths(sdk, remote_path) == expected


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(
    ("remote_path", "expected"),
    [
        ("sub/", {"b.json", "deep/c.bin"}),
        ("sub", {"sub/b.json", "sub/deep/c.bin"}),
        ("*.txt", {"a.txt", "odd name %2F + \u00fc & (1)?.txt"}),
        (["a.txt", "sub/deep/c.bin"], {"a.txt", "sub/deep/c.bin"}),
    ],
    ids=str,
)
def test_a_part_of_a_fileset_is_downloaded(
    sdk: NeMoPlatform, tmp_path: Path, remote_path: str | list[str], expected: set[str]
) -> None:
    sdk.files.download(fileset="data", remote_path=remote_path, local_path=str(tmp_path / "back"))

    assert set(read(tmp_path / "back")) == expected


@pytest.mark.usefixtures("tree")
def test_one_file_is_downloaded_though_the_name_of_another_begins_with_its_name(
    sdk: NeMoPlatform, tmp_path: Path
) -> None:
    sdk.files.download(remote_path="data#a.txt", local_path=str(tmp_path / "here.txt"))

    assert (tmp_path / "here.txt").read_bytes() == b"alpha"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"raw", b"raw", id="bytes"),
        pytest.param("t\u00e9xt", b"t\xc3\xa9xt", id="text"),
        pytest.param(io.BytesIO(b"a file"), b"a file", id="an open file"),
        pytest.param(iter([b"in ", b"chunks"]), b"in chunks", id="chunks"),
    ],
)
def test_content_in_memory_goes_up_whole_or_in_chunks(sdk: NeMoPlatform, content: object, expected: bytes) -> None:
    sdk.files.upload_content(content=content, remote_path="x", fileset="data", fileset_auto_create=True)

    assert sdk.files.download_content(remote_path="data#x") == expected


def test_a_fileset_without_a_name_is_given_one(sdk: NeMoPlatform, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"alpha")

    made = sdk.files.upload(local_path=str(tmp_path / "a.txt"), fileset_auto_create=True)

    assert made.name.startswith("fileset-")
    assert paths(sdk, fileset=made.name) == ["a.txt"]


@pytest.mark.usefixtures("tree")
def test_an_upload_to_a_folder_adds_to_what_is_there(sdk: NeMoPlatform, tmp_path: Path) -> None:
    sdk.files.upload(local_path=str(tmp_path / "tree" / "a.txt"), fileset="data", remote_path="sub/")

    assert paths(sdk, "sub") == ["sub/a.txt", "sub/b.json", "sub/deep/c.bin"]


@pytest.mark.usefixtures("tree")
def test_a_file_is_replaced_and_the_fileset_says_when(sdk: NeMoPlatform) -> None:
    before = sdk.files.filesets.retrieve("data")

    after = sdk.files.upload_content(content=b"alpha and omega", remote_path="a.txt", fileset="data")

    assert sdk.files.download_content(remote_path="data#a.txt") == b"alpha and omega"
    assert after.updated_at > before.updated_at
    assert len(paths(sdk)) == len(TREE)


@pytest.mark.usefixtures("tree")
def test_a_deleted_file_is_gone_and_the_others_stay(sdk: NeMoPlatform) -> None:
    sdk.files.delete(remote_path="data#sub/b.json")

    assert paths(sdk) == [path for path in sorted(TREE) if path != "sub/b.json"]
    with pytest.raises(NotFoundError, match=r"sub/b\.json"):
        sdk.files.download_content(remote_path="data#sub/b.json")
    with pytest.raises(NotFoundError, match=r"sub/b\.json"):
        sdk.files.delete(remote_path="data#sub/b.json")


def test_a_path_names_a_fileset_of_another_workspace(sdk: NeMoPlatform) -> None:
    other = f"{sdk.workspace}-b"
    sdk.workspaces.create(name=other)

    sdk.files.upload_content(content=b"x", remote_path=f"{other}/data#x", fileset_auto_create=True)

    assert sdk.files.download_content(remote_path="data#x", workspace=other) == b"x"
    with pytest.raises(NotFoundError):
        sdk.files.list(fileset="data")


def test_what_is_not_there_is_told(sdk: NeMoPlatform, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="none"):
        sdk.files.list(fileset="none")
    with pytest.raises(NotFoundError, match="none"):
        sdk.files.upload_content(content=b"x", remote_path="none#x")
    with pytest.raises(NotFoundError, match="none"):
        sdk.files.download(fileset="none", local_path=str(tmp_path / "back"))

    assert not (tmp_path / "back").exists()


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("path", ["../x", "a/../../x", "a//x", "a\\x", "x\x00y", "y" * 300, "c:x"])
def test_a_path_that_no_file_can_have_is_refused(sdk: NeMoPlatform, path: str) -> None:
    with pytest.raises(BadRequestError):
        sdk.files.upload_content(content=b"x", remote_path=path, fileset="data")

    assert len(paths(sdk)) == len(TREE)


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("path", ["sub", "a.txt/x"])
def test_nothing_is_both_a_file_and_a_folder(sdk: NeMoPlatform, path: str) -> None:
    with pytest.raises(ConflictError):
        sdk.files.upload_content(content=b"x", remote_path=path, fileset="data")


@pytest.mark.usefixtures("tree")
def test_the_client_under_the_helpers_knows_every_answer(sdk: NeMoPlatform) -> None:
    client = sdk.files.client

    assert client.get_fileset(name="data").data().name == "data"
    assert [fileset.name for fileset in client.list_filesets().items()] == ["data"]
    uploaded = client.upload_file(name="data", path="new/x", content=b"xyz").data()
    assert (uploaded.path, uploaded.size, uploaded.cache_status) == ("new/x", 3, "not_cacheable")
    assert client.download_file(name="data", path="new/x").read() == b"xyz"
    assert client.delete_file(name="data", path="new/x").data() == uploaded
    assert client.delete_fileset(name="data").data().name == "data"
