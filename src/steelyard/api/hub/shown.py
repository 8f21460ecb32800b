"""How repositories, files and commits are shown to the Hub's clients."""

import hashlib
from collections.abc import Mapping
from typing import Any

from steelyard.actions.files.content import identity_of
from steelyard.records.filesets import Commit, FileEntry
from steelyard.records.kinds import Document, Row

REGULAR_BYTES = 1 << 20
"""The largest file, in bytes, that clients send inside a commit: 1 MiB. Larger ones are sent before it."""

_POINTER_BYTES = 134
"""About what a pointer of Git LFS takes; clients ask for the number and do nothing with it."""
_SAFETY = {"dangerous": "unsafe", "suspicious": "suspicious", "not scanned": "unscanned"}


def git_oid_of(file: FileEntry) -> str:
    """40 hexadecimal digits that stand for the content: its git object id where that is known."""
    known = (file.facts or {}).get("git_oid")
    return str(known) if known else hashlib.sha256(identity_of(file).encode()).hexdigest()[:40]


def is_large(file: FileEntry) -> bool:
    """Whether a file is one of Git LFS, for the Hub's clients: they know it by its sha256 then."""
    return file.digest is not None and (file.size > REGULAR_BYTES or "git_oid" not in (file.facts or {}))


def linked_etag(file: FileEntry) -> str:
    """What identifies a content in the clients' caches: the same in every list of files and every download."""
    return str(file.digest) if is_large(file) else git_oid_of(file)


def file_shown(file: FileEntry, commit: Commit | None = None) -> dict[str, Any]:
    """A file in a tree; with the commit that brought it, and what was found in it, where `commit` is given."""
    shown: dict[str, Any] = {"type": "file", "oid": git_oid_of(file), "size": file.size, "path": file.path}
    if is_large(file):
        shown["lfs"] = {"oid": file.digest, "size": file.size, "pointerSize": _POINTER_BYTES}
    if commit is not None:
        scan: Mapping[str, Any] = (file.facts or {}).get("scan") or {}
        status = _SAFETY.get(scan.get("verdict", ""), "safe")
        imports = {"highestSafetyLevel": status, "imports": scan.get("imports", [])} if scan else None
        shown["lastCommit"] = {"id": commit.id, "title": title_of(commit), "date": commit.at}
        shown["securityFileStatus"] = {"status": status, "avScan": None, "pickleImportScan": imports}
    return shown


def folder_shown(path: str, commit_id: str) -> dict[str, Any]:
    """A folder in a tree."""
    oid = hashlib.sha256(f"{commit_id}/{path}".encode()).hexdigest()[:40]
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def sibling_shown(file: FileEntry, *, blobs: bool) -> dict[str, Any]:
    """A file in the information on a repository, where `blobs` with its size and content."""
    shown: dict[str, Any] = {"rfilename": file.path}
    if blobs:
        shown |= {"size": file.size, "blobId": git_oid_of(file)}
        if is_large(file):
            shown["lfs"] = {"sha256": file.digest, "size": file.size, "pointerSize": _POINTER_BYTES}
    return shown


def repository_at(row: Row, commit: Commit) -> dict[str, Any]:
    """A repository at a commit."""
    head = repository_shown(
        {
            **row.fields,
            **{"id": row.id, "workspace": row.workspace, "name": row.name},
            **{"created_at": row.created_at, "updated_at": commit.at},
        }
    )
    return head | {"sha": commit.id}


def repository_shown(fileset: Document) -> dict[str, Any]:
    """A repository at its head, of its fileset as the API answers it."""
    id = f"{fileset['workspace']}/{fileset['name']}"
    return {
        "_id": fileset["id"],
        "id": id,
        "modelId": id,
        "author": fileset["workspace"],
        "sha": fileset["commit"],
        "createdAt": fileset["created_at"],
        "lastModified": fileset["updated_at"],
        "description": fileset["description"],
        "private": False,
        "gated": False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "usedStorage": fileset["total_size"],
    }


def commit_shown(commit: Commit) -> dict[str, Any]:
    """A commit in the history of a repository."""
    _, _, rest = (commit.message or "").partition("\n")
    authors = [{"user": commit.actor}] if commit.actor else []
    return {"id": commit.id, "title": title_of(commit), "message": rest.strip(), "authors": authors, "date": commit.at}


def title_of(commit: Commit) -> str:
    """The first line of what was said of a commit."""
    title = (commit.message or "").partition("\n")[0].strip()
    return title or ("Change files" if commit.number else "Begin with no files")
