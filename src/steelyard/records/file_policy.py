"""What configuration allows of files, as pure functions: how large, how long, and which may leave.

A file's `scan` is what a reader of pickles found in it (`Scan.as_document` in `inspect/findings.py`), None for a file
that holds nothing which could run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from steelyard.records.forms import Form
from steelyard.records.trust import is_code

Pickles = Literal["allow", "warn", "safetensors_only"]
UntrustedCode = Literal["serve", "refuse"]
Scan = Mapping[str, Any]

_HARMLESS_KINDS = frozenset({"none", "zip", "npy", "npz", "tar", "hdf5"})
_WARNING_LENGTH = 300


@dataclass(frozen=True, slots=True)
class FilePolicy:
    """The settings that decide about files. Sizes are in bytes, times in seconds; 0 keeps replaced files for good."""

    pickles: Pickles = "warn"
    untrusted_code: UntrustedCode = "refuse"
    max_bytes: int = 1 << 40
    upload_seconds: float = 24 * 3600
    keep_replaced_seconds: float = 0
    presigned: bool = False


class WorkspaceFilePolicy(Form):
    """What a workspace says of its own files; null is what the server says."""

    pickles: Pickles | None = None
    untrusted_code: UntrustedCode | None = None


class Leaving(NamedTuple):
    """Whether a file may leave: why not (None: it may), and what to tell those who get it."""

    refusal: str | None = None
    warning: str | None = None


class ModelTrust(NamedTuple):
    """A model whose weights are a fileset, and the digests of the files that are trusted with it."""

    name: str
    trusted: frozenset[str]


def policy_in(policy: FilePolicy, workspace: Mapping[str, Any] | None) -> FilePolicy:
    """The policy of a workspace, by the fields of its record."""
    own = (workspace or {}).get("file_policy") or {}
    return replace(
        policy,
        pickles=own.get("pickles") or policy.pickles,
        untrusted_code=own.get("untrusted_code") or policy.untrusted_code,
    )


def trust_of(name: str, fields: Mapping[str, Any]) -> ModelTrust:
    """What is trusted with a model, by the fields of its record."""
    decision = fields.get("trust_decision") or {}
    files = decision.get("files") or {} if fields.get("trust_remote_code") else {}
    return ModelTrust(name, frozenset(files.values()))


def runs_when_loaded(scan: Scan | None) -> bool:
    """Whether loading the file may run what stands in it: it is a pickle, or holds one, or nobody could tell."""
    return scan is not None and (scan["kind"] not in _HARMLESS_KINDS or scan["verdict"] != "clean")


def is_dangerous(scan: Scan | None) -> bool:
    """Whether loading the file would run something that no weights need."""
    return scan is not None and scan["verdict"] == "dangerous"


def needs_trust(path: str, scan: Scan | None) -> bool:
    """Whether a file may leave only with the trust of a model: code, and pickles that do what no weights need."""
    return is_code(path) or is_dangerous(scan)


def refusal_of_put(policy: FilePolicy, path: str, scan: Scan | None) -> str | None:
    """Why a fileset may not get such a file; None if it may."""
    if policy.pickles != "safetensors_only" or not runs_when_loaded(scan):
        return None
    return f"{path!r} {_nature(scan)}, and this workspace takes none (file policy safetensors_only); send safetensors"


def leaving(policy: FilePolicy, path: str, content: str, scan: Scan | None, models: Sequence[ModelTrust]) -> Leaving:
    """Whether a file may leave a fileset which is that of `models`; `content` is its sha256.

    `models` may be left empty where the file needs no trust.
    """
    if policy.pickles == "safetensors_only" and runs_when_loaded(scan):
        return Leaving(
            f"{path!r} {_nature(scan)}, and this workspace hands none out (file policy safetensors_only); "
            "publish the weights as safetensors"
        )
    asked = policy.untrusted_code == "refuse" and needs_trust(path, scan)
    if asked and models and not any(content in model.trusted for model in models):
        return Leaving(_untrusted(path, scan, models))
    warns = policy.pickles == "warn" and runs_when_loaded(scan)
    return Leaving(warning=_warning(path, scan) if warns else None)


def _untrusted(path: str, scan: Scan | None, models: Sequence[ModelTrust]) -> str:
    name = models[0].name
    if is_dangerous(scan):
        return (
            f"{path!r} {_nature(scan)}, which runs when it is loaded, and nobody has trusted it with the model "
            f"{name!r}; publish the weights as safetensors, or approve it with trust_remote_code: true on the model"
        )
    return (
        f"{path!r} is code of the model {name!r}, and nobody has trusted it; read it with ?review=true, then approve "
        "it with trust_remote_code: true on the model"
    )


def _nature(scan: Scan | None) -> str:
    assert scan is not None  # noqa: S101 - asked only of files with findings
    verdict = "" if scan["verdict"] == "clean" else f", {scan['verdict']}"
    return f"is a pickle ({scan['kind']}{verdict})"


def _warning(path: str, scan: Scan | None) -> str:
    """A line for a header: plain ASCII."""
    assert scan is not None  # noqa: S101
    found = "; ".join(f"{finding['level']}: {finding['what']}" for finding in scan["findings"][:3])
    text = f"{path} {_nature(scan)}{': ' if found else ''}{found}"
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:_WARNING_LENGTH]
