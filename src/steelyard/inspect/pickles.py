"""What a file of weights would run when it is loaded: pickles found by their content, in whatever they are packed.

`scan` takes a file for everything that a loader might take it for: a name says nothing, and one file can be a pickle
from its start and an archive from its end. Nothing is loaded, imported or unpickled.

Known ways past scanners, and where they end here: a pickle that breaks after it has run (what stands before the break
counts), a second pickle behind the first (read on), wrong checksums, flags and names in archives (`zips`), other
extensions (content decides), submodules and unlisted functions of dangerous modules (`imports`: what is not listed as
safe is at least suspicious), names put together through the memo or while unpickling (`opcodes`), archives that cannot
be looked into (told as not scanned).
"""

from steelyard.inspect.arrays import NPY_MAGIC
from steelyard.inspect.contents import Contents, compression, is_claimed, unreadable
from steelyard.inspect.findings import Finding, Level, LimitReached, Limits, Read, Report, Scan, Verdict
from steelyard.inspect.keras import HDF5_MAGIC
from steelyard.inspect.opcodes import walk
from steelyard.inspect.streams import Stream
from steelyard.inspect.tars import is_tar
from steelyard.inspect.zips import LOCAL

__all__ = ["SNIFF_BYTES", "Finding", "Level", "Limits", "Read", "Scan", "Verdict", "scan", "sniff"]

SNIFF_BYTES = 512

# Names that loaders open without looking first; pickles under other names show in their first bytes.
_LOADED_BY_NAME = (
    *(".bin", ".model", ".data", ".dat", ".p", ".npy", ".npz", ".h5", ".hdf5", ".keras", ".nemo", ".tar", ".tgz"),
    *(".zip", ".mar", ".ptl", ".pt2", ".gz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".lz4"),
)
_SNIFF_OPCODES = Limits(opcodes=SNIFF_BYTES, nbytes=4 * SNIFF_BYTES)


def sniff(head: bytes, name: str = "") -> bool:
    """Whether a file with these first SNIFF_BYTES (or all that it has), and this name, has to be scanned at all."""
    lower = name.lower()
    if lower.endswith(".gguf") and head.startswith(b"GGUF"):
        return False
    if lower.endswith(".safetensors") and head[8:9] == b"{":
        return False
    if is_claimed(lower) or lower.endswith(_LOADED_BY_NAME):
        return True
    if head.startswith((LOCAL, NPY_MAGIC, HDF5_MAGIC)) or unreadable(head) or compression(head) or is_tar(head):
        return True
    return _may_be_pickle(head)


def _may_be_pickle(head: bytes) -> bool:
    """Whether the head is a pickle, or may go on as one. Most texts break within their first line."""
    if not head:
        return False

    def read(offset: int, length: int) -> bytes:
        return head[offset : offset + length]

    first = walk(Stream(read, len(head), Report(_SNIFF_OPCODES)), Report(_SNIFF_OPCODES))
    if first.imports or first.framed or first.ended == "stop":
        return True
    return first.ended != "broken" and len(head) >= SNIFF_BYTES


def scan(read: Read, size: int, name: str, limits: Limits | None = None) -> Scan:
    """What `size` bytes, behind `read(offset, length)`, would do to whoever loads them. Nothing is loaded.

    `name` (a path or a file's name) adds to what the content says. Raises nothing of its own, whatever the bytes are;
    what `read` raises goes through.
    """
    report = Report(limits or Limits())
    contents = Contents(report, sniff)
    try:
        kind = contents.scan(read, size, name, "", 0)
    except LimitReached as limit:
        report.find("not scanned", "", f"was not scanned whole: {limit}")
        kind = "unknown"
    return report.scan(kind)
