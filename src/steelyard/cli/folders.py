"""Folders of files on this machine: what of them is pushed, where what is pulled may go, and what their bytes are."""

import fnmatch
import hashlib
import json
import os
import stat
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from steelyard.cli.errors import CliError, UsageError

CHUNK = 1 << 20
STATE = ".steelyard"
"""Within a folder that is pulled into: files that are not whole yet."""
# A file that changed so lately may change again without its time moving.
_SETTLED_SECONDS = 2.0
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A file of a folder: its path with `/` between steps, where it is, its size in bytes and when it changed."""

    path: str
    where: Path
    size: int
    changed_ns: int


class Globs:
    """Which paths are wanted: those that match an `include` (all, without one) and no `exclude`.

    A pattern is of the whole path (`*` also crosses `/`), or of its last step, or of a folder (`docs/`).
    """

    def __init__(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> None:
        self._include = tuple(include or ())
        self._exclude = tuple(exclude or ())

    def want(self, path: str) -> bool:
        """Whether that path is wanted."""
        if self._include and not any(_matches(path, pattern) for pattern in self._include):
            return False
        return not any(_matches(path, pattern) for pattern in self._exclude)


def _matches(path: str, pattern: str) -> bool:
    if pattern.endswith("/"):
        return path.startswith(pattern)
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path.rpartition("/")[2], pattern)


def files_in(folder: Path, globs: Globs) -> list[LocalFile]:
    """The files of a folder by path: no hidden ones, and no links that lead out of it. Raises `UsageError`."""
    root = folder.resolve()
    if not root.is_dir():
        raise UsageError(f"{folder} is not a folder")
    found = []
    for parent, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            where = Path(parent, name)
            path = where.relative_to(root).as_posix()
            if name.startswith(".") or not globs.want(path) or not where.resolve().is_relative_to(root):
                continue
            try:
                known = where.stat()
            except OSError as error:
                raise UsageError(f"cannot read {path}: {error.strerror}") from None
            if stat.S_ISREG(known.st_mode):
                found.append(LocalFile(_text(path), where, known.st_size, known.st_mtime_ns))
    return found


def _text(path: str) -> str:
    if any(map(_is_odd, path)):
        raise UsageError(f"{path!a}: no fileset takes such a name; rename the file, or --exclude it")
    return path


def _is_odd(character: str) -> bool:
    """Whether a character separates steps on some system, drives a terminal, or is half of one."""
    code = ord(character)
    return character in "\\:" or code < 32 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000


class Hashes:
    """The sha256 of files by size and time of change, remembered in the user's cache for the next run."""

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(str(folder.resolve()).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._store = cache_folder() / f"hashes-{name}.json"
        self._known = _load(self._store)
        self._now = dict[str, list[object]]()

    def known(self, path: str, size: int, changed_ns: int) -> str | None:
        """The sha256 of a file that has not changed since it was hashed."""
        entry = self._known.get(path)
        if not (isinstance(entry, list) and len(entry) == 3 and entry[:2] == [size, changed_ns]):
            return None
        self._now[path] = entry
        return str(entry[2])

    def keep(self, path: str, size: int, changed_ns: int, digest: str) -> None:
        """Remembers a sha256, unless the file may change again without its time moving."""
        if time.time_ns() - changed_ns > _SETTLED_SECONDS * 1e9:
            self._now[path] = [size, changed_ns, digest]

    def save(self) -> None:
        """Writes down what is known. A cache that cannot be written is no fault."""
        _save(self._store, self._now)


def cache_folder() -> Path:
    """Where what may be lost is kept between runs."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "steelyard"


def _load(path: Path) -> Mapping[str, object]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _save(path: Path, value: Mapping[str, object]) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part.write_text(json.dumps(value))
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)


def sha256_of(path: Path, tell: Callable[[int], None] = lambda _: None) -> str:
    """The sha256 of a file; `tell` is told of each piece's bytes. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(CHUNK)
        view = memoryview(buffer)
        while length := file.readinto(buffer):
            digest.update(view[:length])
            tell(length)
    return digest.hexdigest()


def place_for(root: Path, path: str) -> Path:
    """Where a file of that path goes below `root` (resolved). Raises `CliError` for a path that leads elsewhere.

    The path is another machine's word: steps that climb, roots, drives and links that lead out are all refused.
    """
    steps = path.split("/")
    odd = any(map(_is_odd, path)) or any(step in {"", ".", ".."} for step in steps)
    if odd or steps[0] == STATE or len(path) > _LONGEST:
        raise CliError(f"the server names a file {path[:200]!a}, which must not be written here; nothing was")
    place = root.joinpath(*steps)
    if not place.parent.resolve().is_relative_to(root):
        raise CliError(f"{path[:200]!a} would be written through a link that leads out of {root}; remove the link")
    return place
