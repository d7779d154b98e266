"""Metering: processor time and bytes written, of processes and all that they have started, from /proc.

A process that has ended is counted with the parent that waited for it. Bytes written are those that the processes gave
to write calls (`wchar`): to files, and as far as a runtime uses the same calls for sockets (Go's does), to these too.
`write_bytes` in the same file counts pages that became dirty, and on a kernel with large folios a write of 8 KiB to
PostgreSQL's log counts as 2 MiB there: measured, on Linux 6.18 and ext4.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PARTS = {
    "engine_peer": "callers",
    "restate_peer": "callers",
    "dbos_peer": "DBOS and callers",
    "floor_peer": "callers",
    "transfer_worker": "worker",
    "hypercorn": "service",
    "multiprocessing": "service",
    "postgres": "PostgreSQL",
    "temporal": "Temporal",
    "restate-server": "Restate",
}
"""What a program is called on the page."""

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds of each part of what was running, and the bytes that all of it wrote."""

    parts: dict[str, float]
    written_bytes: int

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of all parts together."""
        return sum(self.parts.values())

    def __sub__(self, before: "Usage") -> "Usage":
        spent = {part: seconds - before.parts.get(part, 0.0) for part, seconds in self.parts.items()}
        return Usage(spent, self.written_bytes - before.written_bytes)


def usage(roots: Iterable[int]) -> Usage:
    """What these processes and their descendants have used since they began."""
    parts, written = dict[str, float](), 0
    for process in _trees(roots):
        with suppress(FileNotFoundError, ProcessLookupError):
            part = _part(process)
            parts[part] = parts.get(part, 0.0) + _cpu_seconds(process)
            written += _written(process)
    return Usage(parts, written)


def parent(process: int) -> int:
    """The id of the process that started this one."""
    return int(_stat(process)[1])


def _trees(roots: Iterable[int]) -> set[int]:
    children: dict[int, list[int]] = {}
    for process in _processes():
        with suppress(FileNotFoundError, ProcessLookupError):
            children.setdefault(int(_stat(process)[1]), []).append(process)
    found, waiting = set[int](), list(roots)
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.add(process)
            waiting += children.get(process, [])
    return found


def _processes() -> Iterator[int]:
    return (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())


def _stat(process: int) -> list[str]:
    """The fields behind the name, which is in brackets and may hold anything: state, parent, ..."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def _cpu_seconds(process: int) -> float:
    return sum(int(ticks) for ticks in _stat(process)[11:15]) / _TICKS  # its own and its ended children's


def _written(process: int) -> int:
    lines = Path(f"/proc/{process}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar:"))


def _part(process: int) -> str:
    """The program's name; of Python, what it runs."""
    name = Path(f"/proc/{process}/comm").read_text().strip()
    if name.startswith("python"):
        words = Path(f"/proc/{process}/cmdline").read_text().split("\0")
        started = "multiprocessing" if "-c" in words else None  # as Hypercorn starts those that serve
        name = started or next((_name(word) for word in words[1:] if not word.startswith("-")), name)
    return PARTS.get(name, name)


def _name(word: str) -> str:
    """`worker` of /path/to/worker.py, `engine_peer` of bench.peers.engine_peer."""
    return Path(word).name.removesuffix(".py").rpartition(".")[2]
