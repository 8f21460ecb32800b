"""`GET …/models/{name}/inspection`: what was read, from where, what is missing, and what a person should look at."""

from typing import Any

import httpx

from tests.insight.checkpoints import (
    DANGEROUS,
    FILESETS,
    MODELS,
    PARAMETERS,
    make_fileset,
    make_model,
    tiny_files,
)

CODE = b"class Own: pass\n"


def inspected(http: httpx.Client, workspace: str, name: str, query: str = "") -> dict[str, Any]:
    answer = http.get(f"{MODELS.format(workspace=workspace)}/{name}/inspection{query}")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_every_field_is_told_with_its_source(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")

    found = inspected(http, workspace, "tiny")

    assert (found["format"], found["complete"], found["reason"]) == ("safetensors", True, None)
    assert found["fields"]["base_num_parameters"]["value"] == PARAMETERS
    assert found["fields"]["num_layers"] == {
        "value": 2,
        "source": "config.json: num_hidden_layers",
        "missing": None,
        "read": None,
        "read_from": None,
    }
    known = [field for field in found["fields"].values() if field["value"] is not None]
    assert all(field["source"] for field in known)
    assert found["fields"]["checkpoint_model_name"]["source"] == "the name of the fileset, or of its source"
    assert {file["path"] for file in found["read"]} == {"config.json", "model.safetensors", "tokenizer_config.json"}
    assert found["bytes_read"] == sum(file["nbytes"] for file in found["read"])
    assert found["chat"]["has_template"] is True
    assert found["faults"] == found["pickles"] == found["remote_code"]["files"] == []


def test_linear_layers_are_shown_to_who_asks(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")

    short = inspected(http, workspace, "tiny")["fields"]["linear_layers"]
    whole = inspected(http, workspace, "tiny", "?verbose=true")["fields"]["linear_layers"]

    assert (short["value"], "verbose" in short["missing"]) == (None, True)
    assert {"name": "lm_head", "in_features": 8, "out_features": 32} in whole["value"]


def test_what_was_written_by_hand_stands_beside_what_was_read(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    spec = make_model(http, workspace, "tiny", fileset="tiny")["spec"]
    item = f"{MODELS.format(workspace=workspace)}/tiny"
    http.patch(item, json={"spec": {**spec, "context_size": 7}}).raise_for_status()

    fields = inspected(http, workspace, "tiny")["fields"]

    assert fields["context_size"] == {
        "value": 7,
        "source": "by hand",
        "missing": None,
        "read": 64,
        "read_from": "config.json: max_position_embeddings",
    }
    assert fields["hidden_size"]["source"] == "config.json: hidden_size"


def test_a_model_without_files_says_so(http: httpx.Client, workspace: str) -> None:
    make_model(http, workspace, "none")

    found = inspected(http, workspace, "none")

    assert "no fileset" in found["reason"]
    assert (found["format"], found["complete"], found["fileset"]) == ("none", False, None)


def test_a_spec_of_a_model_without_files_is_by_hand(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    spec = make_model(http, workspace, "tiny", fileset="tiny")["spec"]
    make_model(http, workspace, "hand", spec=spec)

    found = inspected(http, workspace, "hand")

    assert found["complete"] is True
    assert {field["source"] for field in found["fields"].values() if field["value"] is not None} == {"by hand"}


def test_an_empty_and_a_missing_fileset_are_told_apart(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "empty", {})
    make_model(http, workspace, "one", fileset="empty")
    assert "is empty" in inspected(http, workspace, "one")["reason"]

    http.delete(f"{FILESETS.format(workspace=workspace)}/empty").raise_for_status()
    assert "is not here" in inspected(http, workspace, "one")["reason"]


def test_faults_and_missing_fields_are_told(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "broken", {**tiny_files(), "model.safetensors": b"\xff" * 64})
    make_model(http, workspace, "broken", fileset="broken")

    found = inspected(http, workspace, "broken")

    assert [fault["path"] for fault in found["faults"]] == ["model.safetensors"]
    assert found["complete"] is False
    assert found["fields"]["base_num_parameters"]["missing"]


def test_code_and_who_trusts_it(http: httpx.Client, workspace: str) -> None:
    files = {**tiny_files(model_type="own", auto_map={"AutoModel": "own.Own"}), "own.py": CODE}
    make_fileset(http, workspace, "code", files)
    make_model(http, workspace, "code", fileset="code")

    before = inspected(http, workspace, "code")["remote_code"]
    item = f"{MODELS.format(workspace=workspace)}/code"
    http.patch(item, json={"trust_remote_code": True}, headers={"X-Steelyard-Reason": "read it"}).raise_for_status()
    after = inspected(http, workspace, "code")["remote_code"]

    assert (before["needed"], before["trusted"], before["decision"]) == (True, False, None)
    assert before["auto_map"] == {"config.json: AutoModel": "own.Own"}
    assert [(file["path"], file["size"], file["trusted"]) for file in before["files"]] == [("own.py", len(CODE), False)]
    assert after["files"][0]["trusted"] is True
    assert (after["decision"]["rule"], after["decision"]["reason"]) == ("caller", "read it")


def test_trust_does_not_outlive_the_bytes(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "code", {**tiny_files(), "own.py": CODE})
    make_model(http, workspace, "code", fileset="code", trust_remote_code=True)
    http.put(f"{FILESETS.format(workspace=workspace)}/code/-/own.py", content=b"import os\n").raise_for_status()

    found = inspected(http, workspace, "code")["remote_code"]

    assert found["trusted"] is False
    assert [file["trusted"] for file in found["files"]] == [False]


def test_a_pickle_that_would_run_something_is_told_whatever_its_name(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "bad", {**tiny_files(), "notes.txt": DANGEROUS})
    make_model(http, workspace, "bad", fileset="bad")

    (pickle,) = inspected(http, workspace, "bad")["pickles"]

    assert (pickle["path"], pickle["verdict"]) == ("notes.txt", "dangerous")
    assert any("system" in finding["what"] for finding in pickle["findings"])


def test_the_tag_is_of_the_answer(http: httpx.Client, workspace: str) -> None:
    make_fileset(http, workspace, "tiny", tiny_files())
    make_model(http, workspace, "tiny", fileset="tiny")
    path = f"{MODELS.format(workspace=workspace)}/tiny/inspection"
    etag = http.get(path).headers["etag"]

    same = http.get(path, headers={"if-none-match": etag})
    http.put(
        f"{FILESETS.format(workspace=workspace)}/tiny/-/config.json", content=tiny_files(vocab_size=33)["config.json"]
    )
    other = http.get(path, headers={"if-none-match": etag})

    assert (same.status_code, same.content, etag[0]) == (304, b"", '"')
    assert other.status_code == 200
    assert other.headers["etag"] != etag
    assert http.get(path, headers={"if-match": etag}).status_code == 412


def test_an_alias_finds_the_model_and_no_name_is_404(http: httpx.Client, workspace: str) -> None:
    make_model(http, workspace, "one")
    aliases = MODELS.format(workspace=workspace).replace("/models", "/aliases").replace("apis/aliases", "apis/models")
    http.post(aliases, json={"name": "one@prod", "model": "one"}).raise_for_status()

    assert inspected(http, workspace, "one@prod")["model"] == f"{workspace}/one"
    for part in ("inspection", "memory", "lineage"):
        assert http.get(f"{MODELS.format(workspace=workspace)}/nobody/{part}").status_code == 404
