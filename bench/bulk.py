"""Bulk transfers, from a file to its results, against raw set-based SQL that writes the same rows.

The real commands on a real server: a worker process, and `starter.py batch` on a file. What a tenth of the file took is
told by the ledger's own instants, and the worker's memory is looked at all the while.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import text

from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most
from bench.filling import write
from bench.load import AWAY, Load
from engine.embedded import EmbeddedServer
from engine.settings import ROOT
from ledger.book import Ledger
from ledger.database import AUDITING, open_database, parse_url, reading

LINES, FEWER = 100_000, 20_000
WARM = 50_000
"""After so many lines the worker's memory is what it shall stay."""

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(slots=True)
class _Run:
    """What one batch took: in all, in its first and last tenth (transfers/s), and the worker's memory and time."""

    rate: float
    first: float
    last: float
    growth: float
    worker_microseconds: float


@dataclass(slots=True)
class _Watch:
    """The worker's process, looked at ten times a second: instants (microseconds) and sizes (bytes)."""

    process: psutil.Process
    seen: list[tuple[int, int]] = field(default_factory=list)

    async def look(self) -> None:
        """Look until cancelled."""
        while True:
            self.seen.append((time.time_ns() // 1000, self.process.memory_info().rss))
            await asyncio.sleep(0.1)

    def growth_after(self, instant: int) -> float:
        """The largest size after an instant, for each byte at that instant."""
        later = [size for at, size in self.seen if at >= instant] or [self.seen[-1][1]]
        return max(later) / later[0]

    def seconds(self) -> float:
        """The processor time that it has used so far."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


async def measure(databases: Databases, quick: bool, lines: int | None = None) -> Figure:
    """Transfers a second from file to results, and of raw SQL, on both databases."""
    count = lines or (FEWER if quick else LINES)
    found = [line for backend in _NAMES for line in await _on(backend, databases, count)]
    return Figure(
        f"Bulk: a file of {count:,} transfers",
        "From the start of `starter.py batch` (hashing, reading, 4,000 lines at a time) to its results file; "
        "1,000 accounts in one currency; a worker and an embedded server beside it on the same cores. Raw SQL writes "
        "the same rows of as many transfers with one INSERT ... SELECT for each table, under the same constraints and "
        "triggers, in one transaction. With fewer lines than 500,000 the tenths are short and say little.",
        found,
    )


async def _on(backend: str, databases: Databases, count: int) -> list[Line]:
    of_sql = await raw(await databases.new(backend), count)
    run = await _batch(await databases.new(backend), count)
    name = _NAMES[backend]
    return [
        Line(f"{name}, from file to results", run.rate, "transfers/s", at_least(10_000)),
        Line(f"{name}, raw SQL", of_sql, "transfers/s"),
        Line(f"{name}, of raw SQL", run.rate / of_sql, "ratio", at_least(0.5)),
        Line(f"{name}, last tenth of the first", run.last / run.first, "ratio", at_least(0.9)),
        Line(f"{name}, the worker's memory grows to", run.growth, "times", at_most(1.3)),
        Line(f"{name}, the worker's processor time", run.worker_microseconds, "µs/transfer"),
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


async def _batch(url: str, count: int) -> _Run:
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
            async with _worker(data, environment) as pid:
                watch = _Watch(psutil.Process(pid))
                looking, before = asyncio.create_task(watch.look()), watch.seconds()
                seconds = await _starter(data, environment, count)
                looking.cancel()
                used = watch.seconds() - before
        first, last, warm = await _tenths(url, count)
        return _Run(count / seconds, first, last, watch.growth_after(warm), used * 1e6 / count)


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


async def _starter(data: Path, environment: dict[str, str], count: int) -> float:
    """Run the batch. Returns the seconds from the start of the process to its end."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), "batch", str(data / "payments.csv"), "--id", "bulk", "--json"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    taken = time.perf_counter() - began
    said = json.loads(output)
    if process.returncode != 0 or said["settled"] != count or said["replayed"]:
        raise RuntimeError(f"the batch was not settled: {said}")
    return taken


async def _tenths(url: str, count: int) -> tuple[float, float, int]:
    """Transfers a second in the first and the last tenth, and the instant (microseconds) after `WARM` lines."""
    engine = open_database(parse_url(url), read_only=True, bounds=AUDITING)
    async with reading(engine) as connection:

        async def instant(done: int) -> int:
            """When so many of this batch's transfers were in the books."""
            nth = text("SELECT changed_at FROM transfers ORDER BY changed_at LIMIT 1 OFFSET :before")
            return int((await connection.execute(nth, {"before": done - 1})).scalar_one())

        tenth = count // 10
        marks = [await instant(done) for done in (1, tenth, count - tenth, count, min(WARM, count))]
    await engine.dispose()
    return tenth * 1e6 / (marks[1] - marks[0]), tenth * 1e6 / (marks[3] - marks[2]), marks[4]
