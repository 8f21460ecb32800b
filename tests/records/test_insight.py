"""How an inspection is shown: where each field is from, and which files a person should look at."""

from typing import Any

from steelyard.records.filesets import FileEntry
from steelyard.records.insight import describe_files, describe_spec

BODY: dict[str, Any] = {
    "spec": {"num_layers": 2, "chat_template": "theirs", "is_embedding_model": False, "checkpoint_model_name": None},
    "sources": {"num_layers": "config.json", "chat_template": "tokenizer_config.json", "is_embedding_model": "no file"},
    "missing": {"hidden_size": "config.json does not say"},
}
UNTRUSTED: dict[str, Any] = {"trust_remote_code": False, "trust_decision": None}


def fields(spec: dict[str, Any] | None, read: dict[str, Any] | None, by_hand: tuple[str, ...] = ()) -> dict[str, Any]:
    described: dict[str, Any] = describe_spec(spec, read, BODY, by_hand, verbose=False)["fields"]
    return described


def entry(path: str, digest: str, scan: dict[str, Any] | None = None) -> FileEntry:
    return FileEntry(path, digest, 3, 1, "2026-01-01T00:00:00.000000Z", None, {"scan": scan})


def identity(file: FileEntry) -> str:
    return file.digest or ""


def test_what_the_files_say_has_their_source() -> None:
    assert fields(None, BODY["spec"])["num_layers"]["source"] == "config.json"
    assert fields(None, BODY["spec"])["hidden_size"]["missing"] == "config.json does not say"


def test_what_is_said_beside_the_files_has_that_source() -> None:
    read = {
        **BODY["spec"],
        "checkpoint_model_name": "w/my-embedder",
        "is_embedding_model": True,
        "chat_template": "ours",
        "minimum_gpus_lora": 1,
    }

    found = fields(None, read)

    assert found["checkpoint_model_name"]["source"] == "the name of the fileset, or of its source"
    assert found["is_embedding_model"]["source"] == "the name of the fileset, or of its source"
    assert found["chat_template"]["source"] == "the metadata of the fileset"
    assert found["minimum_gpus_lora"]["source"].startswith("computed")


def test_a_value_by_hand_shows_what_it_hides() -> None:
    found = fields({"num_layers": 9}, BODY["spec"], ("num_layers",))["num_layers"]

    assert (found["value"], found["source"], found["read"], found["read_from"]) == (9, "by hand", 2, "config.json")


def test_without_files_all_is_by_hand() -> None:
    found = fields({"num_layers": 9, "hidden_size": None}, None)

    assert found["num_layers"]["source"] == "by hand"
    assert found["hidden_size"]["source"] is None


def test_trust_is_told_of_each_content() -> None:
    model = {"trust_remote_code": True, "trust_decision": {"rule": "caller", "files": {"a.py": "1", "b.py": "old"}}}
    files = [entry("a.py", "1"), entry("b.py", "2"), entry("c.txt", "3"), entry("lib.SO", "4")]

    code = describe_files(model, files, {}, identity)["remote_code"]

    assert [(file["path"], file["trusted"]) for file in code["files"]] == [
        ("a.py", True),
        ("b.py", False),
        ("lib.SO", False),
    ]
    assert code["decision"]["rule"] == "caller"
    withdrawn = {**model, "trust_remote_code": False}
    assert not any(file["trusted"] for file in describe_files(withdrawn, files, {}, identity)["remote_code"]["files"])


def test_files_with_findings_and_an_adapter_without_its_tensors() -> None:
    scan = {"kind": "pickle", "verdict": "dangerous", "findings": [], "imports": ["os.system"]}
    harmless = {"kind": "npy", "verdict": "clean", "findings": [], "imports": []}
    body = {"adapter": {"peft_type": "LORA", "rank": 8, "tensors": {"a": [1], "b": [2]}}}

    found = describe_files(
        UNTRUSTED, [entry("x.bin", "1", scan), entry("y.bin", "2"), entry("z.npy", "3", harmless)], body, identity
    )

    assert [(one["path"], one["verdict"]) for one in found["pickles"]] == [("x.bin", "dangerous")]
    assert found["adapter"] == {"peft_type": "LORA", "rank": 8, "num_tensors": 2}
