"""Files go up by every way that the client has, and come down as they were."""

import array
import os
import random
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, CommitOperationCopy, CommitOperationDelete, HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RemoteEntryNotFoundError, RevisionNotFoundError

pytestmark = [
    pytest.mark.usefixtures("transport"),
    # The client's own, of how it sends parts.
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


def down(api: HfApi, repo: str, path: str, tmp_path: Path, **options: str) -> bytes:
    return Path(api.hf_hub_download(repo, path, cache_dir=tmp_path / "cache", **options)).read_bytes()


def floats(count: int) -> bytes:
    """Numbers like weights, whose bytes a client regroups before it packs them."""
    normal = random.Random(0).gauss
    return array.array("f", (normal(0, 0.02) for _ in range(count))).tobytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"x", b"text\n" * 100, os.urandom(3 << 20), b"abcd" * (1 << 20), floats(300_000), floats(1001) + b"odd"],
    ids=["empty", "byte", "text", "random", "repeated", "floats", "odd"],
)
def test_a_file_comes_down_as_it_went_up(api: HfApi, repo: str, content: bytes, tmp_path: Path) -> None:
    info = api.upload_file(path_or_fileobj=content, path_in_repo="sub/file.bin", repo_id=repo)

    assert down(api, repo, "sub/file.bin", tmp_path) == content
    assert info.oid == api.repo_info(repo).sha


def test_a_file_larger_than_what_is_sent_at_once(api: HfApi, repo: str, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(5 << 20) * 30)  # 150 MiB, of which most is sent once where chunks are compared
    api.upload_file(path_or_fileobj=path, path_in_repo="large.bin", repo_id=repo)

    assert down(api, repo, "large.bin", tmp_path) == path.read_bytes()


def test_a_folder_goes_up_and_again_without_a_commit(api: HfApi, repo: str, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub" / "deep").mkdir(parents=True)
    files = {"README.md": b"# A model\n", "empty": b"", "sub/w.bin": os.urandom(2 << 20), "sub/deep/c.json": b"{}"}
    for name, content in files.items():
        (folder / name).write_bytes(content)

    first = api.upload_folder(folder_path=folder, repo_id=repo, commit_message="all of it")
    second = api.upload_folder(folder_path=folder, repo_id=repo)
    there = Path(api.snapshot_download(repo, cache_dir=tmp_path / "cache"))

    assert first.oid == second.oid
    assert {name: (there / name).read_bytes() for name in files} == files
    assert sorted(api.list_repo_files(repo)) == sorted(files)


def test_a_folder_replaces_what_its_patterns_say(api: HfApi, repo: str, tmp_path: Path) -> None:
    api.upload_file(path_or_fileobj=b"old", path_in_repo="old.txt", repo_id=repo)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "new.txt").write_bytes(b"new")

    api.upload_folder(folder_path=tmp_path / "folder", repo_id=repo, delete_patterns="*.txt")

    assert api.list_repo_files(repo) == ["new.txt"]


def test_files_that_gitignore_names_stay_at_home(api: HfApi, repo: str, tmp_path: Path) -> None:
    for name in (".gitignore", "a.log", "a.txt"):
        (tmp_path / name).write_text("*.log\n")

    api.upload_folder(folder_path=tmp_path, repo_id=repo)

    assert sorted(api.list_repo_files(repo)) == [".gitignore", "a.txt"]


def test_the_same_bytes_go_up_again_under_another_name_and_in_another_repository(
    api: HfApi, repo: str, workspace: str, tmp_path: Path
) -> None:
    content = os.urandom(2 << 20)
    other = api.create_repo(f"{workspace}/other").repo_id
    for home, name in ((repo, "a.bin"), (repo, "b.bin"), (other, "a.bin")):
        api.upload_file(path_or_fileobj=content, path_in_repo=name, repo_id=home)
        api.upload_file(path_or_fileobj=content + b"more", path_in_repo=f"more-{name}", repo_id=home)

    assert down(api, other, "a.bin", tmp_path) == content
    assert down(api, other, "more-a.bin", tmp_path) == down(api, repo, "more-b.bin", tmp_path) == content + b"more"


def test_operations_of_all_kinds_are_one_commit(api: HfApi, repo: str, tmp_path: Path) -> None:
    large = os.urandom(2 << 20)
    for path, content in {"a.bin": large, "a.txt": b"text", "gone.txt": b"x", "old/b.txt": b"x"}.items():
        api.upload_file(path_or_fileobj=content, path_in_repo=path, repo_id=repo)
    parent = api.repo_info(repo).sha

    info = api.create_commit(
        repo,
        [
            CommitOperationAdd("new.bin", os.urandom(2 << 20)),
            CommitOperationDelete("gone.txt"),
            CommitOperationDelete("old/"),
            CommitOperationCopy("a.bin", "copy.bin"),
            CommitOperationCopy("a.txt", "copy.txt"),
        ],
        commit_message="many things",
        commit_description="in one commit",
        parent_commit=parent,
    )

    assert sorted(api.list_repo_files(repo)) == ["a.bin", "a.txt", "copy.bin", "copy.txt", "new.bin"]
    assert down(api, repo, "copy.bin", tmp_path) == large
    newest, before, *_ = api.list_repo_commits(repo)
    assert (newest.commit_id, newest.title, newest.message) == (info.oid, "many things", "in one commit")
    assert before.commit_id == parent
    assert down(api, repo, "gone.txt", tmp_path, revision=parent or "") == b"x"


def test_a_commit_upon_a_parent_that_is_no_longer_the_head_is_refused(api: HfApi, repo: str) -> None:
    parent = api.repo_info(repo).sha
    api.upload_file(path_or_fileobj=b"one", path_in_repo="a.txt", repo_id=repo)

    with pytest.raises(HfHubHTTPError) as refused:
        api.upload_file(path_or_fileobj=b"two", path_in_repo="b.txt", repo_id=repo, parent_commit=parent)

    assert refused.value.response.status_code == 412
    assert api.list_repo_files(repo) == ["a.txt"]


def test_there_are_no_other_branches_and_no_pull_requests(api: HfApi, repo: str) -> None:
    with pytest.raises(RevisionNotFoundError):
        api.upload_file(path_or_fileobj=b"one", path_in_repo="a.txt", repo_id=repo, revision="dev")
    with pytest.raises(BadRequestError, match="no pull requests"):
        api.upload_file(path_or_fileobj=b"one", path_in_repo="a.txt", repo_id=repo, create_pr=True)


def test_a_file_is_deleted(api: HfApi, repo: str) -> None:
    api.upload_file(path_or_fileobj=b"one", path_in_repo="a.txt", repo_id=repo)
    api.delete_file("a.txt", repo)

    assert api.list_repo_files(repo) == []
    with pytest.raises(RemoteEntryNotFoundError):
        api.delete_file("a.txt", repo)


def test_a_dataset_goes_up_and_down(api: HfApi, workspace: str, tmp_path: Path) -> None:
    repo = api.create_repo(f"{workspace}/data", repo_type="dataset").repo_id
    content = os.urandom(2 << 20)

    api.upload_file(path_or_fileobj=content, path_in_repo="train/a.parquet", repo_id=repo, repo_type="dataset")
    api.upload_file(path_or_fileobj=b"# Data\n", path_in_repo="README.md", repo_id=repo, repo_type="dataset")

    assert down(api, repo, "train/a.parquet", tmp_path, repo_type="dataset") == content
    assert [one.id for one in api.list_datasets(author=workspace)] == [repo]
    assert api.dataset_info(repo).sha == api.list_repo_refs(repo, repo_type="dataset").branches[0].target_commit
