"""How an inspection is shown: each field of the spec with where it is from, and the files that need a person's eye.

Pure functions over a model's fields and what was read in its files (`body`: see `inspect.checkpoint.Inspection`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from steelyard.records.file_policy import runs_when_loaded
from steelyard.records.filesets import FileEntry
from steelyard.records.kinds import Document, Fields
from steelyard.records.spec import ModelSpec
from steelyard.records.trust import is_code

BY_HAND = "by hand"
_LARGE = "linear_layers"
_HIDDEN = "long: shown with verbose=true"
_COMPUTED = "computed for training on GPUs of 80 GB, from the sizes of the tensors"
_BY_NAME = "the name of the fileset, or of its source"
_METADATA = "the metadata of the fileset"
# Where a field is from whose value is not the one that the files say.
_BESIDE = {"checkpoint_model_name": _BY_NAME, "is_embedding_model": _BY_NAME}


def describe_spec(
    spec: Mapping[str, Any] | None,
    read: Mapping[str, Any] | None,
    body: Mapping[str, Any],
    by_hand: Iterable[str],
    *,
    verbose: bool,
) -> Document:
    """`{complete, fields}`: of each field of ModelSpec its value, its source, or why it is not known.

    A field that stands in the record by hand has beside it what was `read`. Linear layers are shown if `verbose`.
    """
    hand = set(by_hand) if read is not None else {name for name, value in (spec or {}).items() if value is not None}
    sources, missing = _sources(read or {}, body), body.get("missing", {})
    fields = {}
    for name in ModelSpec.model_fields:
        found = (read or {}).get(name)
        value = (spec or {}).get(name) if name in hand else found
        source = BY_HAND if name in hand else sources.get(name) if value is not None else None
        one = {
            "value": value,
            "source": source,
            "missing": None if value is not None else missing.get(name),
            "read": found if name in hand else None,
            "read_from": sources.get(name) if name in hand and found is not None else None,
        }
        hidden = name == _LARGE and value is not None and not verbose
        fields[name] = {**one, "value": None, "read": None, "missing": _HIDDEN} if hidden else one
    return {"complete": spec is not None, "fields": fields}


def _sources(read: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, str]:
    """Where each field that was read is from: the files, or what is said of them beside them."""
    in_files, stated = body.get("spec") or {}, body.get("sources", {})
    sources = {}
    for name, value in read.items():
        if name.startswith("minimum_gpus"):
            sources[name] = stated.get(name, _COMPUTED)
        elif name == _LARGE or value == in_files.get(name):
            sources[name] = stated.get(name, "")
        else:
            sources[name] = _BESIDE.get(name, _METADATA)
    return sources


def describe_files(
    model: Fields, files: Sequence[FileEntry], body: Mapping[str, Any], identity: Callable[[FileEntry], str]
) -> Document:
    """`{remote_code, pickles, chat, adapter}`: code and who trusts it, what would run on loading, and the rest."""
    decision = model["trust_decision"] or {}
    trusted = dict(decision.get("files", {})) if model["trust_remote_code"] else {}
    code = body.get("remote_code", {})
    return {
        "remote_code": {
            "needed": code.get("needed", False),
            "trusted": model["trust_remote_code"],
            "auto_map": code.get("auto_map", {}),
            "elsewhere": code.get("elsewhere", []),
            "reasons": code.get("reasons", []),
            "decision": {key: decision.get(key) for key in _DECIDED} if decision else None,
            "files": [
                {
                    "path": file.path,
                    "sha256": file.digest,
                    "size": file.size,
                    "trusted": trusted.get(file.path) == identity(file),
                }
                for file in files
                if is_code(file.path)
            ],
        },
        "pickles": [_scanned(file) for file in files if runs_when_loaded((file.facts or {}).get("scan"))],
        "chat": _chat(body.get("chat", {})),
        "adapter": _adapter(body.get("adapter")),
    }


_DECIDED = ("rule", "decided_by", "decided_at", "reason", "fileset", "commit")


def _scanned(file: FileEntry) -> Document:
    scan = (file.facts or {})["scan"]
    return {"path": file.path, "sha256": file.digest, "size": file.size, **scan}


def _chat(chat: Mapping[str, Any]) -> Document:
    return {
        "has_template": chat.get("template") is not None,
        "source": chat.get("source"),
        "takes_tools": chat.get("takes_tools", False),
        "has_tokenizer": chat.get("has_tokenizer", False),
        "generation": chat.get("generation", {}),
    }


def _adapter(adapter: Mapping[str, Any] | None) -> Document | None:
    """The adapter's own configuration; of its tensors, which are many, only how many there are."""
    if adapter is None:
        return None
    return {
        **{name: value for name, value in adapter.items() if name != "tensors"},
        "num_tensors": len(adapter["tensors"]),
    }
