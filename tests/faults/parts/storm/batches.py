"""Batches: files of transfers in the storm, each asked again until all its lines are told, and once more after it.

Every result file is written by the starter's own code, in this process or by a real one that may be killed. Whoever
has the same file done under the same id, whenever, must be told the same, byte for byte.
"""

import asyncio
import csv
from dataclasses import replace
from pathlib import Path

from cli.batches import Asked, batch
from engine.settings import EmbeddedAddress, Settings
from tests.faults.kinds import Kind
from tests.faults.parts.storm.bank import Bank
from tests.faults.parts.storm.callers import ATTEMPTS, EXIT, UNKNOWN, Ask, Callers
from tests.faults.parts.storm.plan import CURRENCY, Plan, PlannedBatch
from tests.faults.record import Record

PATIENCE_SECONDS = 20.0
"""How long the starter of a batch waits for a chunk: one whose worker dies is asked again after ten seconds."""

SINGLY_FIRST_SECONDS = 0.3
"""Callers of single lines begin this much before their batch; some of them, as their delay is longer, after it."""


class BatchCallers:
    """Those who have files done, and what they were told."""

    def __init__(self, bank: Bank, plan: Plan, callers: Callers, record: Record) -> None:
        self._bank, self._plan, self._callers, self._record = bank, plan, callers, record
        self._folder = bank.folder / "batches"
        self._folder.mkdir()
        wire = bank.callers_wires[-1]
        EmbeddedAddress(f"{wire.host}:{wire.port}", None).leave(self._folder)
        self._settings = Settings(self._folder, bank.url, None)
        self._told: dict[str, bytes] = {}
        self.begun: list[PlannedBatch] = []

    async def run(self) -> None:
        """Every batch that is planned, or as many as can be begun until the callers are closed."""
        async with asyncio.TaskGroup() as all:
            for number, script in enumerate(self._plan.batches):
                all.create_task(self._script(number, script, all))

    async def again_after_the_storm(self, seconds: float) -> int:
        """Have every batch done once more. Returns how many of them are still unknown."""

        async def until_told(planned: PlannedBatch) -> None:
            while not await self._ask(planned, "after the storm"):
                await asyncio.sleep(0.2)

        tasks = [asyncio.create_task(until_told(planned)) for planned in self.begun]
        if not tasks:
            return 0
        _, unknown = await asyncio.wait(tasks, timeout=seconds)
        for task in unknown:
            task.cancel()
        for task in tasks:
            if task not in unknown:
                await task
        return len(unknown)

    async def _script(self, number: int, script: tuple[PlannedBatch, ...], all: asyncio.TaskGroup) -> None:
        for planned in script:
            if self._callers.closed.is_set():
                return
            self.begun.append(planned)
            self._callers.begun.update(line.id for line in planned.lines)
            self._write(planned)
            for place, (delay, _) in enumerate(planned.singly):
                all.create_task(self._singly(number + place, planned, place, delay, all))
            await asyncio.sleep(SINGLY_FIRST_SECONDS)
            if planned.again_after is not None:
                all.create_task(self._by_another(planned, planned.again_after))
            await self._rightful(number, planned)

    async def _singly(
        self, number: int, planned: PlannedBatch, place: int, delay: float, all: asyncio.TaskGroup
    ) -> None:
        await asyncio.sleep(delay)
        await self._callers.single(number, planned.singly[place][1], all)

    async def _by_another(self, planned: PlannedBatch, delay: float) -> None:
        await asyncio.sleep(delay)
        self._record.fault(Kind.CALLER_REPEATS, planned.id)
        await self._ask(planned, "another")

    async def _rightful(self, number: int, planned: PlannedBatch) -> None:
        for attempt in range(ATTEMPTS):
            by_starter = planned.by_starter and attempt == 0
            if await (self._by_starter(planned) if by_starter else self._ask(planned, f"batch-caller-{number}")):
                return
            await asyncio.sleep(0.3 * (attempt + 1))

    def _write(self, planned: PlannedBatch) -> None:
        with open(self._file(planned), "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(("transfer_id", "from", "to", "amount", "currency"))
            for line in planned.lines:
                amount = f"{line.amount_minor // 100}.{line.amount_minor % 100:02}"
                writer.writerow((line.id, line.source, line.destination, amount, CURRENCY))

    def _file(self, planned: PlannedBatch) -> Path:
        return self._folder / f"{planned.id}.csv"

    def _results(self, planned: PlannedBatch, caller: str) -> Path:
        return self._folder / f"{planned.id} {caller}.results.csv"

    async def _ask(self, planned: PlannedBatch, caller: str) -> bool:
        """Have a batch done, as `starter.py batch` does. Returns whether that was told to the end. Never raises."""
        asked = Asked(self._file(planned), planned.id, self._results(planned, caller), False, PATIENCE_SECONDS)
        asks = self._asks(planned, caller)
        try:
            async with asyncio.timeout(2 * PATIENCE_SECONDS):
                said = await batch(self._settings, asked)
        except UNKNOWN as silence:
            self._unknown(asks, type(silence).__name__)
            return False
        except Exception as error:
            self._callers.problems.append(f"{planned.id}: unclassified {type(error).__name__}: {error}"[:500])
            self._unknown(asks, "RuntimeError")
            return False
        if int(said.exit) not in (0, 3) or said.data["status"] != "done":
            self._callers.problems.append(f"{planned.id} was told {said.exit}: {said.data}"[:500])
        self._heard(planned, caller, asks)
        return True

    async def _by_starter(self, planned: PlannedBatch) -> bool:
        """A real process, that is killed at some moment unless it is quicker."""
        caller, asks = "starter", self._asks(planned, "starter")
        results = self._results(planned, caller)
        what = (str(self._file(planned)), "--id", planned.id, "--results", str(results), "--json", "--timeout", "20")
        process = await self._bank.place.start("starter.py", "batch", *what)
        if planned.starter_killed_after is not None:
            await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=planned.starter_killed_after)
            if process.returncode is None:
                self._record.fault(Kind.CALLER_KILLED, planned.id)
                process.kill()
        output, errors = await process.communicate()
        if process.returncode in (0, 3):
            self._heard(planned, caller, asks)
            return True
        if process.returncode not in (5, -9):
            said = f"{output.decode()} {errors.decode()}"
            self._callers.problems.append(f"{planned.id}: starter.py ended with {process.returncode}: {said}"[:1500])
        self._unknown(asks, "Killed" if process.returncode == -9 else "Unanswered")
        return False

    def _asks(self, planned: PlannedBatch, caller: str) -> list[tuple[Ask, float]]:
        now = asyncio.get_running_loop().time()
        return [(Ask(f"{planned.id} {caller}", self._callers.request(line)), now) for line in planned.lines]

    def _unknown(self, asks: list[tuple[Ask, float]], error: str) -> None:
        for ask, asked_at in asks:
            self._callers.note(ask, self._callers.answer(ask, asked_at, 5, error=error), False)

    def _heard(self, planned: PlannedBatch, caller: str, asks: list[tuple[Ask, float]]) -> None:
        """Every line of the results is an answer; the file is the same as everybody else's."""
        written = self._results(planned, caller).read_bytes()
        first = self._told.setdefault(planned.id, written)
        if written != first:
            self._callers.problems.append(f"I7: {planned.id} was told {first!r}, and then {written!r}"[:3000])
        rows = list(csv.reader(written.decode().splitlines()))[1:]
        if [row[0] for row in rows] != [line.id for line in planned.lines]:
            self._callers.problems.append(f"{planned.id} has results of other lines: {rows}"[:1500])
            return
        for (ask, asked_at), (id, status, reason, replayed) in zip(asks, rows, strict=True):
            exit = EXIT.get(status, 4)
            if exit == 4:
                answer = self._callers.answer(ask, asked_at, 4, "key_reused", reason)
            else:
                self._callers.acknowledged.setdefault(id, asyncio.get_running_loop().time())
                answer = self._callers.answer(ask, asked_at, exit, status, reason or None)
            self._callers.note(ask, replace(answer, replayed=replayed == "true"), False)
