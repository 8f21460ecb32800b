"""What the client asks of a repository, and what it raises where something is missing."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import HfApi, RepoFile, RepoFolder
from huggingface_hub.errors import (
    BadRequestError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)


@pytest.fixture
def filled(api: HfApi, repo: str, tmp_path: Path) -> str:
    """A repository with files in folders, of two commits."""
    api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=repo)
    folder = tmp_path / "filled"
    (folder / "m" / "n").mkdir(parents=True)
    (folder / "m" / "n" / "o.txt").write_bytes(b"o")
    (folder / "m" / "p.txt").write_bytes(b"p")
    (folder / "w.bin").write_bytes(bytes(2 << 20))
    api.upload_folder(folder_path=folder, repo_id=repo)
    return repo


def test_a_repository_is_made_once(api: HfApi, workspace: str) -> None:
    url = api.create_repo(f"{workspace}/made")
    with pytest.raises(HfHubHTTPError) as refused:
        api.create_repo(f"{workspace}/made")

    assert refused.value.response.status_code == 409
    assert api.create_repo(f"{workspace}/made", exist_ok=True) == url
    assert (url.repo_id, url.repo_type) == (f"{workspace}/made", "model")


def test_a_name_that_no_fileset_can_have_is_told_so(api: HfApi, workspace: str) -> None:
    with pytest.raises(BadRequestError, match="first a lower-case letter"):
        api.create_repo(f"{workspace}/Llama-3")


def test_a_repository_is_deleted(api: HfApi, repo: str) -> None:
    api.delete_repo(repo)

    assert not api.repo_exists(repo)
    api.delete_repo(repo, missing_ok=True)
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo(repo)


def test_information(api: HfApi, filled: str, workspace: str) -> None:
    info = api.model_info(filled, files_metadata=True)
    sizes = {one.rfilename: one.size for one in info.siblings or []}
    (large,) = [one for one in info.siblings or [] if one.lfs]

    assert (info.id, info.author, info.private) == (filled, workspace, False)
    assert sizes == {"config.json": 2, "m/n/o.txt": 1, "m/p.txt": 1, "w.bin": 2 << 20}
    assert large.lfs is not None
    assert large.lfs.sha256 == hashlib.sha256(bytes(2 << 20)).hexdigest()
    assert [one.id for one in api.list_models(author=workspace, search="rep")] == [filled]


def test_trees_and_paths(api: HfApi, filled: str) -> None:
    top = list(api.list_repo_tree(filled))
    below = list(api.list_repo_tree(filled, "m", recursive=True, expand=True))
    found = api.get_paths_info(filled, ["m", "w.bin", "no"], expand=True)

    assert [(type(one), one.path) for one in top] == [
        (RepoFile, "config.json"),
        (RepoFolder, "m"),
        (RepoFile, "w.bin"),
    ]
    assert [one.path for one in below] == ["m/n", "m/n/o.txt", "m/p.txt"]
    assert sorted(one.path for one in found) == ["m", "w.bin"]
    (last,) = [one.last_commit for one in found if isinstance(one, RepoFile)]
    assert last is not None
    assert last.oid == api.repo_info(filled).sha


def test_what_exists(api: HfApi, filled: str, workspace: str) -> None:
    head = api.repo_info(filled).sha or ""

    assert api.repo_exists(filled)
    assert not api.repo_exists(f"{workspace}/nothing")
    assert api.file_exists(filled, "m/p.txt")
    assert not api.file_exists(filled, "nothing")
    assert api.revision_exists(filled, "main")
    assert api.revision_exists(filled, head)
    assert not api.revision_exists(filled, "dev")


def test_revisions(api: HfApi, filled: str, tmp_path: Path) -> None:
    newest, older, empty = api.list_repo_commits(filled)

    assert api.list_repo_refs(filled).branches[0].target_commit == newest.commit_id
    assert api.list_repo_files(filled, revision=older.commit_id) == ["config.json"]
    assert api.list_repo_files(filled, revision=empty.commit_id) == []
    there = api.snapshot_download(filled, revision=older.commit_id, cache_dir=tmp_path)
    assert [one.name for one in Path(there).iterdir()] == ["config.json"]


def test_a_cache_is_used_again_and_followed(api: HfApi, filled: str, tmp_path: Path) -> None:
    first = Path(api.snapshot_download(filled, cache_dir=tmp_path))
    blob = (first / "w.bin").resolve()
    assert Path(api.hf_hub_download(filled, "w.bin", cache_dir=tmp_path)).resolve() == blob
    assert blob.name == hashlib.sha256(bytes(2 << 20)).hexdigest()

    api.upload_file(path_or_fileobj=b"{ }", path_in_repo="config.json", repo_id=filled)
    second = Path(api.snapshot_download(filled, cache_dir=tmp_path))

    assert (first / "config.json").read_bytes() == b"{}"
    assert (second / "config.json").read_bytes() == b"{ }"
    assert (second / "w.bin").resolve() == blob


def test_a_local_folder(api: HfApi, filled: str, tmp_path: Path) -> None:
    api.snapshot_download(filled, local_dir=tmp_path, allow_patterns="*.txt")

    assert (tmp_path / "m" / "n" / "o.txt").read_bytes() == b"o"
    assert not (tmp_path / "w.bin").exists()


def test_what_is_missing_has_its_own_error(api: HfApi, filled: str, workspace: str) -> None:
    with pytest.raises(RemoteEntryNotFoundError):
        api.hf_hub_download(filled, "nothing")
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree(filled, "nothing"))
    with pytest.raises(RevisionNotFoundError):
        api.hf_hub_download(filled, "config.json", revision="dev")
    with pytest.raises(RepositoryNotFoundError):
        api.hf_hub_download(f"{workspace}/nothing", "config.json")
    with pytest.raises(RepositoryNotFoundError):
        api.repo_info("gpt2")


def test_who_is_asking(api: HfApi) -> None:
    assert api.whoami(token="hf_anything")["name"] == "default"
