"""What may leave, and what may come in: pickles and code, by the policy of the server and of the workspace."""

import io
import pickle
import zipfile
from typing import Any

import httpx
import pytest

from steelyard.records.file_policy import FilePolicy, ModelTrust, leaving, policy_in, runs_when_loaded, trust_of
from tests.api.paths import WORKSPACES, models
from tests.files.conftest import digest_of

CODE = b"print('a model of its own')\n"


class _Runs:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os  # noqa: PLC0415

        return os.system, ("true",)


def dangerous() -> bytes:
    """A pickle that would run a command. It is never loaded."""
    return pickle.dumps(_Runs())


def harmless() -> bytes:
    """A pickle of numbers, packed as torch packs its own."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"weight": [1.0, 2.0]}, protocol=2))
        archive.writestr("archive/version", "3\n")
    return packed.getvalue()


def set_policy(http: httpx.Client, workspace: str, **policy: str | None) -> None:
    """Gives a workspace a policy of its own."""
    answer = http.patch(f"{WORKSPACES}/{workspace}", json={"file_policy": policy})
    assert answer.status_code == 200, answer.text


def add_model(http: httpx.Client, workspace: str, **fields: Any) -> str:
    """The path of a new model of the fileset."""
    body = {"name": "model", "fileset": f"{workspace}/weights", **fields}
    answer = http.post(models(workspace), json=body)
    assert answer.status_code == 201, answer.text
    return f"{models(workspace)}/model"


def test_code_leaves_a_fileset_that_is_no_models(http: httpx.Client, home: str) -> None:
    http.put(f"{home}/-/modeling.py", content=CODE)

    assert http.get(f"{home}/-/modeling.py").content == CODE


def test_code_of_a_model_leaves_only_when_it_is_trusted(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/modeling.py", content=CODE)
    http.put(f"{home}/-/config.json", content=b"{}")
    model = add_model(http, workspace)

    refused = http.get(f"{home}/-/modeling.py")
    assert (refused.status_code, refused.json()["code"], refused.json()["path"]) == (403, "file_refused", "modeling.py")
    assert "trust_remote_code" in refused.json()["detail"]
    assert http.head(f"{home}/-/modeling.py").status_code == 403
    assert http.get(f"{home}/-/modeling.py", headers={"Range": "bytes=0-3"}).status_code == 403
    assert http.get(f"{home}/-/modeling.py", headers={"If-None-Match": "*"}).status_code == 403
    assert http.get(f"{home}/-/config.json").status_code == 200
    assert http.patch(model, json={"trust_remote_code": True}).status_code == 200
    assert http.get(f"{home}/-/modeling.py").content == CODE


def test_trust_is_for_the_bytes_that_were_seen(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/modeling.py", content=CODE)
    add_model(http, workspace, trust_remote_code=True)
    trusted = http.get(home).json()["commit"]
    assert http.get(f"{home}/-/modeling.py").status_code == 200

    http.put(f"{home}/-/modeling.py", content=CODE + b"import os\n")

    assert http.get(f"{home}/-/modeling.py").status_code == 403
    assert http.get(f"{home}/-/modeling.py", params={"revision": trusted}).status_code == 403


def test_code_can_be_read_before_it_is_trusted(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/modeling.py", content=CODE)
    http.put(f"{home}/-/long.py", content=b"#" * ((1 << 20) + 1))
    http.put(f"{home}/-/native.so", content=b"\x7fELF")
    add_model(http, workspace)

    read = http.get(f"{home}/-/modeling.py", params={"review": "true"})

    assert (read.status_code, read.content) == (200, CODE)
    assert read.headers["content-type"] == "text/plain; charset=utf-8"
    assert read.headers["content-disposition"] == 'attachment; filename="modeling.py.txt"'
    for path in ("long.py", "native.so"):
        assert http.get(f"{home}/-/{path}", params={"review": "true"}).status_code == 403


def test_a_dangerous_pickle_of_a_model_does_not_leave(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/innocent.safetensors", content=dangerous())
    free = http.get(f"{home}/-/innocent.safetensors")
    assert free.status_code == 200
    assert "dangerous" in free.headers["x-steelyard-warning"]
    add_model(http, workspace)

    refused = http.get(f"{home}/-/innocent.safetensors")

    assert (refused.status_code, refused.json()["code"]) == (403, "file_refused")
    assert http.get(f"{home}/-/innocent.safetensors", params={"review": "true"}).status_code == 403


def test_a_workspace_can_serve_what_nobody_trusts(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/modeling.py", content=CODE)
    add_model(http, workspace)
    set_policy(http, workspace, untrusted_code="serve")
    assert http.get(f"{home}/-/modeling.py").status_code == 200

    cleared = http.patch(f"{WORKSPACES}/{workspace}", json={"file_policy": None}).json()

    assert cleared["file_policy"] is None
    assert http.get(f"{home}/-/modeling.py").status_code == 403


def test_pickles_are_warned_of_unless_they_are_allowed(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/pytorch_model.bin", content=harmless())
    assert "torch-zip" in http.get(f"{home}/-/pytorch_model.bin").headers["x-steelyard-warning"]

    set_policy(http, workspace, pickles="allow")

    answer = http.get(f"{home}/-/pytorch_model.bin")
    assert answer.status_code == 200
    assert "x-steelyard-warning" not in answer.headers


def test_a_workspace_can_take_and_hand_out_safetensors_only(http: httpx.Client, home: str, workspace: str) -> None:
    http.put(f"{home}/-/pytorch_model.bin", content=harmless())
    set_policy(http, workspace, pickles="safetensors_only")

    assert http.get(f"{home}/-/pytorch_model.bin").status_code == 403
    other = pickle.dumps({"other": b"weights"})
    put = http.put(f"{home}/-/other.safetensors", content=other)
    assert (put.status_code, put.json()["code"], put.json()["path"]) == (403, "file_refused", "other.safetensors")
    change = {"op": "put", "path": "renamed", "sha256": digest_of(other), "size": len(other)}
    assert http.post(f"{home}/commits", json={"changes": [change]}).status_code == 403
    assert http.put(f"{home}/-/plain.txt", content=b"hello").status_code == 200


@pytest.mark.parametrize("policy", [{"pickles": "never"}, {"untrusted": "x"}, "warn", {"pickles": True}])
def test_a_policy_that_is_none_is_refused(http: httpx.Client, workspace: str, policy: Any) -> None:
    assert http.patch(f"{WORKSPACES}/{workspace}", json={"file_policy": policy}).status_code == 422


SCAN = {"kind": "pickle", "verdict": "dangerous", "findings": [{"level": "dangerous", "where": "", "what": "calls ä"}]}
MODEL = ModelTrust("w/m", frozenset({"d1"}))


def test_one_model_that_trusts_the_bytes_is_enough() -> None:
    nobody = ModelTrust("w/n", frozenset())

    assert leaving(FilePolicy(), "m.py", "d1", None, [nobody, MODEL]).refusal is None
    assert leaving(FilePolicy(), "m.py", "d2", None, [nobody, MODEL]).refusal is not None
    assert leaving(FilePolicy(), "m.py", "d2", None, []).refusal is None


def test_a_warning_is_fit_for_a_header() -> None:
    warning = leaving(FilePolicy(), "ü\n.bin", "d", SCAN, []).warning

    assert warning is not None
    assert warning.isascii() and warning.isprintable()
    assert len(warning) <= 300


def test_trust_that_was_taken_back_is_none() -> None:
    decision = {"files": {"m.py": "d1"}}

    assert trust_of("w/m", {"trust_remote_code": True, "trust_decision": decision}).trusted == {"d1"}
    assert trust_of("w/m", {"trust_remote_code": False, "trust_decision": decision}).trusted == frozenset()
    assert trust_of("w/m", {"trust_remote_code": True, "trust_decision": None}).trusted == frozenset()


def test_what_a_workspace_does_not_say_the_server_says() -> None:
    server = FilePolicy(pickles="allow", untrusted_code="serve")

    assert policy_in(server, {"file_policy": None}) == policy_in(server, None) == server
    assert policy_in(server, {"file_policy": {"pickles": "warn", "untrusted_code": None}}) == FilePolicy(
        pickles="warn", untrusted_code="serve"
    )


@pytest.mark.parametrize(
    ("scan", "runs"),
    [
        (None, False),
        ({"kind": "npz", "verdict": "clean"}, False),
        ({"kind": "npz", "verdict": "suspicious"}, True),
        ({"kind": "torch-zip", "verdict": "clean"}, True),
        ({"kind": "7z", "verdict": "not scanned"}, True),
    ],
)
def test_what_may_run_when_it_is_loaded(scan: dict[str, Any] | None, runs: bool) -> None:
    assert runs_when_loaded(scan) is runs
