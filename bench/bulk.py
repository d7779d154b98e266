"""Bulk transfers, from a file to its results, against raw set-based SQL that writes the same rows.

The real commands on a real server: a worker process, and `starter.py batch` on a file. What a tenth of the file took is
told by the ledger's own instants, and the memory and the processor time of each process are looked at all the while.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import psutil
from sqlalchemy import text

from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most
from bench.filling import write
from bench.load import AWAY, Load
from bench.watching import Watch
from engine.embedded import EmbeddedServer
from engine.settings import ROOT
from ledger.book import Ledger
from ledger.database import AUDITING, open_database, parse_url, reading

LINES, FEWER = 100_000, 20_000
WARM = 50_000
"""After so many lines memory is what it shall stay."""

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


PROCESSES = ("worker", "starter", "Temporal server", "PostgreSQL")


@dataclass(slots=True)
class Run:
    """What one batch took: transfers/s, its commits (instant in microseconds, transfers), and what was watched."""

    rate: float
    commits: list[tuple[int, int]]
    watched: dict[str, Watch]

    @property
    def warm(self) -> int:
        """The instant (microseconds) after `WARM` lines."""
        return self.commits[bisect_left(self._done, min(WARM, self._done[-1]))][0]

    @property
    def tenths(self) -> tuple[float, float]:
        """Transfers a second in the first and in the last tenth."""
        count = self._done[-1]
        return self._between(1, count // 10), self._between(count - count // 10, count)

    def sizes(self, process: str) -> list[tuple[float, float]]:
        """A process's size (MiB) by how many lines were settled; at most a hundred points."""
        begins, ends = self.commits[0][0], self.commits[-1][0]
        instants, done = [at for at, _ in self.commits], [0, *self._done]
        seen = [(at, size) for at, size in self.watched[process].seen if begins <= at <= ends]
        points = [(float(done[bisect_right(instants, at)]), size / 2**20) for at, size in seen]
        return points[:: max(1, len(points) // 100)]

    @property
    def _done(self) -> list[int]:
        return list(accumulate(many for _, many in self.commits))

    def _between(self, first: int, last: int) -> float:
        """The rate from the commit in which the first is settled to that of the last, of what came between."""
        done = self._done
        start, end = bisect_left(done, max(first, done[0])), bisect_left(done, last)
        end = max(end, start + 1) if start + 1 < len(done) else end
        return (done[end] - done[start]) * 1e6 / max(self.commits[end][0] - self.commits[start][0], 1)


async def measure(databases: Databases, quick: bool, lines: int | None = None) -> Figure:
    """Transfers a second from file to results, and of raw SQL, on both databases."""
    count = lines or (FEWER if quick else LINES)
    found = [line for backend in _NAMES for line in await _on(backend, databases, count)]
    return Figure(
        f"Bulk: a file of {count:,} transfers",
        "From the start of `starter.py batch` (hashing, reading, 4,000 lines at a time) to its results file; "
        "1,000 accounts in one currency; a worker and an embedded server beside it on the same cores. Raw SQL writes "
        "the same rows of as many transfers with one INSERT ... SELECT for each table, under the same constraints and "
        "triggers, in one transaction. Processor time is what each process used meanwhile; at 10,000 a second two "
        "cores have 200 µs for each transfer. With fewer lines than 500,000 the tenths are short and say little.",
        found,
    )


async def _on(backend: str, databases: Databases, count: int) -> list[Line]:
    of_sql = await raw(await databases.new(backend), count)
    run = await batch(databases, backend, count)
    name = _NAMES[backend]
    lines = [
        Line(f"{name}, from file to results", run.rate, "transfers/s", at_least(10_000)),
        Line(f"{name}, raw SQL", of_sql, "transfers/s"),
        Line(f"{name}, of raw SQL", run.rate / of_sql, "ratio", at_least(0.5)),
        Line(f"{name}, last tenth of the first", run.tenths[1] / run.tenths[0], "ratio", at_least(0.9)),
    ]
    for process in PROCESSES[:2]:
        growth = run.watched[process].growth_after(run.warm)
        lines.append(Line(f"{name}, the {process}'s memory grows to", growth, "times", at_most(1.3)))
    return lines + [
        Line(f"{name}, processor time of {process}", watch.used * 1e6 / count, "µs/transfer")
        for process, watch in run.watched.items()
    ]


async def raw(url: str, count: int) -> float:
    """Transfers a second by one INSERT ... SELECT for each table, in new books."""
    load = Load()
    async with Ledger.open(url) as ledger:
        await load.open(ledger)
    engine = open_database(parse_url(url), bounds=AUDITING)
    began = time.perf_counter()
    await write(engine, load, count // load.accounts * load.accounts)
    taken = time.perf_counter() - began
    await engine.dispose()
    return count / taken


async def batch(databases: Databases, backend: str, count: int) -> Run:
    """One batch of so many transfers, by the real commands, in new books."""
    url = await databases.new(backend)
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        data, load = Path(folder), Load()
        async with Ledger.open(url) as ledger:
            await load.open(ledger)
        _write_file(data / "payments.csv", load, count)
        async with EmbeddedServer.running(data, port=0, ui_port=None) as server:
            environment = os.environ | {
                "DURABLE_TRANSFERS_DATA": folder,
                "LEDGER_DATABASE_URL": url,
                "TEMPORAL_ADDRESS": server.address,
            }
            pids = {"Temporal server": server.pid} | ({"PostgreSQL": databases.pid} if backend == "postgresql" else {})
            async with _worker(data, environment) as pid:
                watched = {name: Watch(psutil.Process(of)) for name, of in ({"worker": pid} | pids).items()}
                seconds = await _starter(data, environment, count, watched)
        return Run(count / seconds, await _commits(url), watched)


def _write_file(path: Path, load: Load, count: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write("transfer_id,from,to,amount,currency\n")
        file.writelines(
            f"{load.name}-{n:09},{load.account(n)},{load.account(n + AWAY)},0.01,USD\n" for n in range(count)
        )


@asynccontextmanager
async def _worker(data: Path, environment: dict[str, str]) -> AsyncIterator[int]:
    """A worker, running for the length of the block: its process id."""
    log = data / "worker.log"
    with open(log, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "worker.py"), "--no-sweep"), env=environment, stdout=output, stderr=output
        )
    try:
        async with asyncio.timeout(60):
            while "ready:" not in log.read_text():
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        await process.wait()


async def _starter(data: Path, environment: dict[str, str], count: int, watched: dict[str, Watch]) -> float:
    """Run the batch, watching all processes. Returns the seconds from the start of its own to its end."""
    async with AsyncExitStack() as watching:
        for watch in watched.values():
            await watching.enter_async_context(watch.looking())
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "starter.py"), "batch", str(data / "payments.csv"), "--id", "bulk", "--json"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        watched["starter"] = Watch(psutil.Process(process.pid))
        await watching.enter_async_context(watched["starter"].looking())
        output, _ = await process.communicate()
        taken = time.perf_counter() - began
    said = json.loads(output)
    if process.returncode != 0 or said["settled"] != count or said["replayed"]:
        raise RuntimeError(f"the batch was not settled: {said}")
    return taken


async def _commits(url: str) -> list[tuple[int, int]]:
    """When the batch's transfers came into the books (microseconds), and how many each time."""
    engine = open_database(parse_url(url), read_only=True, bounds=AUDITING)
    commits = text("SELECT changed_at, COUNT(*) FROM transfers GROUP BY changed_at ORDER BY changed_at")
    async with reading(engine) as connection:
        found = [(int(at), int(many)) for at, many in await connection.execute(commits)]
    await engine.dispose()
    return found
