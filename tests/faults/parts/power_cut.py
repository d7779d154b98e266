"""Power cut: whatever was acknowledged is in what was synced by then, at every moment of a run.

A run of the script is traced, and what the disk holds at each moment is worked out from the trace (`disk/images.py`)
and opened as the next start would. With `synchronous=NORMAL` acknowledged money must be missing: if it is not, this
part could not have failed either.

    FULL                the ledger as it is, with checkpoints in between
    sync n fails        the nth sync fails, and the program asks again
    killed in sync n    the program dies in its nth sync, and another asks the same: its answers count as well
"""

from collections.abc import Iterable
from pathlib import Path

from tests.faults.disk.asking import ask_again, is_no_database, sqlite_file
from tests.faults.disk.driver import Order
from tests.faults.disk.images import Files, Moment, moments
from tests.faults.disk.tracing import Call, Injection, Tracer, missing, tracing
from tests.faults.kinds import Kind
from tests.faults.record import Trial
from tests.faults.run import Run

TORN = 3
"""Torn images at each moment of the run in which nothing else fails."""

LONGEST = 100
"""More syncs than any run makes: the loops were to end long before."""

CONTROL = "NORMAL: what was acknowledged is lost"
AFTER_A_FAULT = 3
"""Moments that are looked at after a sync has failed."""

PAGES = 20
"""Pages in the write-ahead log after which it is copied into the database file, so that it happens in between."""


async def run(run: Run) -> None:
    """See the module."""
    if (why := await missing()) is not None:
        run.record.gap(f"{why}; so what was synced at an acknowledgement is not known")
        return
    async with tracing(run.folder / "tracing") as tracer:
        part = _PowerCut(run, tracer)
        await part.full()
        await part.control()
        for nth in (8, 9) if run.quick else range(1, LONGEST):
            if not await part.failed_sync(nth):
                break
        for nth in (8, 9) if run.quick else range(1, LONGEST):
            if not await part.killed(nth):
                break


class _PowerCut:
    def __init__(self, run: Run, tracer: Tracer) -> None:
        self._run, self._tracer, self._images = run, tracer, 0

    async def full(self) -> None:
        """Every moment of a run in which nothing else fails."""
        order = self._order()
        traced = await self._tracer.watch(order)
        await self._judge("FULL", self._moments(order, traced.calls, 1 if self._run.quick else TORN))

    async def control(self) -> None:
        """The same with the setting that the ledger refuses: it must be seen to lose something."""
        if not self._run.wants(CONTROL):
            return
        order = self._order(pragmas={"synchronous": "NORMAL"})
        with self._run.record.case(CONTROL) as trial:
            traced = await self._tracer.watch(order)
            lost = Trial("with synchronous=NORMAL")
            for moment in self._moments(order, traced.calls, 0):
                if not lost.problems:
                    await self._opens(lost, moment, moment.synced)
            trial.expect(any("I6" in problem for problem in lost.problems), "nothing was lost: this could not fail")

    async def failed_sync(self, nth: int) -> bool:
        """The moments after the nth sync of each thread has failed. Returns whether there were so many."""
        order = self._order()
        traced = await self._tracer.watch(order, *Injection("sync", "EIO", nth).options)
        await self._judge(f"sync {nth} fails", self._after_fault(order, traced.calls))
        return traced.injected > 0

    async def killed(self, nth: int) -> bool:
        """The moments of the run after one that died in its nth sync. Returns whether there were so many."""
        order = self._order(dies=True)
        died = await self._tracer.watch(order, *Injection("sync", "EIO", nth).options)
        if not died.injected:
            return False
        again = await self._tracer.watch(order)
        await self._judge(f"killed in sync {nth}", self._after_fault(order, [*died.calls, *again.calls]))
        return True

    def _order(self, *, dies: bool = False, pragmas: dict[str, str] | None = None) -> Order:
        url = self._run.new_database()
        return Order(url, str(self._tracer.notes), dies=dies, checkpoint_pages=PAGES, pragmas=pragmas or {})

    def _moments(self, order: Order, calls: Iterable[Call], torn: int) -> list[Moment]:
        return list(moments(calls, sqlite_file(order.url), order.notes, self._run.random, torn))

    def _after_fault(self, order: Order, calls: Iterable[Call]) -> list[Moment]:
        return [moment for moment in self._moments(order, calls, 0) if moment.after_fault][:AFTER_A_FAULT]

    async def _judge(self, name: str, moments: Iterable[Moment]) -> None:
        """A case for each image of each moment."""
        for moment in moments:
            images = {"synced": moment.synced} | {f"torn {n}": image for n, image in enumerate(moment.torn, start=1)}
            for what, image in images.items():
                case = f"{name}: {moment.name}, {what}"
                if self._run.wants(case):
                    self._run.record.fault(Kind.SQLITE_POWER_CUT, case)
                    with self._run.record.case(case) as trial:
                        await self._opens(trial, moment, image)

    async def _opens(self, trial: Trial, moment: Moment, image: Files) -> None:
        """The program starts on what the power cut left."""
        self._images += 1
        file = self._run.folder / f"image-{self._images}.db"
        for suffix, content in image.items():
            Path(f"{file}{suffix}").write_bytes(content)
        if moment.notes or not is_no_database(file):
            await ask_again(trial, f"sqlite:///{file}", moment.notes)
        for left in self._run.folder.glob(f"{file.name}*"):
            left.unlink()
