"""Filesets of sources, on a real server: made, listed, read while they come, fetched as a whole, moved on."""

import hashlib
import json
import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.servers import Server, running
from tests.sources.servers import File, Web
from tests.webhooks.receivers import until

CONTENT = bytes(range(256)) * 16384  # 4 MiB
_numbers = count(1)
ALLOWED = (
    *("--set", "files.source_hosts=127.0.0.1,127.0.0.3,localhost"),
    *("--set", "outbound.allowed_networks=127.0.0.1/32,127.0.0.3/32"),
)


@pytest.fixture(scope="module")
def pulling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("pulling") / "data", *ALLOWED) as server:
        yield server


@pytest.fixture
def http(pulling: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=pulling.url, timeout=60) as client:
        yield client


@pytest.fixture
def home(http: httpx.Client) -> str:
    """The filesets of a new workspace."""
    name = f"pull-{next(_numbers)}"
    assert http.post("/apis/entities/v2/workspaces", json={"name": name}).status_code == 201
    return f"/apis/files/v2/workspaces/{name}/filesets"


def of_web(*files: tuple[str, str], **said: Any) -> dict[str, Any]:
    return {"type": "https", "files": [{"path": path, "url": url} for path, url in files], **said}


def make(http: httpx.Client, home: str, storage: dict[str, Any], **said: Any) -> dict[str, Any]:
    answer = http.post(home, json={"name": "pulled", "storage": storage, **said})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def cached(http: httpx.Client, home: str) -> dict[str, str]:
    files = http.get(f"{home}/pulled/files?include_cache_status=true").json()["data"]
    return {file["path"]: file["cache_status"] for file in files}


def sync_until(http: httpx.Client, home: str, state: str) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def there() -> bool:
        seen.update(http.get(f"{home}/pulled/sync").json())
        return bool(seen["state"] == state)

    until(there, lambda: str(seen))
    return seen


def test_a_fileset_of_a_source_has_its_files_at_once(http: httpx.Client, home: str, web: Web) -> None:
    web.places |= {"/w": File(CONTENT), "/c": File(b"{}")}
    made = make(http, home, of_web(("w.bin", f"{web.url}/w"), ("a/config.json", f"{web.url}/c")))
    assert (made["file_count"], made["total_size"], made["revision"]) == (2, len(CONTENT) + 2, 1)
    assert len(made["commit"]) == 40
    assert cached(http, home) == {"a/config.json": "not_cached", "w.bin": "not_cached"}
    assert web.sent <= 2
    commits = http.get(f"{home}/pulled/commits").json()["data"]
    assert [commit["number"] for commit in commits] == [1, 0]
    assert commits[0]["id"] == made["commit"]


def test_a_file_is_fetched_once(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.safetensors", f"{web.url}/w")))
    path = f"{home}/pulled/-/w.safetensors"
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda _: http.get(path), range(6)))
    assert all(answer.content == CONTENT for answer in answers)
    assert len(web.asked) == 2, "once to pin it, once to fetch it"
    assert cached(http, home) == {"w.safetensors": "cached"}
    web.places.clear()
    again = http.get(path)
    assert again.content == CONTENT
    assert again.headers["etag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert http.get(path, headers={"range": "bytes=5-9"}).content == CONTENT[5:10]


def test_the_first_bytes_do_not_wait_for_the_last(http: httpx.Client, home: str, web: Web) -> None:
    gate = threading.Event()
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.safetensors", f"{web.url}/w")))
    web.places["/w"] = File(CONTENT, waits=gate, waits_after=3 << 20)
    with http.stream("GET", f"{home}/pulled/-/w.safetensors") as answer:
        pieces = answer.iter_raw(1 << 16)
        came = next(pieces)
        assert came == CONTENT[: 1 << 16]
        assert cached(http, home) == {"w.safetensors": "caching"}
        gate.set()
        assert came + b"".join(pieces) == CONTENT
    until(lambda: cached(http, home) == {"w.safetensors": "cached"})


def test_who_goes_away_does_not_stop_it(http: httpx.Client, home: str, web: Web) -> None:
    gate = threading.Event()
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.safetensors", f"{web.url}/w")))
    web.places["/w"] = File(CONTENT, waits=gate, waits_after=3 << 20)
    with http.stream("GET", f"{home}/pulled/-/w.safetensors") as answer:
        next(answer.iter_raw(1 << 16))
    gate.set()
    until(lambda: cached(http, home) == {"w.safetensors": "cached"})


def test_a_small_part_comes_without_the_whole(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.safetensors", f"{web.url}/w")))
    for asked, part in (("bytes=100-199", CONTENT[100:200]), ("bytes=-8", CONTENT[-8:])):
        answer = http.get(f"{home}/pulled/-/w.safetensors", headers={"range": asked})
        assert (answer.status_code, answer.content) == (206, part)
    head = http.head(f"{home}/pulled/-/w.safetensors")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(CONTENT)))
    assert web.sent < 1000
    assert cached(http, home) == {"w.safetensors": "not_cached"}


