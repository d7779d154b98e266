"""Watching: how large a process is, again and again, and how much processor time it and its children have used."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import psutil

LOOKS_PER_SECOND = 10


@dataclass(slots=True)
class Watch:
    """A process, looked at ten times a second: instants (microseconds) and sizes (bytes), and its processor time."""

    process: psutil.Process
    seen: list[tuple[int, int]] = field(default_factory=list)
    before: float = 0.0
    used: float = 0.0

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Look for the length of the block, or until the process is gone."""
        self.before = self.seconds()
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(psutil.NoSuchProcess):
                self.used = self.seconds() - self.before

    async def _look(self) -> None:
        while self.process.is_running():
            with contextlib.suppress(psutil.NoSuchProcess):
                self.seen.append((time.time_ns() // 1000, self.process.memory_info().rss))
                self.used = self.seconds() - self.before
            await asyncio.sleep(1 / LOOKS_PER_SECOND)

    def seconds(self) -> float:
        """The processor time of the process and of all children it has or had. A zombie's is still there."""
        times = self.process.cpu_times()
        used = times.user + times.system + times.children_user + times.children_system
        for child in self.process.children():
            with contextlib.suppress(psutil.NoSuchProcess):
                used += sum(child.cpu_times()[:2])
        return float(used)

    def growth_after(self, instant: int) -> float:
        """The largest size after an instant, for each byte at that instant."""
        later = [size for at, size in self.seen if at >= instant] or [self.seen[-1][1]]
        return max(later) / later[0]
