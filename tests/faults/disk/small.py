"""Small: a disk of a few megabytes, in memory, that can be filled to the last page and freed again. Needs root."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096


class CannotMount(Exception):
    """There can be no such disk here."""


@dataclass(frozen=True)
class SmallDisk:
    """Where it is mounted."""

    path: Path

    @property
    def free(self) -> int:
        """Bytes that can still be written."""
        room = os.statvfs(self.path)
        return room.f_bavail * room.f_frsize

    def fill(self, *, but: int = 0) -> None:
        """Fill it with another file, and leave only so many bytes."""
        with open(self._ballast, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(PAGE))
            except OSError as full:
                if full.errno != errno.ENOSPC:
                    raise
            file.truncate(file.tell() // PAGE * PAGE - but)
        assert self.free == but, (self.free, but)

    def heal(self) -> None:
        """Make room again."""
        self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.path / "ballast"


@asynccontextmanager
async def small_disk(path: Path, size: str = "4m") -> AsyncIterator[SmallDisk]:
    """A small disk for the length of the block. Raises CannotMount.

    A shell unmounts it, when it is told so or when this process is no more: nothing stays mounted.
    """
    path.mkdir()
    script = 'mount -t tmpfs -o size="$2" none "$1" || exit 1; echo mounted; read line; umount -l "$1"'
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-c", script, "sh", str(path), size),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert shell.stdout is not None
    if not await shell.stdout.readline():
        _, said = await shell.communicate()
        raise CannotMount(said.decode(errors="replace").strip())
    try:
        yield SmallDisk(path)
    finally:
        await shell.communicate(b"done\n")
