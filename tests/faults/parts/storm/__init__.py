"""The storm: many callers, few accounts, and everything breaks at once. Then it is healed, and every cent looked for.

Each round is a bank of its own, drawn from the seed and the round's number: `--case round-1` runs it again. A full
run is one round of some two thousand transfers; a soak goes on with rounds until its minutes are over.
"""

import asyncio
import random
import sys
import time
import traceback
from collections import Counter
from itertools import count
from pathlib import Path

from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from cli import batch_file
from ledger.audit import audit
from ledger.reader import Reader
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.parts.storm import judging
from tests.faults.parts.storm.bank import Bank, bank, trouble_in_logs
from tests.faults.parts.storm.batches import BatchCallers
from tests.faults.parts.storm.callers import Callers
from tests.faults.parts.storm.healing import Healed, heal
from tests.faults.parts.storm.nemesis import Nemesis
from tests.faults.parts.storm.observer import Observer
from tests.faults.parts.storm.plan import MONEY, Plan, draw
from tests.faults.parts.storm.recurring import Recurring
from tests.faults.record import Trial
from tests.faults.run import Run

TRANSFERS, QUICK_TRANSFERS = 2_340, 60
WORKERS = {"sqlite": 1, "postgresql": 2}
STORM_SECONDS = 260.0
"""After which nothing new is begun, however slow the machine."""

CHUNK_LINES = 20
"""Of a batch: so that a file of sixty lines is three chunks, as one of twelve thousand is outside."""

STEP_SECONDS = 0.5
"""Of the timeline."""


async def run(run: Run) -> None:
    """Rounds, until the time is over; at least one."""
    begun = time.monotonic()
    _quieten()
    batch_file.CHUNK_LINES = CHUNK_LINES  # of this process only
    for number in count(1):
        if number > 1 and time.monotonic() - begun > run.soak_minutes * 60:
            return
        if run.wants(name := f"round-{number}"):
            with run.record.case(name) as trial:
                try:
                    await _round(run, trial, name, begun)
                except Exception:
                    traceback.print_exc()  # several at once, as a rule: the log has them all
                    raise
                finally:
                    _last_words(run.folder / name)


async def _round(run: Run, trial: Trial, name: str, begun: float) -> None:
    chance = random.Random(f"{run.seed}/{run.database}/{name}")
    plan = draw(chance, run.database, name, QUICK_TRANSFERS if run.quick else TRANSFERS, run.quick)
    async with bank(run.folder / name, run.database, WORKERS[run.database]) as open_bank:
        callers = Callers(open_bank, plan, run.record)
        batches = BatchCallers(open_bank, plan, callers, run.record)
        recurring = Recurring(open_bank, plan, callers, run.record)
        nemesis = Nemesis(open_bank, callers, plan, run.record, time.monotonic())
        observer, storm_began = Observer(open_bank.url), time.monotonic()
        async with observer.looking():
            breaking = asyncio.create_task(nemesis.run())
            await _callers(callers, batches, recurring)
            nemesis.stop()
            await breaking
            storm_seconds = time.monotonic() - storm_began
            healed = await heal(open_bank, callers, batches, recurring, nemesis, plan)
        _timeline(run, observer, storm_began - begun, healed)
        if len(callers.begun) < len(plan.transfers):
            run.record.gap(
                f"storm on {run.database}: {len(callers.begun)} of {len(plan.transfers)} planned transfers were begun "
                f"in its {STORM_SECONDS:.0f} s; SOAK=minutes goes on with more rounds"
            )
        run.record.figure("storm: transfers per second under faults", round(len(callers.begun) / storm_seconds, 1))
        await _judge(run, trial, open_bank, plan, callers, nemesis, observer, healed)
    for hand in open_bank.hands:
        bad = Counter(status for status in hand.exits if status not in (0, 1, -9))
        trial.expect(not bad, f"{hand.worker.name} ended with {dict(bad)}")


