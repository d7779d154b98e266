"""Levers: where the processor time of one transfer goes, and what each known way to change that is worth.

A worker for each lever stands on the same server, with a task queue and books of its own, and takes turns with one that
is as it is. Eager start is none of them: it needs the worker in the caller's process, and `starter.py` is its own.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.databases import Databases
from bench.figure import Figure, Line, median, ratio
from bench.lever_worker import AS_IT_IS, LEVERS, Lever
from bench.transfer import IN_FLIGHT, Sides, throughput, turns
from bench.watching import Watch
from engine.connection import connect
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import ROOT, Settings
from engine.submitting import Submitter


async def measure(databases: Databases, quick: bool) -> Figure:
    """Processor time by process, and the throughput with each lever for each without."""
    pairs, size = (2, 30) if quick else (6, 60)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        async with EmbeddedServer.running(data, port=0, ui_port=None) as server:
            client = await connect(Settings(data, "", None), [ClientPlugin()], server.address)

            def sides(queue: str) -> Sides:
                return Sides(Submitter(client, queue))

            lines = []
            for backend, base in AS_IT_IS.items():
                others = [name for name, lever in LEVERS.items() if lever.backend == backend and name != base]
                async with _workers(databases, data, server.address, base) as pids:
                    processes = {"Temporal server": server.pid, f"worker on {backend}": pids[0]}
                    lines += await _profile(sides(base), processes, base, size)
                    for name in others:
                        async with _workers(databases, data, server.address, name) as others_pids:
                            as_it_is, otherwise = _Way(sides(base), pids), _Way(sides(name), others_pids)
                            lines += await _worth(as_it_is, otherwise, name, pairs, size)
    return Figure(
        "Levers: where one transfer's time goes, and what each way to change it is worth",
        f"Processor time of each process over {4 * size} transfers, {IN_FLIGHT} in flight. Then {pairs} turns of "
        f"{size} transfers with each lever set otherwise, and as many as it is on the same database: below 1, the "
        "lever stands right. The worker's processor time depends less on what else the machine does.",
        lines,
    )


async def _profile(sides: Sides, pids: dict[str, int], name: str, size: int) -> list[Line]:
    await throughput(sides.transfer, IN_FLIGHT * 2)
    watched = {name: Watch(psutil.Process(pid)) for name, pid in pids.items()}

    def used() -> dict[str, float]:
        # Not through Watch: the others are this process's children.
        return {name: watch.seconds() for name, watch in watched.items()} | {"client": time.process_time()}

    before, rate, after = used(), await throughput(sides.transfer, 4 * size), used()
    each = {name: (after[name] - before[name]) * 1e3 / (4 * size) for name in before}
    return [
        Line(name, rate, "transfers/s"),
        *(Line(f"processor time of {name}", taken, "ms/transfer") for name, taken in each.items()),
    ]


@dataclass(frozen=True, slots=True)
class _Way:
    """A way to set things, and the processes of the workers that work so."""

    sides: Sides
    pids: list[int]

    def seconds(self) -> float:
        """The processor time of the workers so far."""
        return sum(Watch(psutil.Process(pid)).seconds() for pid in self.pids)


async def _worth(base: _Way, other: _Way, name: str, pairs: int, size: int) -> list[Line]:
    for way in (base, other):
        await throughput(way.sides.transfer, IN_FLIGHT)  # not counted: the first of everything is slow
    before = base.seconds(), other.seconds()
    as_it_is, otherwise = await turns(base.sides.transfer, other.sides.transfer, pairs, size)
    used, used_otherwise = base.seconds() - before[0], other.seconds() - before[1]
    return [
        Line(f"{name}: transfers/s ({median(otherwise):.1f})", ratio(otherwise, as_it_is), "of as it is"),
        Line(f"{name}: the worker's processor time", used_otherwise / used, "of as it is"),
    ]


@contextlib.asynccontextmanager
async def _workers(databases: Databases, data: Path, address: str, name: str) -> AsyncIterator[list[int]]:
    """The workers of one lever, for the length of the block: their process ids."""
    lever: Lever = LEVERS[name]
    url, started = await databases.new(lever.backend), list[asyncio.subprocess.Process]()
    try:
        for _ in range(lever.processes):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.lever_worker", str(data), address, name, url, name),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            started.append(process)
            assert process.stdout is not None
            if await asyncio.wait_for(process.stdout.readline(), 60) != b"ready\n":
                raise RuntimeError(f"the worker did not start: {name}")
        yield [process.pid for process in started]
    finally:
        for process in started:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
