"""`steelyard pull`: the files of a fileset or of a model into a folder, as far as they are not there already."""

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from steelyard.cli.bars import bar, size_text
from steelyard.cli.downloads import Downloads, RemoteFile, remote_file
from steelyard.cli.errors import CliError, UsageError
from steelyard.cli.folders import Globs, Hashes, sha256_of
from steelyard.cli.naming import find_fileset, whole_commit
from steelyard.cli.session import Session
from steelyard.cli.tasks import Jobs, Stop, run_all

_LIST_SECONDS = 300.0

Include = Annotated[
    list[str] | None, typer.Option("--include", metavar="GLOB", help="Only files that match; repeatable.")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="No files that match; repeatable.")
]


def pull(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A fileset, or a model or adapter that has one.", show_default=False)
    ],
    folder: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to; ./NAME when not given.", show_default=False)
    ] = None,
    *,
    revision: Annotated[
        str | None, typer.Option("--revision", metavar="COMMIT", help="As they were at a commit (`files log`).")
    ] = None,
    include: Include = None,
    exclude: Exclude = None,
    jobs: Jobs = 4,
    skip_refused: Annotated[
        bool, typer.Option("--skip-refused", help="Leave out files that policy keeps back, and go on.")
    ] = False,
) -> None:
    """Fetch the files of a fileset or model into a folder; what is there with the same content is left as it is.

    Interrupted, it goes on where it was. Every file is checked by its sha256 before it gets its name, and nothing is
    written outside the folder.
    """
    home, title = find_fileset(session, name)
    folder = folder or Path(title.partition("/")[2])
    listed, commit = _listed(session, home, revision)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder")
    root = folder.resolve()
    globs = Globs(include, exclude)
    # Every path is checked before the first byte is written.
    files = [file for record in listed if globs.want((file := remote_file(record, home, root)).path)]
    root.mkdir(parents=True, exist_ok=True)
    done = _Pulled(root)
    done.fetch(session, files, commit, jobs, skip_refused=skip_refused)
    _tell(session, title, commit, folder, done)


def _listed(session: Session, home: str, revision: str | None) -> tuple[list[dict[str, Any]], str]:
    query = {"revision": whole_commit(session, home, revision)} if revision else {}
    found = session.client.call("GET", f"{home}/files", query=query, seconds=_LIST_SECONDS).record()
    data, commit = found.get("data"), found.get("commit")
    if not isinstance(data, list) or not isinstance(commit, str):
        raise CliError("the answer is not a list of files; is --url the address of a Steelyard server?")
    return [record for record in data if isinstance(record, dict)], commit


class _Pulled:
    """One pull: what is there already, what was fetched, what was refused."""

    def __init__(self, root: Path) -> None:
        self.fetched: list[RemoteFile] = []
        self.present: list[RemoteFile] = []
        self.refused: list[RemoteFile] = []
        self._root = root
        self._hashes = Hashes(root)

    def fetch(
        self, session: Session, files: Sequence[RemoteFile], commit: str, jobs: int, *, skip_refused: bool
    ) -> None:
        """Fetches what is not there, as it is at a commit."""
        stop = Stop()
        wanted = [file for file in files if not self._is_there(file)]
        try:
            if wanted:
                with bar(session.output, "fetching", len(wanted), sum(file.size for file in wanted)) as shown:

                    def done(file: RemoteFile, digest: str) -> None:
                        self._note(file, digest)
                        shown.file_done()

                    downloads = Downloads(
                        session.client,
                        self._root,
                        {"revision": commit},
                        stop,
                        told=shown.advance,
                        done=done,
                        refused=self.refused.append if skip_refused else None,
                    )
                    downloads.prepare()
                    run_all((job for file in wanted for job in downloads.work(file)), jobs, stop)
                    downloads.tidy()
        finally:
            self._hashes.save()

    def _is_there(self, file: RemoteFile) -> bool:
        """Whether a file is there with the right bytes; they are hashed again only where they may have changed."""
        try:
            known = file.place.lstat()
            if file.digest is None or not stat.S_ISREG(known.st_mode) or known.st_size != file.size:
                return False
            digest = self._hashes.known(file.path, known.st_size, known.st_mtime_ns) or sha256_of(file.place)
        except OSError:
            return False
        self._hashes.keep(file.path, known.st_size, known.st_mtime_ns, digest)
        if digest == file.digest:
            self.present.append(file)
        return digest == file.digest

    def _note(self, file: RemoteFile, digest: str) -> None:
        self.fetched.append(file)
        known = file.place.lstat()
        self._hashes.keep(file.path, known.st_size, known.st_mtime_ns, digest)


def _tell(session: Session, title: str, commit: str, folder: Path, done: _Pulled) -> None:
    size = sum(file.size for file in done.fetched)
    if session.output.json:
        lists = {"fetched": done.fetched, "present": done.present, "refused": done.refused}
        paths = {key: sorted(file.path for file in files) for key, files in lists.items()}
        session.output.value({"fileset": title, "commit": commit, "folder": str(folder), "bytes": size, **paths})
        return
    for file in sorted(done.refused, key=lambda file: file.path):
        session.output.note(f"left out, for policy keeps it back: {file.path}")
    if not done.fetched and not done.refused:
        session.output.line(f"{title} in {folder}: up to date ({commit[:12]})")
    else:
        there = f", {len(done.present):,} were there" if done.present else ""
        left = f", {len(done.refused):,} left out" if done.refused else ""
        session.output.line(
            f"{title} in {folder}: {len(done.fetched):,} fetched, {size_text(size)}{there}{left} ({commit[:12]})"
        )
