"""What Linux says of a process and all that it started."""

import contextlib
import time
from pathlib import Path


def tree(root: int) -> list[int]:
    """The process ids of `root` and its descendants that live now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        process = waiting.pop()
        found.append(process)
        waiting += children.get(process, [])
    return found


def cpu_seconds(processes: list[int]) -> float:
    """User and system time that the processes have used, in seconds.

    By their own clocks, to the nanosecond: what /proc says is counted in hundredths of a second.
    """
    used = 0.0
    for process in processes:
        # the number of another process's clock, as clock_getcpuclockid(3) makes it
        with contextlib.suppress(OSError):
            used += time.clock_gettime((~process << 3) | 2)
    return used


def resident_bytes(processes: list[int]) -> tuple[int, int]:
    """RSS and PSS of the processes together, in bytes (PSS: shared pages are divided among their users)."""
    rss = pss = 0
    for process in processes:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss += int(line.split()[1]) * 1024
                elif line.startswith("Pss:"):
                    pss += int(line.split()[1]) * 1024
    return rss, pss


def _stat(process: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name: 0 is the state, 1 the parent."""
    text = Path(f"/proc/{process}/stat").read_text()
    # the name is in parentheses and may hold blanks and parentheses itself
    return text[text.rindex(")") + 2 :].split()
