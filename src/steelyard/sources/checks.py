"""What every source is asked of the list of files that it gives."""

from collections.abc import Iterable

from steelyard.errors import OutboundFailed
from steelyard.records.filesets import FileChange
from steelyard.records.paths import folders_above, path_fault

MOST_FILES = 100_000
_LARGEST = 2**53


def checked_files(files: Iterable[FileChange]) -> list[FileChange]:
    """The files by path. Raises OutboundFailed for paths, sizes and numbers of files that a fileset cannot have."""
    found: dict[str, FileChange] = {}
    for file in files:
        if fault := path_fault(file.path):
            raise _unfit(f"the file {file.path[:200]!r} of the source cannot be taken: {fault}")
        if file.path in found:
            raise _unfit(f"the source lists {file.path[:200]!r} twice")
        if not 0 <= file.size <= _LARGEST:
            raise _unfit(f"the source gives {file.path[:200]!r} a size that no file has")
        found[file.path] = file
        if len(found) > MOST_FILES:
            raise _unfit(f"the source has more than {MOST_FILES} files; name a part of it")
    for path in found:
        for folder in folders_above(path):
            if folder in found:
                raise _unfit(f"the source has {folder[:200]!r} as a file and as a folder")
    return [found[path] for path in sorted(found)]


def _unfit(message: str) -> OutboundFailed:
    return OutboundFailed(message, reason="unfit")


def whole_number(value: object) -> int:
    """A size as a source tells it, -1 for what is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