def test_a_broken_transfer_is_taken_up_again(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT, breaks=[1 << 20, 10, 2 << 20])
    make(http, home, of_web(("w.bin", f"{web.url}/w")))
    assert http.get(f"{home}/pulled/-/w.bin").content == CONTENT
    starts = [int(asked.headers["range"][6:-1]) for asked in web.asked[2:]]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert starts[-1] > 1 << 20


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin"])
def test_what_has_changed_is_refused_and_not_kept(http: httpx.Client, home: str, web: Web, name: str) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web((name, f"{web.url}/w")))
    web.places["/w"] = File(CONTENT[::-1])
    answer = http.get(f"{home}/pulled/-/{name}")
    assert (answer.status_code, answer.json()["code"]) == (502, "outbound_failed")
    assert cached(http, home) == {name: "not_cached"}


def test_bytes_of_another_digest_never_look_whole(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT, etag="")
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    files = [{"path": path, "url": f"{web.url}/w", "sha256": sha256} for path in ("w.safetensors", "w.bin")]
    make(http, home, {"type": "https", "files": files})
    web.places["/w"] = File(CONTENT[:-1] + b"x", etag="")
    assert http.get(f"{home}/pulled/-/w.bin").status_code == 502
    with pytest.raises(httpx.RemoteProtocolError):
        http.get(f"{home}/pulled/-/w.safetensors")
    assert set(cached(http, home).values()) == {"not_cached"}
    web.places["/w"] = File(CONTENT, etag="")
    assert http.get(f"{home}/pulled/-/w.bin").content == CONTENT
    asked = len(web.asked)
    assert http.get(f"{home}/pulled/-/w.safetensors").content == CONTENT
    assert len(web.asked) == asked, "the workspace has these bytes already"


@pytest.mark.parametrize(
    ("storage", "status", "field"),
    [
        (of_web(("w", "http://evil.example/w")), 400, "storage.files.0.url"),
        (of_web(("w", "http://127.0.0.1:9/w"), token_secret="missing"), 400, "storage.token_secret"),
        ({"type": "huggingface", "repo_id": "a/b"}, 400, "storage.endpoint"),
        ({"type": "local", "path": "models"}, 400, "storage.path"),
        (of_web(("../w", "http://127.0.0.1:9/w")), 422, None),
        (of_web(("w", "file:///etc/passwd")), 422, None),
        (of_web(("w", "http://127.0.0.2:9/w")), 400, "storage.files.0.url"),
        (of_web(("w", "http://localhost:9/w")), 502, None),
    ],
)
def test_a_source_that_cannot_be_makes_no_fileset(
    http: httpx.Client, home: str, storage: dict[str, Any], status: int, field: str | None
) -> None:
    answer = http.post(home, json={"name": "pulled", "storage": storage})
    assert answer.status_code == status, answer.text
    assert answer.json().get("field") == field
    assert http.get(f"{home}/pulled").status_code == 404


def test_a_name_that_is_taken_asks_nobody(http: httpx.Client, home: str, web: Web) -> None:
    http.post(home, json={"name": "pulled"})
    answer = http.post(home, json={"name": "pulled", "storage": of_web(("w", f"{web.url}/w"))})
    assert answer.status_code == 409
    gone = home.replace("/workspaces/", "/workspaces/no-")
    assert http.post(gone, json={"name": "x", "storage": of_web(("w", f"{web.url}/w"))}).status_code == 422
    assert web.asked == []


