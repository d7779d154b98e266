"""Healing: the faults stop, everything is started again, and the clock runs until every accepted transfer has ended.

What an operator terminated is nobody's any more: it is finished by a sweep, or, where it was terminated before the
books had heard of it, by being submitted again, as its caller would.
"""

import asyncio
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from temporalio.service import RPCError

from engine.submitting import workflow_id
from tests.faults.parts.storm.bank import Bank
from tests.faults.parts.storm.batches import BatchCallers
from tests.faults.parts.storm.callers import Ask, Callers
from tests.faults.parts.storm.nemesis import Nemesis
from tests.faults.parts.storm.observer import ask
from tests.faults.parts.storm.plan import Plan, PlannedTransfer
from tests.faults.parts.storm.recurring import Recurring

GIVEN_UP_SECONDS = 120.0
"""Long after the 30 s that are promised, so that a slow healing is told from one that never ends."""

SLOW_SECONDS = 15.0
"""After which the log says what each transfer that has not ended is waiting for."""

SWEEP_SECONDS = 3.0
"""How long notifications may take before somebody sweeps for them."""

TERMINAL = frozenset({"settled", "rejected", "refunded", "cancelled"})


@dataclass(frozen=True)
class Healed:
    """When the faults had stopped, when all accepted transfers were terminal (None: never), and what was left over."""

    healed_at: float
    terminal_at: float | None
    stuck: tuple[str, ...]
    unknown: int
    undelivered: int


async def heal(
    bank: Bank, callers: Callers, batches: BatchCallers, recurring: Recurring, nemesis: Nemesis, plan: Plan
) -> Healed:
    """See the module. Comes back when all is quiet, or when it has been waited for long enough."""
    await bank.heal()
    healed_at, by_the_clock = time.monotonic(), time.time()
    asking = asyncio.create_task(_asked_again(callers))
    again = asyncio.create_task(batches.again_after_the_storm(GIVEN_UP_SECONDS))
    finishing = asyncio.create_task(_finish_terminated(bank, callers, nemesis, plan))
    terminal_at: float | None = None
    stuck: tuple[str, ...] = ()
    explained = False
    while time.monotonic() < healed_at + GIVEN_UP_SECONDS:
        stuck = (*await _unfinished(bank, callers), *await recurring.missing(by_the_clock))
        if not stuck:
            terminal_at = time.monotonic()
            break
        if not explained and time.monotonic() > healed_at + SLOW_SECONDS:
            explained = True
            await _explain(bank, nemesis, stuck)
        await asyncio.sleep(0.1)
    await finishing
    unknown = await asking + await again
    stuck += tuple(await recurring.end(GIVEN_UP_SECONDS))
    undelivered = await _undelivered(bank, healed_at + GIVEN_UP_SECONDS)
    return Healed(healed_at, terminal_at, stuck, unknown, undelivered)


async def _asked_again(callers: Callers) -> int:
    with suppress(TimeoutError):
        return await callers.until_definite(GIVEN_UP_SECONDS)
    return sum(answer.exit_status == 5 for _, answer in callers.last.values())


async def _finish_terminated(bank: Bank, callers: Callers, nemesis: Nemesis, plan: Plan) -> None:
    """A sweep finishes what the books have begun. What was terminated before that, only its callers can ask for."""
    planned = {transfer.id: transfer for transfer in plan.transfers}
    begun = dict(await ask(bank.url, "SELECT id, status FROM transfers"))
    sweeping = asyncio.create_task(bank.place.starter("sweep", "--older-than", "0", "--json", "--timeout", "50"))
    unheard = sorted(nemesis.terminated - begun.keys())
    await asyncio.gather(*(_submitted_again(number, callers, planned[id]) for number, id in enumerate(unheard)))
    said = await sweeping
    callers.problems += [f"the sweep ended with {said.exit}: {said.output}{said.errors}"] if said.exit else []


async def _submitted_again(number: int, callers: Callers, planned: PlannedTransfer) -> None:
    for _ in range(5):
        if (await callers.ask(number, Ask("after the storm", callers.request(planned)), 20)).exit_status != 5:
            return


async def _unfinished(bank: Bank, callers: Callers) -> tuple[str, ...]:
    """Every transfer that was accepted and has not ended, or that the books have begun and not ended."""
    statuses = dict(await ask(bank.url, "SELECT id, status FROM transfers"))
    begun = {id for id, status in statuses.items() if status not in TERMINAL}
    return tuple(sorted(begun | {id for id in callers.acknowledged if id not in statuses}))


async def _explain(bank: Bank, nemesis: Nemesis, stuck: tuple[str, ...]) -> None:
    """Say in the log of this part what transfers wait for, so that a slow healing need not be met twice."""
    sys.stderr.write(f"{len(stuck)} not terminal {SLOW_SECONDS:g} s after the faults stopped\n")
    statuses = dict(await ask(bank.url, "SELECT id, status FROM transfers"))
    for id in stuck[:10]:
        operators = f"{'terminated ' * (id in nemesis.terminated)}{'reset' * (id in nemesis.reset)}"
        sys.stderr.write(f"{id} in the books: {statuses.get(id)}; operators: {operators or 'none'}\n")
        with suppress(RPCError):
            there = await bank.operator.get_workflow_handle(workflow_id(id)).describe()
            sys.stderr.write(f"  {there.status} pending: {there.raw_description.pending_activities}\n")
            sys.stderr.write(f"  task: {there.raw_description.pending_workflow_task}\n")


async def _undelivered(bank: Bank, until: float) -> int:
    """Wait until every ending has been told to the receiver. Returns how many have not.

    What the receiver did not take from a batch in time is left to the sweep, which comes again and again.
    """
    sweeps_at = time.monotonic() + SWEEP_SECONDS
    while True:
        ((missing,),) = await ask(bank.url, "SELECT count(*) FROM notifications WHERE delivered_at IS NULL")
        if not missing or time.monotonic() > until:
            return int(missing)
        if time.monotonic() > sweeps_at:
            await bank.place.starter("sweep", "--older-than", "0", "--json", "--timeout", "50")
            sweeps_at = time.monotonic() + SWEEP_SECONDS
        await asyncio.sleep(0.25)
