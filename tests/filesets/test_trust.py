"""Trust in a model's code is a decision that is written down, and it is for the bytes that were there."""

import hashlib
import os
import pickle
from typing import Any

import httpx

from tests.api.paths import made, models
from tests.filesets.checkpoints import filesets, get_model, llama, put, revisions

CODE = b"print('never run by the registry')\n"
WITH_CODE = {**llama(auto_map={"AutoModel": "modeling.Mine"}), "modeling.py": CODE}


def test_a_model_is_not_trusted_unless_somebody_says_so(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)

    model = made(http, models(workspace), name="m", fileset="weights")

    assert (model["trust_remote_code"], model["trust_decision"]) == (False, None)


def test_the_decision_says_when_why_by_which_rule_and_of_which_bytes(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights")

    headers = {"X-Steelyard-Reason": "reviewed by the team"}
    model = http.patch(f"{models(workspace)}/m", json={"trust_remote_code": True}, headers=headers).json()

    decision = model["trust_decision"]
    assert model["trust_remote_code"] is True
    assert decision["files"] == {"modeling.py": hashlib.sha256(CODE).hexdigest()}
    assert decision["rule"] == "caller"
    assert decision["reason"] == "reviewed by the team"
    assert decision["decided_at"].endswith("Z")
    assert decision["fileset"] == f"{workspace}/weights"


def test_when_trusted_code_changes_the_trust_is_gone_with_a_revision_that_names_the_file(
    http: httpx.Client, workspace: str
) -> None:
    put(http, workspace, "weights", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    put(http, workspace, "weights", {"modeling.py": CODE + b"import os\n"})

    model = get_model(http, workspace, "m")
    lost = next(one for one in revisions(http, workspace, "m") if one["action"] == "distrust")
    assert (model["trust_remote_code"], model["trust_decision"]) == (False, None)
    assert "modeling.py" in lost["reason"]


def test_code_that_is_added_takes_trust_too_and_so_does_code_that_goes(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)
    made(http, models(workspace), name="n", fileset="weights", trust_remote_code=True)

    put(http, workspace, "weights", {"extra.py": b"1\n"})
    after_adding = get_model(http, workspace, "m")["trust_remote_code"]
    http.patch(f"{models(workspace)}/m", json={"trust_remote_code": True})
    http.delete(f"{filesets(workspace)}/weights/-/extra.py")

    assert after_adding is False
    assert get_model(http, workspace, "m")["trust_remote_code"] is False
    assert get_model(http, workspace, "n")["trust_remote_code"] is False


def test_files_that_are_no_code_leave_trust_alone(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    before = made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    put(http, workspace, "weights", {"README.md": b"hello"})

    model = get_model(http, workspace, "m")
    assert model["trust_remote_code"] is True
    assert model["trust_decision"] == before["trust_decision"]


def test_another_fileset_is_not_trusted_by_the_trust_in_the_one_before(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    put(http, workspace, "other", {**llama(), "evil.py": b"import os\n"})
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    model = http.patch(f"{models(workspace)}/m", json={"fileset": "other"}).json()

    assert (model["trust_remote_code"], model["trust_decision"]) == (False, None)


def test_trust_that_is_asked_for_with_another_fileset_is_decided_for_its_bytes(
    http: httpx.Client, workspace: str
) -> None:
    put(http, workspace, "weights", WITH_CODE)
    put(http, workspace, "other", {**llama(), "other.py": b"2\n"})
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    body = {"fileset": "other", "trust_remote_code": True}
    model = http.patch(f"{models(workspace)}/m", json=body).json()

    assert model["trust_decision"]["files"] == {"other.py": hashlib.sha256(b"2\n").hexdigest()}


def test_the_same_bytes_in_another_fileset_stay_trusted(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    put(http, workspace, "copy", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    model = http.patch(f"{models(workspace)}/m", json={"fileset": "copy"}).json()

    assert model["trust_remote_code"] is True


def test_trust_can_always_be_taken_back(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)

    model = http.patch(f"{models(workspace)}/m", json={"trust_remote_code": False}).json()

    assert (model["trust_remote_code"], model["trust_decision"]) == (False, None)


def test_a_model_that_comes_back_after_its_code_changed_is_not_trusted(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", WITH_CODE)
    made(http, models(workspace), name="m", fileset="weights", trust_remote_code=True)
    http.delete(f"{models(workspace)}/m")
    put(http, workspace, "weights", {"modeling.py": b"changed\n"})

    back = http.post(f"{models(workspace)}/m:undelete")

    assert back.status_code == 200, back.text
    assert back.json()["trust_remote_code"] is False


def test_the_decision_cannot_be_written_by_a_caller(http: httpx.Client, workspace: str) -> None:
    made(http, models(workspace), name="m")

    answer = http.patch(f"{models(workspace)}/m", json={"trust_decision": {"rule": "mine"}})

    assert answer.status_code == 422


class Evil:
    """What it would do if anybody loaded it, which nobody does."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("id",)


def test_a_dangerous_pickle_leaves_only_with_a_trust_that_names_its_bytes(http: httpx.Client, workspace: str) -> None:
    put(http, workspace, "weights", {**llama(), "optimizer.pt": pickle.dumps(Evil())})
    made(http, models(workspace), name="m", fileset="weights")
    path = f"{filesets(workspace)}/weights/-/optimizer.pt"

    untrusted = http.get(path)
    model = http.patch(f"{models(workspace)}/m", json={"trust_remote_code": True}).json()
    trusted = http.get(path)
    put(http, workspace, "weights", {"optimizer.pt": pickle.dumps([Evil()])})
    changed = http.get(path)

    assert (untrusted.status_code, trusted.status_code, changed.status_code) == (403, 200, 403)
    assert list(model["trust_decision"]["files"]) == ["optimizer.pt"]
    assert get_model(http, workspace, "m")["trust_remote_code"] is False