def test_a_dry_run_makes_nothing(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    body = {"name": "pulled", "cache": True, "storage": of_web(("w.bin", f"{web.url}/w"))}
    answer = http.post(f"{home}?dry_run=true", json=body)
    assert (answer.status_code, answer.json()["file_count"]) == (200, 1)
    assert http.get(f"{home}/pulled").status_code == 404


def test_files_of_a_source_are_not_written(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.bin", f"{web.url}/w")))
    assert http.put(f"{home}/pulled/-/w.bin", content=b"other").status_code == 403
    assert http.delete(f"{home}/pulled/-/w.bin").status_code == 403


def test_a_fileset_is_fetched_as_a_whole(http: httpx.Client, home: str, web: Web) -> None:
    gate = threading.Event()
    names = [f"{number:02}.bin" for number in range(12)]
    web.places |= {f"/{name}": File(CONTENT[: 65536 + n], waits=None) for n, name in enumerate(names)}
    make(http, home, of_web(*((name, f"{web.url}/{name}") for name in names)))
    assert http.get(f"{home}/pulled/sync").json()["state"] == "idle"
    web.places["/11.bin"] = File(CONTENT[: 65536 + 11], waits=gate, waits_after=100)
    begun = http.post(f"{home}/pulled:sync")
    assert (begun.status_code, begun.json()["state"]) == (202, "running")
    until(lambda: http.get(f"{home}/pulled/sync").json()["files_done"] == 11)
    assert http.post(f"{home}/pulled:sync").json()["state"] == "running", "asked twice, it is the same one"
    gate.set()
    done = sync_until(http, home, "done")
    total = sum(65536 + n for n in range(12))
    assert (done["files_done"], done["files_total"], done["bytes_done"], done["bytes_total"]) == (12, 12, total, total)
    assert done["started_at"] < done["finished_at"]
    assert done["error"] is None
    assert set(cached(http, home).values()) == {"cached"}
    assert len(web.asked) == 24


def test_a_fileset_can_be_fetched_when_it_is_made(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.bin", f"{web.url}/w")), cache=True)
    assert sync_until(http, home, "done")["files_done"] == 1


def test_a_fetching_is_cancelled_and_goes_on(http: httpx.Client, home: str, web: Web) -> None:
    gate = threading.Event()
    web.places |= {"/a": File(b"small"), "/w": File(CONTENT)}
    make(http, home, of_web(("a", f"{web.url}/a"), ("w.bin", f"{web.url}/w")))
    web.places["/w"] = File(CONTENT, waits=gate)
    http.post(f"{home}/pulled:sync")
    until(lambda: cached(http, home) == {"a": "cached", "w.bin": "caching"})
    cancelled = http.delete(f"{home}/pulled/sync").json()
    assert (cancelled["state"], cancelled["files_done"]) == ("cancelled", 1)
    gate.set()
    until(lambda: cached(http, home) == {"a": "cached", "w.bin": "not_cached"})
    http.post(f"{home}/pulled:sync")
    assert sync_until(http, home, "done")["files_done"] == 2


def test_a_fetching_that_fails_says_why(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.bin", f"{web.url}/w")))
    web.places["/w"] = File(b"other")
    http.post(f"{home}/pulled:sync")
    assert "changed" in sync_until(http, home, "failed")["error"]


def test_a_fileset_of_its_own_files_has_nothing_to_fetch(http: httpx.Client, home: str) -> None:
    http.post(home, json={"name": "pulled"})
    assert http.post(f"{home}/pulled:sync").status_code == 409
    assert http.post(f"{home}/missing:sync").status_code == 404
    assert http.get(f"{home}/missing/sync").status_code == 404


def test_repin_moves_to_what_the_source_has_now(http: httpx.Client, home: str, web: Web) -> None:
    web.places |= {"/a": File(b"same"), "/b": File(b"old")}
    made = make(http, home, of_web(("a.txt", f"{web.url}/a"), ("b.txt", f"{web.url}/b")), cache=True)
    sync_until(http, home, "done")
    web.places["/b"] = File(b"newer")
    http.post(f"{home}/pulled:sync?repin=true")
    until(lambda: http.get(f"{home}/pulled").json()["commit"] != made["commit"])
    sync_until(http, home, "done")
    now = http.get(f"{home}/pulled").json()
    assert (now["total_size"], now["revision"]) == (9, 2)
    assert http.get(f"{home}/pulled/-/b.txt").content == b"newer"
    assert http.get(f"{home}/pulled/-/b.txt", params={"revision": made["commit"]}).content == b"old"
    compared = http.get(f"{home}/pulled/commits:compare", params={"from": made["commit"]}).json()["data"]
    assert [(one["path"], one["change"]) for one in compared] == [("b.txt", "modified")]


def test_a_fileset_made_in_a_batch_is_pinned_when_it_is_fetched(http: httpx.Client, home: str, web: Web) -> None:
    web.places["/w"] = File(CONTENT)
    storage = of_web(("w.bin", f"{web.url}/w"))
    workspace = home.split("/")[5]
    operation = {"op": "create", "kind": "fileset", "name": "pulled", "body": {"storage": storage}}
    answer = http.post(f"/apis/steelyard/v1/workspaces/{workspace}:batch", json={"operations": [operation]})
    assert answer.status_code == 200, answer.text
    assert web.asked == []
    http.post(f"{home}/pulled:sync")
    assert sync_until(http, home, "done")["files_done"] == 1
    assert http.get(f"{home}/pulled/-/w.bin").content == CONTENT


def test_a_changed_secret_is_in_force_at_once(http: httpx.Client, home: str, web: Web) -> None:
    secrets = home.replace("/files/", "/secrets/").replace("/filesets", "/secrets")
    http.post(secrets, json={"name": "token", "value": "first"})
    web.places["/w"] = File(CONTENT)
    make(http, home, of_web(("w.safetensors", f"{web.url}/w"), token_secret="token"))
    http.patch(f"{secrets}/token", json={"value": "second"})
    part = {"range": "bytes=0-9"}
    assert http.get(f"{home}/pulled/-/w.safetensors", headers=part).status_code == 206
    assert [asked.headers["authorization"] for asked in web.asked] == ["Bearer first", "Bearer second"]
    http.delete(f"{secrets}/token")
    refused = http.get(f"{home}/pulled/-/w.safetensors", headers=part)
    assert (refused.status_code, len(web.asked)) == (502, 2)


def test_secrets_of_other_workspaces_are_not_lent(http: httpx.Client, home: str, web: Web) -> None:
    http.post("/apis/secrets/v2/workspaces/default/secrets", json={"name": "lent", "value": "v"})
    storage = of_web(("w", f"{web.url}/w"), token_secret="default/lent")
    assert http.post(home, json={"name": "pulled", "storage": storage}).status_code == 400
    assert web.asked == []


CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 30_000,
    "max_position_embeddings": 128,
    "tie_word_embeddings": False,
    "torch_dtype": "float16",
}


def shards() -> dict[str, bytes]:
    """A llama of one layer in two shards of about 4 MB each, with the index that ties them together."""
    layer = "model.layers.0."
    body = {
        "model.embed_tokens.weight": [30_000, 64],
        **{f"{layer}self_attn.{one}_proj.weight": [64, 64] for one in "qkvo"},
        **{f"{layer}mlp.{one}_proj.weight": [128, 64] for one in ("gate", "up")},
        f"{layer}mlp.down_proj.weight": [64, 128],
        f"{layer}input_layernorm.weight": [64],
        f"{layer}post_attention_layernorm.weight": [64],
    }
    parts = [body, {"model.norm.weight": [64], "lm_head.weight": [30_000, 64]}]
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    files = {name: _safetensors(part) for name, part in zip(names, parts, strict=True)}
    index = {tensor: name for name, part in zip(names, parts, strict=True) for tensor in part}
    files["model.safetensors.index.json"] = json.dumps({"metadata": {}, "weight_map": index}).encode()
    files["config.json"] = json.dumps(CONFIG).encode()
    return files


def _safetensors(tensors: dict[str, list[int]]) -> bytes:
    header, at = {}, 0
    for name, shape in tensors.items():
        size = 2
        for length in shape:
            size *= length
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + size]}
        at += size
    said = json.dumps(header).encode()
    said += b" " * (-len(said) % 8)
    return struct.pack("<Q", len(said)) + said + bytes(at)


def test_a_model_is_inspected_by_its_headers_alone(http: httpx.Client, home: str, web: Web) -> None:
    files = shards()
    web.places |= {f"/{name}": File(body) for name, body in files.items()}
    made = make(http, home, of_web(*((name, f"{web.url}/{name}") for name in files)))
    models = home.replace("/files/", "/models/").replace("/filesets", "/models")
    answer = http.post(models, json={"name": "m", "fileset": "pulled"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["spec"]["base_num_parameters"] == 3_881_152
    assert made["total_size"] > 7_000_000
    assert web.sent < 100_000
    assert set(cached(http, home).values()) == {"not_cached"}


def test_what_one_server_says_is_not_taken_for_what_another_says(
    http: httpx.Client, home: str, web: Web, elsewhere: Web
) -> None:
    """Two servers that give other contents the same tag: what was read of the one is not told of the other."""
    models = home.replace("/files/", "/models/").replace("/filesets", "/models")
    found = []
    for number, server in enumerate((web, elsewhere)):
        config = {**CONFIG, "max_position_embeddings": 100 + number}
        files = shards() | {"config.json": json.dumps(config).encode()}
        server.places |= {f"/{name}": File(body, etag=f'"{name}"') for name, body in files.items()}
        storage = of_web(*((name, f"{server.url}/{name}") for name in files))
        http.post(home, json={"name": f"pulled-{number}", "storage": storage})
        made = http.post(models, json={"name": f"m{number}", "fileset": f"pulled-{number}"})
        found.append(made.json()["spec"]["context_size"])
    assert found == [100, 101]


def test_trust_in_code_outlives_its_fetching(http: httpx.Client, home: str, web: Web) -> None:
    config = {**CONFIG, "auto_map": {"AutoModel": "modeling.Model"}}
    web.places |= {"/c": File(json.dumps(config).encode()), "/m": File(b"class Model: ...")}
    make(http, home, of_web(("config.json", f"{web.url}/c"), ("modeling.py", f"{web.url}/m")))
    models, code = home.replace("/files/", "/models/").replace("/filesets", "/models"), f"{home}/pulled/-/modeling.py"
    assert http.post(models, json={"name": "m", "fileset": "pulled"}).status_code == 201
    assert http.get(code).status_code == 403
    assert cached(http, home)["modeling.py"] == "not_cached", "what may not leave is not fetched for it"
    trusted = http.patch(f"{models}/m", json={"trust_remote_code": True})
    assert (trusted.status_code, trusted.json()["trust_remote_code"]) == (200, True)
    for status in ("not_cached", "cached"):
        assert cached(http, home)["modeling.py"] == status
        assert http.get(code).content == b"class Model: ..."
    web.places["/m"] = File(b"class Other: ...")
    http.post(f"{home}/pulled:sync?repin=true")
    until(lambda: http.get(f"{home}/pulled").json()["revision"] == 2)
    sync_until(http, home, "done")
    assert http.get(f"{models}/m").json()["trust_remote_code"] is False
    assert http.get(code).status_code == 403


def test_a_pickle_is_looked_through_before_it_leaves(http: httpx.Client, home: str, web: Web) -> None:
    web.places |= {"/p": File(b"cos\nsystem\n(S'true'\ntR."), "/c": File(json.dumps(CONFIG).encode())}
    make(http, home, of_web(("pytorch_model.bin", f"{web.url}/p"), ("config.json", f"{web.url}/c")))
    models = home.replace("/files/", "/models/").replace("/filesets", "/models")
    assert http.post(models, json={"name": "m", "fileset": "pulled"}).status_code == 201
    assert http.get(f"{home}/pulled/-/pytorch_model.bin").status_code == 403
    files = {file["path"]: file for file in http.get(f"{home}/pulled/files").json()["data"]}
    assert files["pytorch_model.bin"]["scan"]["verdict"] == "dangerous"


def test_another_steelyard_is_a_hub(http: httpx.Client, home: str, pulling: Server, tmp_path: Path) -> None:
    files = shards()
    with running(tmp_path / "hub") as hub, httpx.Client(base_url=hub.url, timeout=60) as there:
        source = "/apis/files/v2/workspaces/default/filesets"
        there.post(source, json={"name": "tiny"})
        for name, body in files.items():
            assert there.put(f"{source}/tiny/-/{name}", content=body).status_code == 200
        first = there.get(f"{source}/tiny").json()["commit"]
        storage = {"type": "huggingface", "repo_id": "default/tiny", "endpoint": f"{hub.url}/apis/files/v2/hf"}
        made = make(http, home, storage)
        assert (made["commit"], made["storage"]["revision"]) == (first, first)
        assert made["storage"]["original_revision"] == "main"
        assert made["file_count"] == len(files)
        there.put(f"{source}/tiny/-/config.json", content=json.dumps({**CONFIG, "max_position_embeddings": 256}))
        for name, body in files.items():
            answer = http.get(f"{home}/pulled/-/{name}")
            assert answer.content == body, name
        http.post(f"{home}/pulled:sync?repin=true")
        second = there.get(f"{source}/tiny").json()["commit"]
        assert sync_until(http, home, "done")["commit"] == second
        now = http.get(f"{home}/pulled").json()
        assert (now["commit"], now["storage"]["revision"], now["storage"]["original_revision"]) == (
            second,
            second,
            "main",
        )
    assert b"256" in http.get(f"{home}/pulled/-/config.json").content
    old = http.get(f"{home}/pulled/-/config.json", params={"revision": first})
    assert old.content == files["config.json"], "the older commit is still here, and its bytes too"


def test_the_log_has_no_faults(pulling: Server) -> None:
    """Run last: what the tests above made of bad sources is answered, and is no fault of ours."""
    assert "Traceback" not in pulling.log
