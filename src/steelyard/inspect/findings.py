"""What a scan finds, and how much work it may do to find it."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Read = Callable[[int, int], bytes]
"""Up to `length` bytes from `offset`; fewer at the end."""

Verdict = Literal["clean", "not scanned", "suspicious", "dangerous"]
Level = Literal["not scanned", "suspicious", "dangerous"]

_ORDER: tuple[Verdict, ...] = ("clean", "not scanned", "suspicious", "dangerous")
_MAX_PER_LEVEL = 100
_MAX_IMPORTS = 1_000
_MAX_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to know: how bad, where (member of the archive and byte, or empty), and what, in a sentence."""

    level: Level
    where: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a file holds (`none` if nothing that runs), the worst of its findings, and every name that it imports."""

    kind: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    imports: tuple[str, ...] = ()

    def as_document(self) -> Mapping[str, Any]:
        """`{kind, verdict, findings: [{level, where, what}], imports: [str]}`, as JSON."""
        return {
            "kind": self.kind,
            "verdict": self.verdict,
            "findings": [asdict(finding) for finding in self.findings],
            "imports": list(self.imports),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one scan may do: beyond it, the file counts as not scanned whole.

    `nbytes` are those read and inflated, all together; `buffered` are those of one archive inside a compressed one,
    which has to be in memory to be looked into.
    """

    opcodes: int = 1_000_000
    nbytes: int = 256 << 20
    buffered: int = 32 << 20
    members: int = 20_000
    depth: int = 3


class LimitReached(Exception):
    """There is more to scan than may be scanned. It never leaves `scan`."""


class Report:
    """Collects what a scan finds, and counts what it costs."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._opcodes = limits.opcodes
        self._bytes = limits.nbytes
        self._members = limits.members
        self._found: dict[Level, dict[Finding, None]] = {"dangerous": {}, "suspicious": {}, "not scanned": {}}
        self._imports: dict[str, None] = {}

    def find(self, level: Level, where: str, what: str) -> None:
        """Notes a finding, once; of very many of a level, the first."""
        found = self._found[level]
        if len(found) < _MAX_PER_LEVEL:
            found[Finding(level, where, what)] = None

    def imported(self, name: str) -> None:
        """Notes a name that would be imported."""
        if len(self._imports) < _MAX_IMPORTS:
            self._imports[name] = None

    def spend_opcodes(self, count: int = 1) -> None:
        """Counts opcodes, or other steps that take as long. Raises LimitReached."""
        self._opcodes -= count
        if self._opcodes < 0:
            raise LimitReached(f"more than {self.limits.opcodes} opcodes")

    def spend_bytes(self, count: int) -> None:
        """Counts bytes that were read or inflated. Raises LimitReached."""
        self._bytes -= count
        if self._bytes < 0:
            raise LimitReached(f"more than {self.limits.nbytes} bytes to read")

    def spend_member(self) -> None:
        """Counts one member of an archive. Raises LimitReached."""
        self._members -= 1
        if self._members < 0:
            raise LimitReached(f"more than {self.limits.members} members in archives")

    def scan(self, kind: str) -> Scan:
        """All of it, the worst first."""
        findings = tuple(finding for found in self._found.values() for finding in found)
        levels = [_ORDER.index(finding.level) for finding in findings]
        return Scan(kind=kind, verdict=_ORDER[max(levels, default=0)], findings=findings, imports=tuple(self._imports))


def shown(text: str) -> str:
    """Text out of a file, fit for a sentence: printable, and cut where it is long."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[:_MAX_SHOWN])
    return plain + "…" if len(text) > _MAX_SHOWN else plain


def inside(where: str, name: str) -> str:
    """The place of a member of the archive at `where`: `outer.zip!inner/data.pkl`."""
    return f"{where}!{shown(name)}" if where else shown(name)


def at_byte(where: str, position: int) -> str:
    """The place of a byte in the file or member at `where`."""
    return f"{where}, byte {position}" if where else f"byte {position}"
