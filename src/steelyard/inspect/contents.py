"""Goes through what a file holds, whatever it is: pickles, arrays, archives, and archives in archives."""

import re
from collections.abc import Callable
from posixpath import basename

from steelyard.inspect.arrays import NPY_MAGIC, is_joblib_wrapper, joblib_array, npy_data_offset
from steelyard.inspect.findings import LimitReached, Read, Report, at_byte, inside
from steelyard.inspect.keras import HDF5_MAGIC, MAX_CONFIG, config_findings, scan_hdf5
from steelyard.inspect.machine import OTHER, Broken, Made, Value, Walk
from steelyard.inspect.opcodes import walk
from steelyard.inspect.streams import ENDLESS, Inflated, Stream
from steelyard.inspect.tars import is_tar
from steelyard.inspect.tars import read_members as read_tar
from steelyard.inspect.zips import BZIP2, DEFLATED, LOCAL, STORED, Member, has_directory
from steelyard.inspect.zips import read_members as read_zip

_HEAD = 512
# PyTorch's format before 1.6: the number that it starts with, and how many pickles stand before the storages.
_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_TORCH_PICKLES = 5
_MAX_IN_A_ROW = 256
_CARVE_BYTES = 16 << 20
_CARVE_TRIES = 256
_PROTOCOL = re.compile(rb"\x80[\x00-\x05][^\x00]")

