"""The policies on files hold on the Hub's routes as everywhere: what may not leave, come in or change, does not."""

import os
import pickle
from pathlib import Path

import httpx
import pytest

from tests.hub.conftest import HF, Hub, object_of
from tests.hub.test_xet import Sender, shard, xorb
from tests.servers import running

CODE = b"class Model:\n    pass\n"


class _Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_code_of_a_model_leaves_only_when_it_is_trusted(hub: Hub) -> None:
    workspace = hub.repository.partition("/")[0]
    hub.put({"modeling.py": CODE, "config.json": b"{}"})
    models = f"/apis/models/v2/workspaces/{workspace}/models"
    assert hub.http.post(models, json={"name": "model", "fileset": hub.repository}).status_code == 201

    refused = hub.read("modeling.py")
    assert (refused.status_code, refused.json()["code"]) == (403, "file_refused")
    assert "trust_remote_code" in refused.headers["x-error-message"]
    assert hub.http.head(f"{HF}/{hub.repository}/resolve/main/modeling.py").status_code == 403
    assert hub.http.get(f"{HF}/datasets/{hub.repository}/resolve/main/modeling.py").status_code == 403
    assert hub.read("config.json").status_code == 200

    assert hub.http.patch(f"{models}/model", json={"trust_remote_code": True}).status_code == 200
    assert hub.read("modeling.py").content == CODE


def test_a_model_follows_the_files_that_are_pushed(hub: Hub) -> None:
    workspace = hub.repository.partition("/")[0]
    hub.put({"config.json": b"{}"})
    models = f"/apis/models/v2/workspaces/{workspace}/models"
    hub.http.post(models, json={"name": "model", "fileset": hub.repository})

    commit = hub.put({"config.json": b'{"model_type": "llama"}'})

    assert hub.http.get(f"{models}/model").json()["spec_origin"]["commit"] == commit


@pytest.mark.parametrize("way", ["commit", "lfs", "xet"])
def test_a_workspace_that_takes_no_pickles_takes_none_from_here(hub: Hub, way: str) -> None:
    workspace = hub.repository.partition("/")[0]
    content = pickle.dumps([os.urandom(8), _Runs()])
    policy = {"file_policy": {"pickles": "safetensors_only"}}
    assert hub.http.patch(f"/apis/entities/v2/workspaces/{workspace}", json=policy).status_code == 200

    if way == "commit":
        with pytest.raises(AssertionError, match="file_refused"):
            hub.put({"weights.safetensors": content})
    else:
        if way == "lfs":
            href = hub.batch(object_of(content)).json()["objects"][0]["actions"]["upload"]["href"]
            assert hub.http.put(href, content=content).status_code == 200
        else:
            sender = Sender(hub)
            name, _ = sender.xorb(xorb([content]))
            sender.shard(shard((object_of(content)["oid"], [(name, 0, 1, len(content))])))
        line = {"key": "lfsFile", "value": {"path": "weights.safetensors", **object_of(content)}}
        assert hub.commit(line).json()["code"] == "file_refused"
    assert hub.paths() == []


def test_files_of_a_source_can_only_be_read(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}")
    with (
        running(data_dir, environ={"STEELYARD_FILES__FOLDERS": f"models={folder}"}) as server,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        body = {"name": "repo", "storage": {"type": "local", "path": "models"}}
        made = http.post("/apis/files/v2/workspaces/default/filesets", json=body)
        assert made.status_code == 200, made.text
        hub = Hub(http, "default/repo")

        assert hub.read("config.json").content == b"{}"
        assert hub.paths() == ["config.json"]
        assert hub.commit({"key": "deletedFile", "value": {"path": "config.json"}}).status_code == 403
        assert http.post(f"{hub.api}/preupload/main", json={"files": []}).status_code == 403
        assert hub.batch(object_of(b"x")).status_code == 403
        assert http.get(f"{hub.api}/xet-write-token/main").status_code == 403


def test_no_file_is_larger_than_the_configuration_allows(data_dir: Path) -> None:
    with (
        running(data_dir, environ={"STEELYARD_FILES__MAX_BYTES": "1000"}) as server,
        httpx.Client(base_url=server.url, timeout=30) as http,
    ):
        http.post(f"{HF}/api/repos/create", json={"name": "repo"})
        hub = Hub(http, "default/repo")

        assert hub.batch(object_of(bytes(1001))).status_code == 413
        assert hub.commit({"key": "file", "value": {"path": "a", "content": "A" * 1004}}).status_code == 413
        assert hub.batch(object_of(bytes(1000))).status_code == 200
