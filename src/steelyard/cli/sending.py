"""Makes the files of a fileset those of a folder: hash, ask what is missing, send that, commit once."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from steelyard.cli.bars import Bar, bar
from steelyard.cli.errors import CliError, RefusedError
from steelyard.cli.folders import Globs, Hashes, LocalFile, files_in, sha256_of
from steelyard.cli.session import Session
from steelyard.cli.tasks import Stop, run_all
from steelyard.cli.uploads import Uploads

# As many as the server takes at once.
_MOST_CHANGES = 25_000
_SECONDS = 600.0
_TRIES = 3


@dataclass(frozen=True, slots=True)
class HashedFile:
    """A file of the folder and the sha256 of its bytes."""

    file: LocalFile
    digest: str

    def change(self) -> dict[str, Any]:
        """What a commit says of it."""
        return {"op": "put", "path": self.file.path, "sha256": self.digest, "size": self.file.size}


@dataclass(slots=True)
class Difference:
    """How the folder differs from the fileset; `commit` is the head that it was compared with, None without one."""

    commit: str | None
    put: list[HashedFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    same: int = 0

    @property
    def changes(self) -> list[dict[str, Any]]:
        """The changes that make the fileset as the folder: what goes makes room before something comes."""
        return [{"op": "delete", "path": path} for path in self.removed] + [one.change() for one in self.put]


def hashed(session: Session, folder: Path, globs: Globs, jobs: int) -> list[HashedFile]:
    """The files of a folder with their hashes, those that have not changed since the last time from the cache."""
    files, hashes, stop = files_in(folder, globs), Hashes(folder), Stop()
    known = {file.path: hashes.known(file.path, file.size, file.changed_ns) for file in files}
    new = [file for file in files if known[file.path] is None]
    try:
        with bar(session.output, "hashing", len(new), sum(file.size for file in new)) as shown:
            work = (partial(_hash, file, hashes, shown, stop) for file in new)
            fresh = run_all(work, min(jobs, os.cpu_count() or 1), stop)
    finally:
        hashes.save()
    found = {one.file.path: one.digest for one in fresh}
    return [HashedFile(file, known[file.path] or found[file.path]) for file in files]


def _hash(file: LocalFile, hashes: Hashes, shown: Bar, stop: Stop) -> HashedFile:
    def tell(nbytes: int) -> None:
        stop.check()
        shown.advance(nbytes)

    try:
        digest = sha256_of(file.where, tell)
    except OSError as error:
        raise CliError(f"cannot read {file.path}: {error.strerror}") from None
    hashes.keep(file.path, file.size, file.changed_ns, digest)
    shown.file_done()
    return HashedFile(file, digest)


def compared(session: Session, home: str, files: Sequence[HashedFile], *, delete: bool) -> Difference:
    """How the folder differs from the fileset; what only the fileset has is removed if `delete` says so."""
    try:
        listed = session.client.call("GET", f"{home}/files", seconds=_SECONDS).record()
    except RefusedError as error:
        if error.http_status != 404:
            raise
        return Difference(None, list(files))
    there = {record["path"]: record.get("sha256") for record in listed.get("data", ())}
    found = Difference(str(listed.get("commit")))
    for one in files:
        if there.get(one.file.path) == one.digest:
            found.same += 1
        else:
            found.put.append(one)
    if delete:
        found.removed = sorted(there.keys() - {one.file.path for one in files})
    return found


class Sending:
    """Sends to one fileset, whose path is `home`."""

    def __init__(self, session: Session, home: str, jobs: int) -> None:
        self._session = session
        self._home = home
        self._jobs = jobs

    def missing(self, files: Sequence[HashedFile]) -> list[HashedFile]:
        """Those whose bytes have to be sent, of several with the same bytes the first."""
        stop = Stop()
        absent = self._uploads(stop).missing([(one.digest, one.file.size) for one in files])
        first: dict[str, HashedFile] = {}
        for one in files:
            if one.digest in absent:
                first.setdefault(one.digest, one)
        return list(first.values())

    def _uploads(self, stop: Stop, shown: Bar | None = None) -> Uploads:
        return Uploads(self._session.client, self._home, stop, shown.advance if shown else lambda _: None)

    def send(self, files: Sequence[HashedFile]) -> int:
        """Sends the bytes that the server lacks; answers how many there were."""
        absent, stop = self.missing(files), Stop()
        if not absent:
            return 0
        size = sum(one.file.size for one in absent)
        with bar(self._session.output, "uploading", len(absent), size) as shown:
            uploads = self._uploads(stop, shown)
            run_all(self._work(uploads, absent, shown), self._jobs, stop)
        return size

    def _work(self, uploads: Uploads, files: Iterable[HashedFile], shown: Bar) -> Iterator[partial[None]]:
        # The largest first: at the end, no thread is left alone with it.
        for one in sorted(files, key=lambda one: -one.file.size):
            yield partial(_send_one, uploads, one, shown)

    def commit(self, difference: Difference, files: Sequence[HashedFile], message: str | None) -> dict[str, Any]:
        """Commits the difference, and answers the commit. Bytes that were dropped meanwhile are sent again."""
        # Only where files go is it told what was compared: two who put files may do so at once.
        parent = difference.commit if difference.removed else None
        done: dict[str, Any] = {}
        changes = difference.changes
        for start in range(0, len(changes), _MOST_CHANGES):
            body = {"changes": changes[start : start + _MOST_CHANGES], "message": message, "parent": parent}
            done = self._commit({key: value for key, value in body.items() if value is not None}, files)
            parent = str(done.get("id")) if parent else None
        return done

    def _commit(self, body: dict[str, Any], files: Sequence[HashedFile]) -> dict[str, Any]:
        for attempt in range(_TRIES):
            try:
                return self._session.client.call("POST", f"{self._home}/commits", body=body, seconds=_SECONDS).record()
            except RefusedError as error:
                if error.code != "missing_bytes" or attempt == _TRIES - 1:
                    raise
                self.send(files)
        raise CliError("the bytes that were sent are dropped again and again")


def _send_one(uploads: Uploads, one: HashedFile, shown: Bar) -> None:
    uploads.send(one.file, one.digest)
    shown.file_done()
