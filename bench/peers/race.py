"""The race: contestants take turns on one PostgreSQL, each alone on the machine, in rounds, with new books each time.

In a round each contestant is started, warmed up, given every turn, asked again for what it has done already, and
stopped; then its books are counted. Rounds begin with another contestant each time, so that whatever the machine does
meanwhile falls on all of them.
"""

import asyncio
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.databases import Databases
from bench.peers import books
from bench.peers.contestants import Contestant, Keeps, Way
from bench.peers.driving import Taken, Turn
from bench.peers.metering import Usage, parent, usage
from engine.settings import ROOT

WARM_UP = 30
"""So many are in flight before anything is measured; and as many are asked for a second time at the end."""

PATIENCE = 180.0
"""Seconds after which a contestant that says nothing is out of the race."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long it takes: rounds, how many are in flight, seconds of a turn with one and with more, lines of a file."""

    rounds: int
    in_flight: tuple[int, ...]
    alone_seconds: float
    seconds: float
    lines: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One place in the table: a way, to which accounts, and how many in flight (0: a file)."""

    way: str
    hot: bool
    in_flight: int


@dataclass(frozen=True, slots=True)
class Measured:
    """One turn in one cell: what it took, and what it used."""

    taken: Taken
    used: Usage


@dataclass(slots=True)
class Results:
    """For each cell its turns, round by round; what each one's books should hold, and what was wrong with them."""

    cells: dict[Cell, list[Measured]] = field(default_factory=lambda: defaultdict(list))
    transfers: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, list[str]] = field(default_factory=dict)


async def run(
    contestants: Sequence[Contestant], databases: Databases, pace: Pace, say: Callable[[str], None]
) -> Results:
    """Run all rounds. Who fails, or has wrong books, is out of the rounds that follow, and the results say why."""
    results = Results()
    for round in range(pace.rounds):
        start = round % len(contestants)
        for contestant in [*contestants[start:], *contestants[:start]]:
            if contestant.name in results.wrong:
                continue
            say(f"round {round + 1} of {pace.rounds}: {contestant.name}")
            try:
                wrong = await _Visit(contestant, databases, pace, results).run()
            except (RuntimeError, TimeoutError) as error:
                wrong = [f"it did not come through: {str(error) or type(error).__name__}"]
            if wrong:
                results.wrong[contestant.name] = wrong
    return results


@dataclass(slots=True)
class _Visit:
    """One contestant in one round."""

    contestant: Contestant
    databases: Databases
    pace: Pace
    results: Results
    done: int = 0

    async def run(self) -> list[str]:
        """Start it, give it its turns, stop it. Returns what is wrong with its books."""
        async with _database(self.databases) as (url, engine):
            if self.contestant.keeps in (Keeps.THEIRS, Keeps.THEIRS_WITH_KEYS):
                await books.create(engine)
            postgresql = await _checkpoint(engine)
            said = url if self.contestant.is_ours else url.replace("postgresql+asyncpg:", "postgresql:")
            async with _process(self.contestant.command_for(said), self.databases.folder / "said") as process:
                for way in self.contestant.ways:
                    await self._turns(way, process, [process.pid, postgresql])
            if self.contestant.keeps is not Keeps.NOTHING:
                self.results.transfers[self.contestant.name] += self.done
            return await self._wrong(engine)

    async def _turns(self, way: Way, process: asyncio.subprocess.Process, roots: Sequence[int]) -> None:
        if not way.takes_files:
            await self._turn(process, Turn(way.name, WARM_UP, self.pace.alone_seconds, False, self.done))
        for hot in way.loads:
            for in_flight in (0,) if way.takes_files else (n for n in self.pace.in_flight if n <= way.at_most):
                seconds = self.pace.alone_seconds if in_flight == 1 else self.pace.seconds
                limit = self.pace.lines if way.takes_files else None
                turn = Turn(way.name, in_flight, seconds, hot, self.done, limit)
                before = usage(roots)
                taken = await self._turn(process, turn)
                measured = Measured(taken, usage(roots) - before)
                self.results.cells[Cell(way.name, hot, in_flight)].append(measured)
        if not way.takes_files and self.contestant.keeps is not Keeps.NOTHING:  # asked again, nothing may happen
            again = min(WARM_UP, taken.transfers)
            await _ask(process, Turn(way.name, again, PATIENCE, turn.hot, turn.first, again))

    async def _turn(self, process: asyncio.subprocess.Process, turn: Turn) -> Taken:
        taken = await _ask(process, turn)
        self.done += taken.transfers
        return taken

    async def _wrong(self, engine: AsyncEngine) -> list[str]:
        match self.contestant.keeps:
            case Keeps.OURS:
                return await books.wrong_of_ours(engine, self.done)
            case Keeps.NOTHING:
                return []
            case keeps:
                return await books.wrong_of_theirs(engine, self.done, keyed=keeps is Keeps.THEIRS_WITH_KEYS)


async def _ask(process: asyncio.subprocess.Process, turn: Turn) -> Taken:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(turn.line())
    return Taken.read(await asyncio.wait_for(process.stdout.readline(), PATIENCE))


@asynccontextmanager
async def _process(command: Sequence[str], log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """A contestant, ready. Ends with its input; what it said on its way is part of the error if it fails."""
    with open(log, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=output,
            limit=2**26,  # a turn's answer has the seconds of each transfer, in one line
        )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        if await asyncio.wait_for(process.stdout.readline(), PATIENCE) != b"ready\n":
            raise RuntimeError("it did not start")
        yield process
    except (RuntimeError, TimeoutError):
        sys.stderr.write(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 30)
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def _database(databases: Databases) -> AsyncIterator[tuple[str, AsyncEngine]]:
    url = make_url(await databases.new("postgresql"))
    engine = create_async_engine(url)
    try:
        yield url.render_as_string(hide_password=False), engine
    finally:
        await engine.dispose()
        server = create_async_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
        async with server.connect() as connection:
            await connection.execute(text(f"DROP DATABASE {url.database} WITH (FORCE)"))
        await server.dispose()


async def _checkpoint(engine: AsyncEngine) -> int:
    """Have PostgreSQL write what it owes for those before. Returns its first process's id."""
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("CHECKPOINT"))
        return parent((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