async def _callers(callers: Callers, batches: BatchCallers, recurring: Recurring) -> None:
    """All who ask, until they have asked for everything, or may begin nothing new."""
    closing = asyncio.get_running_loop().call_later(STORM_SECONDS, callers.closed.set)
    by_the_clock = asyncio.create_task(recurring.run())
    await asyncio.gather(callers.run(), batches.run())
    closing.cancel()
    callers.closed.set()
    await by_the_clock


async def _judge(
    run: Run,
    trial: Trial,
    bank: Bank,
    plan: Plan,
    callers: Callers,
    nemesis: Nemesis,
    observer: Observer,
    healed: Healed,
) -> None:
    answers = tuple(callers.answers)  # before the rows: what was told by then must be in the books
    executions, histories = await judging.executions(bank.operator)
    rows = await read_rows(bank.url)
    evidence = Evidence(
        rows,
        answers,
        bank.receiver.deliveries,
        observer.observations,
        executions,
        healed.healed_at,
        healed.terminal_at,
        frozenset(nemesis.terminated),
    )
    trial.problems += [str(violation) for violation in violations(evidence)[:50]]
    trial.problems += [*callers.problems[:20], *nemesis.problems, *observer.problems[:20]]
    trial.problems += judging.balances(rows, MONEY)
    trial.problems += await judging.replay(histories)
    trial.problems += trouble_in_logs(bank.folder)[:20]
    trial.expect(not healed.stuck, f"I8: not terminal: {', '.join(healed.stuck[:20])}")
    trial.expect(not healed.unknown, f"{healed.unknown} answers are still unknown")
    trial.expect(not healed.undelivered, f"I10: {healed.undelivered} notifications were not delivered")
    async with Reader.open_read_only(bank.url) as books:
        report = await audit(books)
    trial.expect(report.ok, f"the audit: {report}")
    run.record.failpoints(bank.place.fired)
    counts = judging.effects(evidence, list(callers.acknowledged))
    run.record.effects(**counts)
    wrong = {name: number for name, number in counts.items() if name != "transfers" and number}
    trial.expect(not wrong, f"effects: {wrong}")
    trial.problems += [told[:2000] for told in judging.contradictions(evidence)[:10]]
    _figures(run, trial, healed, observer, callers, len(histories))


def _figures(run: Run, trial: Trial, healed: Healed, observer: Observer, callers: Callers, histories: int) -> None:
    if healed.terminal_at is not None:
        took = healed.terminal_at - healed.healed_at
        run.record.figure("heal to terminal", round(took, 2), "s")
        trial.expect(took <= 30, f"I8: it took {took:.1f} s from the last fault until all was terminal")
    run.record.figure("storm: histories replayed", histories)
    run.record.figure("storm: snapshots of the books under faults", len(observer.observations))
    run.record.figure("storm: answers", len(callers.answers))
    for error, times in judging.unclassified(callers.answers).items():
        run.record.figure(f"storm: unknown because of {error}", times)


def _timeline(run: Run, observer: Observer, offset: float, healed: Healed) -> None:
    """Transfers settled in each half second, from the first one that was seen."""
    if not observer.settled:
        return
    began, steps, last = observer.settled[0][0], Counter[int](), 0
    for at, total in observer.settled:
        steps[int((at - began) / STEP_SECONDS)] += total - last
        last = total
    for step in range(max(steps) + 1):
        run.record.timeline("settled", round(offset + step * STEP_SECONDS, 2), count=steps[step])
    run.record.timeline("healed", round(offset + healed.healed_at - began, 2))


def _quieten() -> None:
    """The client's own log of what it tried again would be most of this part's output."""
    only_errors = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    runtime = Runtime(telemetry=TelemetryConfig(logging=only_errors))
    Runtime.set_default(runtime, error_if_already_set=False)


def _last_words(folder: Path) -> None:
    """The ends of the workers' logs, into this part's own: their folder goes with the run."""
    for log in sorted(folder.glob("worker-*.log")):
        lines = log.read_text(errors="replace").splitlines()[-40:]
        sys.stderr.write(f"--- {log.name}\n" + "\n".join(line[:400] for line in lines) + "\n")
