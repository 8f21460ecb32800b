"""`steelyard files`, `filesets`, `adapters` and `fsck` against real servers."""

import json
from pathlib import Path

import httpx
import pytest

from tests.insight.checkpoints import make_fileset, make_model, safetensors, tiny_files
from tests.servers import running

from .conftest import Steelyard, done


@pytest.fixture
def texts(http: httpx.Client, workspace: str) -> str:
    """A fileset of three small files."""
    make_fileset(http, workspace, "texts", {"a.txt": b"one\n", "sub/b.txt": b"two\n", "sub/c.txt": b"three\n"})
    return "texts"


def test_ls_and_cat(steelyard: Steelyard, texts: str, workspace: str) -> None:
    assert done(steelyard("files", "ls", texts, "--quiet")).split() == ["a.txt", "sub/b.txt", "sub/c.txt"]
    assert done(steelyard("files", "ls", f"{workspace}/texts", "sub/", "--quiet")).split() == ["sub/b.txt", "sub/c.txt"]
    assert "4 bytes" in done(steelyard("files", "ls", texts))
    assert done(steelyard("files", "cat", texts, "sub/b.txt")) == "two\n"
    assert steelyard("files", "cat", texts, "nothing").returncode == 5
    assert steelyard("files", "ls", "nobody").returncode == 5


def test_rm_log_diff_and_restore(steelyard: Steelyard, texts: str) -> None:
    before = json.loads(done(steelyard("files", "log", texts, "--json")))[0]["id"]

    assert "would be at 2 files" in done(steelyard("files", "rm", texts, "a.txt", "--dry-run"))
    assert "now 1 files" in done(steelyard("files", "rm", texts, "sub/", "-m", "no more"))
    assert done(steelyard("files", "ls", texts, "--quiet")).split() == ["a.txt"]
    assert done(steelyard("files", "cat", texts, "sub/b.txt", "--revision", before)) == "two\n"
    assert "no more" in done(steelyard("files", "log", texts))
    assert done(steelyard("files", "diff", texts, before[:12])).splitlines() == [
        "- sub/b.txt  4 bytes",
        "- sub/c.txt  6 bytes",
    ]

    done(steelyard("files", "restore", texts, before[:12]))

    assert len(done(steelyard("files", "ls", texts, "--quiet")).split()) == 3
    assert done(steelyard("files", "diff", texts, before)) == ""
    assert "nothing changed" in done(steelyard("files", "restore", texts, before))


def test_a_file_that_is_not_there_removes_nothing(steelyard: Steelyard, texts: str) -> None:
    assert steelyard("files", "rm", texts, "a.txt", "nothing").returncode == 5
    assert len(done(steelyard("files", "ls", texts, "--quiet")).split()) == 3


def test_filesets_from_their_making_to_their_end(steelyard: Steelyard) -> None:
    done(steelyard("filesets", "create", "data", "--purpose", "dataset", "--description", "old"))
    assert 'description: "old" -> "new"' in done(steelyard("filesets", "update", "data", "--description", "new"))
    assert "dataset" in done(steelyard("filesets", "list"))
    assert json.loads(done(steelyard("filesets", "get", "data", "--json")))["file_count"] == 0
    assert steelyard("filesets", "update", "data", "--storage", "{}").returncode == 2
    done(steelyard("filesets", "delete", "data", "--yes"))
    done(steelyard("filesets", "undelete", "data"))
    assert len(done(steelyard("filesets", "history", "data", "--quiet")).splitlines()) >= 2


def test_adapters_from_their_making_to_their_end(steelyard: Steelyard, http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_fileset(http, workspace, "lora", {"adapter_model.safetensors": safetensors({"x": [1]})})
    make_model(http, workspace, "base", fileset="tiny")

    done(steelyard("adapters", "create", "polite", "--model", "base", "--fileset", "lora", "--finetuning-type", "lora"))
    assert "enabled: true -> false" in done(steelyard("adapters", "update", "polite", "--no-enabled"))
    assert steelyard("adapters", "update", "polite", "--model", "other").returncode == 2
    assert done(steelyard("adapters", "list", "--quiet")).split() == ["polite"]
    done(steelyard("adapters", "delete", "polite", "--yes"))
    assert steelyard("adapters", "get", "polite").returncode == 5


def test_fsck_tells_which_bytes_are_not_what_they_were(steelyard: Steelyard, tmp_path: Path) -> None:
    with running(tmp_path / "data") as server:
        with httpx.Client(base_url=server.url, timeout=30) as http:
            make_fileset(http, "default", "texts", {"a.txt": b"one\n", "b.txt": b"two two\n"})
            digest = http.get("/apis/files/v2/workspaces/default/filesets/texts/files").json()["data"][0]["sha256"]
        assert "all as they were given" in done(steelyard("fsck", "--url", server.url))

        (blob,) = [path for path in (tmp_path / "data").rglob(f"*{digest[4:]}*") if path.is_file()]
        blob.chmod(0o600)
        blob.write_bytes(b"two\n")

        result = steelyard("fsck", "--url", server.url)
        assert result.returncode == 9
        assert f"corrupt: {digest}" in result.stdout
        assert "default/texts#a.txt" in result.stdout
        lines = [json.loads(line) for line in steelyard("fsck", "--json", "--url", server.url).stdout.splitlines()]
        assert [line["type"] for line in lines] == ["corrupt", "done"]