_CLAIMS = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".sav")
_NATIVE = (".so", ".dll", ".dylib", ".pyd")
_COMPRESSIONS = ((b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x5d\0\0", "lzma"))
_UNREADABLE = (
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!\x1a\x07", "rar"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"ZF0x", "old joblib"),
    (b"\x1f\x9d", "compress"),
)


def is_claimed(name: str) -> bool:
    """Whether a name says that the file is a pickle, or an archive around one."""
    return name.lower().endswith(_CLAIMS)


def compression(head: bytes) -> str | None:
    """How the file is compressed, in a way that can be read; None if it is not."""
    if len(head) >= 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0:
        return "zlib"
    return next((form for magic, form in _COMPRESSIONS if head.startswith(magic)), None)


def unreadable(head: bytes) -> str | None:
    """The kind of an archive that cannot be looked into; None if it is not such a one."""
    return next((kind for magic, kind in _UNREADABLE if head.startswith(magic)), None)


class Contents:
    """A walk through one file. `sniff(head, name)` says which members of archives are looked into."""

    def __init__(self, report: Report, sniff: Callable[[bytes, str], bool]) -> None:
        self._report = report
        self._sniff = sniff

    def scan(self, read: Read, size: int, name: str, where: str, depth: int) -> str:
        """Reports what the bytes hold, and returns of what kind they are. Raises LimitReached."""
        head = read(0, min(_HEAD, size))
        self._report.spend_bytes(len(head))
        if not head:
            return "none"
        kind = self._packed(read, size, name, where, depth, head)
        pickled = None
        # Those that unpickle only what is no archive look for the same bytes at the start.
        if kind != "npy" and not head.startswith(LOCAL):
            pickled = self._pickles(read, size, where, claimed=kind is None and is_claimed(name))
        if pickled is not None and kind is not None:
            self._report.find("suspicious", where, f"is a pickle from its start, and {kind} as well")
        if pickled is None and kind is None and is_claimed(name):
            self._report.find("not scanned", where, "is called like a pickle, but is of no kind that is known here")
        return pickled or kind or "none"

    def _packed(self, read: Read, size: int, name: str, where: str, depth: int, head: bytes) -> str | None:
        """What the bytes are as arrays or archives; None if they are neither."""
        if head.startswith(NPY_MAGIC):
            start, claimed = npy_data_offset(read(0, 1 << 16))
            self._pickles(read, size, where, claimed=claimed, start=start)
            return "npy"
        if head.startswith(HDF5_MAGIC):
            scan_hdf5(read, min(size, self._report.limits.buffered), self._report, where)
            return "hdf5"
        closed = unreadable(head)
        if closed is not None:
            self._report.find("not scanned", where, f"is packed as {closed}, which is not looked into")
            return closed
        return self._archive(read, size, name, where, depth, head)

    def _archive(self, read: Read, size: int, name: str, where: str, depth: int, head: bytes) -> str | None:
        form = compression(head)
        zipped = head.startswith(LOCAL) or (size < ENDLESS and has_directory(read, size))
        archive = form or ("tar" if is_tar(head) else "zip" if zipped else None)
        if archive is not None and depth >= self._report.limits.depth:
            self._report.find("not scanned", where, "is an archive in archives in archives, too deep to look into")
            return archive
        found = None
        if form is not None:
            found = self._compressed(read, size, name, where, depth, form)
        if is_tar(head):
            found = self._tar(read, size, where, depth)
        if zipped:
            found = self._zip(read, size, name, where, depth) or found
        return found

    # Pickles

    def _pickles(self, read: Read, size: int, where: str, *, claimed: bool, start: int = 0) -> str | None:
        """Follows the pickles that stand in a row from `start`; None if there is none."""
        stream = Stream(read, size, self._report, start)
        kind: str | None = None
        for number in range(_MAX_IN_A_ROW):
            first = walk(stream, self._report, self._after_build(stream, where))
            if not self._commit(first, where, size, claimed):
                # A number and a STOP say nothing by themselves, but a pickle may follow them.
                if first.ended == "stop":
                    continue
                stream = Stream(read, size, self._report, first.start)
                break
            kind = kind or "pickle"
            if number == 0 and first.top == _TORCH_MAGIC:
                kind = "torch-legacy"
            if any(name.startswith("joblib.") for name in first.imports):
                kind = "joblib"
            # What follows the last pickle of this format is numbers, which torch does not unpickle.
            if first.ended != "stop" or (kind == "torch-legacy" and number + 1 == _TORCH_PICKLES):
                break
            if not stream.peek(1):
                return kind
        else:
            what = f"holds more than {_MAX_IN_A_ROW} pickles in a row, of which the others were not looked into"
            self._report.find("not scanned", at_byte(where, stream.position), what)
        if kind is not None and kind != "torch-legacy":
            self._carve(read, size, where, stream.position)
        return kind

    def _commit(self, found: Walk, where: str, size: int, claimed: bool) -> bool:
        """Reports a walk if it was over a pickle, and not over bytes that happen to be opcodes."""
        whole = found.ended == "stop" and bool(
            found.framed or found.imports or found.events or (found.end == size and found.opcodes > 1)
        )
        # Lists of words and programs can start like an import; what does not end has to show more of a pickle.
        part = bool(found.imports and (found.framed or found.calls)) or (found.framed and claimed)
        harmful = found.dangerous and bool(found.framed or found.calls)
        if not (whole or harmful or found.limit or (part and found.ended != "stop")):
            return False
        for name in found.imports:
            self._report.imported(name)
        for level, position, what in found.events:
            self._report.find(level, at_byte(where, position), what)
        if found.limit is not None:
            raise found.limit
        if found.ended in {"broken", "cut"}:
            self._report.find(
                "suspicious",
                at_byte(where, found.end),
                "the pickle breaks off here; what stands before has run by then",
            )
        return True

    def _after_build(self, stream: Stream, where: str) -> Callable[[Made], Value]:
        """joblib: behind the state of a wrapper stands its array, as raw bytes or as a pickle of its own."""

        def read_on(made: Made) -> Value:
            if not is_joblib_wrapper(made):
                return made
            array = joblib_array(made)
            if array is None:
                inner = walk(stream, self._report)
                self._commit(inner, where, ENDLESS, claimed=True)
                if inner.ended != "stop":
                    raise Broken
                return OTHER
            length, padded = array
            stream.skip(length + (stream.take(1) or b"\0")[0] if padded else length)
            return OTHER

        return read_on

    def _carve(self, read: Read, size: int, where: str, start: int) -> None:
        """Looks for pickles in what follows the last one, for a program that knows where they are."""
        end = min(size, start + _CARVE_BYTES)
        tries = 0
        for offset in range(start, end, 1 << 20):
            data = read(offset, min((1 << 20) + 2, end - offset))
            self._report.spend_bytes(len(data))
            if not data:
                return
            for match in _PROTOCOL.finditer(data):
                tries += 1
                if tries > _CARVE_TRIES:
                    return
                found = walk(Stream(read, size, self._report, offset + match.start()), self._report)
                if found.dangerous or (found.ended == "stop" and found.imports):
                    self._commit(found, where, size, claimed=False)

    # Archives

    def _compressed(self, read: Read, size: int, name: str, where: str, depth: int, form: str) -> str | None:
        inflated = Inflated(read, size, form, self._report)
        if not inflated.read(0, 1):
            return None
        inner = self._unpacked(inflated, name, inside(where, f"({form})"), depth)
        return None if inner == "none" else f"{form} of {inner}"

    def _unpacked(self, inflated: Inflated, name: str, where: str, depth: int) -> str:
        """Scans what can be read forwards only; a zip, whose directory is at its end, in memory."""
        if not inflated.read(0, 4).startswith(LOCAL):
            return self.scan(inflated.read, ENDLESS, name, where, depth + 1)
        most = self._report.limits.buffered
        data = inflated.read(0, most + 1)
        if len(data) > most:
            raise LimitReached(f"an archive of more than {most} bytes in a compressed one")
        return self.scan(_of_bytes(data), len(data), name, where, depth + 1)

    def _tar(self, read: Read, size: int, where: str, depth: int) -> str:
        for member in read_tar(read, size, self._report, where):
            place = inside(where, member.name)
            part = _window(read, member.offset, member.size)
            with _Part(self._report, place):
                if self._sniff(part(0, _HEAD), member.name):
                    self.scan(part, member.size, member.name, place, depth + 1)
        return "tar"

    def _zip(self, read: Read, size: int, name: str, where: str, depth: int) -> str | None:
        members = read_zip(read, size, self._report, where)
        if not members:
            return None
        names = {member.name for member in members}
        # A bomb may take all that the scan may spend: what loaders unpickle comes before it.
        for member in sorted(members, key=lambda member: not is_claimed(member.name)):
            place = inside(where, member.name)
            with _Part(self._report, place):
                self._member(read, member, place, depth)
        return self._tell_of_names(read, members, names, name, where)

    def _member(self, read: Read, member: Member, place: str, depth: int) -> None:
        packed = _window(read, member.offset, member.packed)
        if not member.packed:
            return
        if member.method == STORED:
            head = member.head[: min(_HEAD, member.packed)]
            if len(head) < min(_HEAD, member.packed):
                head = packed(0, _HEAD)
            if self._sniff(head, member.name):
                self.scan(packed, member.packed, member.name, place, depth + 1)
        elif member.method in {DEFLATED, BZIP2}:
            form = "deflate" if member.method == DEFLATED else "bzip2"
            inflated = Inflated(packed, member.packed, form, self._report)
            if self._sniff(inflated.read(0, _HEAD), member.name):
                self._unpacked(inflated, member.name, place, depth)
        else:
            self._report.find("not scanned", place, f"is packed by method {member.method}, which is not looked into")

    def _tell_of_names(self, read: Read, members: list[Member], names: set[str], name: str, where: str) -> str:
        """The kind of a zip archive by what its members are called, with findings on code that is no pickle."""
        bases = {basename(member) for member in names}
        sources = sorted(member for member in names if member.endswith(".py"))
        for member in sorted(names):
            if member.lower().endswith(_NATIVE):
                self._report.find("suspicious", inside(where, member), "is native code")
        if "constants.pkl" in bases or any("/code/" in source for source in sources):
            self._report.find("suspicious", where, "holds TorchScript code, which torch.jit runs")
            return "torchscript"
        for source in sources:
            self._report.find("suspicious", inside(where, source), "is Python code")
        if "data.pkl" in bases:
            return "torch-zip"
        if "config.json" in names and ("metadata.json" in names or name.lower().endswith(".keras")):
            self._keras(read, members, where)
            return "keras"
        return "npz" if any(member.endswith(".npy") for member in names) else "zip"

    def _keras(self, read: Read, members: list[Member], where: str) -> None:
        for member in members:
            if member.name != "config.json":
                continue
            packed = _window(read, member.offset, member.packed)
            if member.method == DEFLATED:
                packed = Inflated(packed, member.packed, "deflate", self._report).read
            for level, what in config_findings(packed(0, MAX_CONFIG)):
                self._report.find(level, inside(where, member.name), what)


class _Part:
    """What goes past a limit within one member is told of that member; the others are scanned as far as may be."""

    def __init__(self, report: Report, place: str) -> None:
        self._report, self._place = report, place

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if isinstance(error, LimitReached):
            self._report.find("not scanned", self._place, f"was not scanned whole: {error}")
            return True
        return False


def _window(read: Read, start: int, size: int) -> Read:
    return lambda offset, length: read(start + offset, max(min(length, size - offset), 0))


def _of_bytes(data: bytes) -> Read:
    return lambda offset, length: data[offset : offset + length]
