"""SQLite boundaries: every write and every sync of the books fails once, and the disk is full in the middle of a leg.

    opening       from nothing to the schema; a worker that cannot open its books ends, and is started again
    operations    the script of `disk/script.py`, with checkpoints in between

Each is played again with its 1st, 2nd, 3rd ... write (or sync) failing with EIO, until a run comes to its end without
reaching so many; and with ENOSPC, but for writes of a program that then dies: to it all errors are one. The program
either asks again with the same key and goes on, or dies at once; or the disk stays broken until the program has
ended. Afterwards everything is asked again of books on a good disk.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from ledger.book import Ledger
from tests.faults.disk.asking import ask_again, judge_answers, sqlite_file
from tests.faults.disk.driver import Order
from tests.faults.disk.script import STEPS
from tests.faults.disk.tracing import Injection, Tracer, missing, tracing
from tests.faults.kinds import Kind
from tests.faults.parts import disk_full
from tests.faults.record import Trial
from tests.faults.run import Run

LONGEST = 1000
"""More calls than any run makes: the loop was to end long before."""

QUICK_STRIDE = 60

BROKEN_STRIDE = 5
"""A disk that stays broken is tried from the 1st, 6th, 11th ... write on: a commit has about twenty."""

OTHER_STRIDE = 2
"""Every single write fails once with EIO while the program carries on; of the other loops, every second one."""

TRANSFERS = len({step.name.rpartition(" ")[2] for step in STEPS.values() if step.name.startswith("debit")}) + 1
"""Transfers of the script: T1 to T5, of which one is cancelled and never debited."""


@dataclass(frozen=True)
class Scenario:
    """What is played, and how the program takes an accident."""

    name: str
    fate: str
    dies: bool
    lines: int
    on: bool = False


OPENING = Scenario("opening", "dies at once", dies=True, lines=0)
OPERATIONS = (
    Scenario("operations", "carries on", dies=False, lines=99),
    Scenario("operations", "dies at once", dies=True, lines=99),
)
BROKEN = (
    Scenario("opening", "ends", dies=False, lines=0, on=True),
    Scenario("operations", "carries on", dies=False, lines=99, on=True),
)


async def _migrated(run: Run) -> Path:
    """Books with the schema and no rows, made once: to open them again writes nothing."""
    file = run.folder / "migrated.db"
    if not file.exists():
        async with Ledger.open(f"sqlite:///{file}"):
            pass
    return file


async def run(run: Run) -> None:
    """See the module."""
    if (why := await missing()) is not None:
        run.record.gap(why)
    else:
        if not run.every_case:
            run.record.gap(
                f"Writes of SQLite: every single one fails once with EIO while the program carries on, every "
                f"{OTHER_STRIDE}nd in the other loops, every {BROKEN_STRIDE}th where the disk stays broken; all "
                "with --every-case"
            )
        async with tracing(run.folder / "tracing") as tracer:
            for scenario, call, error in _loops():
                await _loop(run, tracer, scenario, call, error)
    await disk_full.run(run)


def _loops() -> Iterator[tuple[Scenario, str, str]]:
    for scenario in (OPENING, *OPERATIONS):
        yield from ((scenario, "sync", "EIO"), (scenario, "sync", "ENOSPC"), (scenario, "write", "EIO"))
        if not scenario.dies:
            yield scenario, "write", "ENOSPC"
    yield from product(BROKEN, ("sync", "write"), ("EIO",))


async def _loop(run: Run, tracer: Tracer, scenario: Scenario, call: str, error: str) -> None:
    for nth in range(1, LONGEST):
        injection = Injection(call, error, nth, scenario.on)
        name = f"{scenario.name}: {injection}, {scenario.fate}"
        if (nth - 1) % _stride(run, scenario, call, error):
            continue
        if run.wants(name) and not await _once(run, tracer, scenario, injection, name):
            return


def _stride(run: Run, scenario: Scenario, call: str, error: str) -> int:
    if run.quick:
        return QUICK_STRIDE
    if call == "sync" or run.every_case or run.only != "*":
        return 1
    return BROKEN_STRIDE if scenario.on else OTHER_STRIDE if error == "ENOSPC" or scenario.dies else 1


async def _once(run: Run, tracer: Tracer, scenario: Scenario, injection: Injection, name: str) -> bool:
    """One case, unless the run comes to its end without reaching the call. Returns whether it reached it."""
    url = run.new_database()
    if scenario.lines:
        shutil.copy(await _migrated(run), sqlite_file(url))
    order = Order(url, str(tracer.notes), scenario.dies, scenario.lines, checkpoint_pages=20)
    traced = await tracer.inject(order, injection)
    if not traced.injected and injection.nth > 1:
        return False
    with run.record.case(name) as trial:
        trial.expect(traced.injected > 0, "the fault did not fire")
        if traced.injected:
            run.record.fault(_kind(injection), name, traced.injected)
        judge_answers(trial, traced.notes)
        await ask_again(trial, url, traced.notes)
        _effects(run, trial)
    return True


def _kind(injection: Injection) -> Kind:
    if injection.error == "ENOSPC":
        return Kind.SQLITE_NO_SPACE
    return Kind.SQLITE_EIO_WRITE if injection.call == "write" else Kind.SQLITE_EIO_SYNC


def _effects(run: Run, trial: Trial) -> None:
    def having(*marks: str) -> int:
        return sum(any(mark in problem for mark in marks) for problem in trial.problems)

    run.record.effects(
        TRANSFERS, lost=having("I6"), doubled=having("I4", "balances"), stuck=0, contradictory=having("I7", "I14")
    )
