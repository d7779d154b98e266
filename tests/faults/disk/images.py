"""Images: what a disk holds after a power cut, worked out from a trace of every write, sync, creation and deletion.

Only what was synced is certain: the bytes of a file by a sync of that file, its name (or that it is gone) by a sync of
the folder. Of what was not synced a torn image keeps each page or loses it, by the toss of a coin. That is stricter
than any file system in use, and it is all that POSIX promises.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.disk.tracing import Call

PAGE = 4096
SYNCS = ("fsync", "fdatasync")

Files = Mapping[str, bytes]
"""What is in the files of the books, by the suffix of the database file's name."""


@dataclass
class File:
    """One file: its bytes as programs see them, and as they were synced last."""

    now: bytearray = field(default_factory=bytearray)
    synced: bytes = b""

    def torn(self, random: Random) -> bytes:
        """Each page as it is now, or as it was synced."""
        length = random.choice((len(self.now), len(self.synced)))
        pages = (random.choice((self.now, self.synced))[at : at + PAGE] for at in range(0, length, PAGE))
        return b"".join(bytes(page.ljust(PAGE, b"\0")) for page in pages)[:length]


class Disk:
    """The books' files on a disk that may lose its power."""

    def __init__(self, database: str) -> None:
        self._folder = str(Path(database).parent)
        self._suffixes = {database: "", f"{database}-wal": "-wal"}
        self._names: dict[str, File] = {}
        self._kept: dict[str, File] = {}

    def does(self, call: Call) -> None:
        """A call has ended. One that failed has done nothing."""
        if call.failed:
            return
        if call.path == self._folder and call.name in SYNCS:
            self._kept = dict(self._names)
        if call.path not in self._suffixes:
            return
        if call.name == "openat" and call.number:
            self._names.setdefault(call.path, File())
        elif call.name == "unlink":
            del self._names[call.path]
        elif call.name != "openat":
            self._changes(self._names[call.path], call)

    def _changes(self, file: File, call: Call) -> None:
        if call.name in SYNCS:
            file.synced = bytes(file.now)
        elif call.name == "ftruncate":
            del file.now[call.number :]
            file.now.extend(bytes(call.number - len(file.now)))
        else:
            file.now.extend(bytes(max(0, call.number - len(file.now))))
            file.now[call.number : call.number + len(call.data)] = call.data

    def synced(self) -> Files:
        """What is certain."""
        return {self._suffixes[name]: file.synced for name, file in self._kept.items()}

    def torn(self, random: Random) -> Files:
        """What may be there instead."""
        kept = random.choice((self._kept, self._names))
        return {self._suffixes[name]: file.torn(random) for name, file in kept.items()}


@dataclass(frozen=True)
class Moment:
    """Just before a sync (or the end): all that was acknowledged must be in what is there."""

    name: str
    notes: list[Mapping[str, Any]]
    synced: Files
    torn: list[Files]
    after_fault: bool
    """Whether a call had been made to fail before."""


def moments(calls: Iterable[Call], database: str, notes: str, random: Random, torn: int) -> Iterator[Moment]:
    """Every moment of a run (or of several, one after the other, on the same files) at which a power cut matters.

    What is certain changes at syncs only, and what was acknowledged only grows: between two syncs the last instant
    is the hardest.
    """
    disk, syncs, after_fault = Disk(database), 0, False
    noted: list[Mapping[str, Any]] = []

    def moment(before: str) -> Moment:
        after = noted[-1]["name"] if noted else "nothing"
        name = f"before {before}, after {after}"
        return Moment(name, list(noted), disk.synced(), [disk.torn(random) for _ in range(torn)], after_fault)

    for call in calls:
        if call.name == "write" and call.path == notes:
            noted.append(json.loads(call.data))
        elif call.name in SYNCS:
            syncs += 1
            yield moment(f"sync {syncs}")
        after_fault = after_fault or call.injected
        disk.does(call)
    yield moment("the end")
