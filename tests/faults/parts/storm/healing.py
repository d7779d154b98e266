"""Healing: the faults stop, everything is started again, and the clock runs until every accepted transfer has ended.

What an operator terminated is nobody's any more: it is finished by a sweep, or, where it was terminated before the
books had heard of it, by being submitted again, as its caller would.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass

from activities.messages import TransferRequest
from tests.faults.parts.storm.bank import Bank
from tests.faults.parts.storm.callers import Ask, Callers
from tests.faults.parts.storm.nemesis import Nemesis
from tests.faults.parts.storm.observer import ask
from tests.faults.parts.storm.plan import CURRENCY, Plan

GIVEN_UP_SECONDS = 120.0
"""Long after the 30 s that are promised, so that a slow healing is told from one that never ends."""

TERMINAL = frozenset({"settled", "rejected", "refunded", "cancelled"})


@dataclass(frozen=True)
class Healed:
    """When the faults had stopped, when all accepted transfers were terminal (None: never), and what was left over."""

    healed_at: float
    terminal_at: float | None
    stuck: tuple[str, ...]
    unknown: int
    undelivered: int


async def heal(bank: Bank, callers: Callers, nemesis: Nemesis, plan: Plan) -> Healed:
    """See the module. Comes back when all is quiet, or when it has been waited for long enough."""
    await bank.heal()
    healed_at = time.monotonic()
    asking = asyncio.create_task(_asked_again(callers))
    finishing = asyncio.create_task(_finish_terminated(bank, callers, nemesis, plan))
    terminal_at: float | None = None
    stuck: tuple[str, ...] = ()
    while time.monotonic() < healed_at + GIVEN_UP_SECONDS:
        stuck = await _unfinished(bank, callers)
        if not stuck:
            terminal_at = time.monotonic()
            break
        await asyncio.sleep(0.1)
    await finishing
    unknown = await asking
    undelivered = await _undelivered(bank, healed_at + GIVEN_UP_SECONDS)
    return Healed(healed_at, terminal_at, stuck, unknown, undelivered)


async def _asked_again(callers: Callers) -> int:
    with suppress(TimeoutError):
        return await callers.until_definite(GIVEN_UP_SECONDS)
    return sum(answer.exit_status == 5 for _, answer in callers.last.values())


async def _finish_terminated(bank: Bank, callers: Callers, nemesis: Nemesis, plan: Plan) -> None:
    """A sweep finishes what the books have begun. What was terminated before that, only its callers can ask for."""
    said = await bank.place.starter("sweep", "--older-than", "0", "--json")
    callers.problems += [f"the sweep ended with {said.exit}: {said.output}{said.errors}"] if said.exit else []
    planned = {transfer.id: transfer for transfer in plan.transfers}
    begun = dict(await ask(bank.url, "SELECT id, status FROM transfers"))
    for number, id in enumerate(sorted(nemesis.terminated - begun.keys())):
        source, destination, amount_minor, _ = planned[id].content
        request = TransferRequest(
            transfer_id=id, source=source, destination=destination, amount_minor=amount_minor, currency=CURRENCY
        )
        for _ in range(5):
            if (await callers.ask(number, Ask("after the storm", request), 20)).exit_status != 5:
                break


async def _unfinished(bank: Bank, callers: Callers) -> tuple[str, ...]:
    """Every transfer that was accepted and has not ended, or that the books have begun and not ended."""
    statuses = dict(await ask(bank.url, "SELECT id, status FROM transfers"))
    begun = {id for id, status in statuses.items() if status not in TERMINAL}
    return tuple(sorted(begun | {id for id in callers.acknowledged if id not in statuses}))


async def _undelivered(bank: Bank, until: float) -> int:
    """Wait until every ending has been told to the receiver. Returns how many have not."""
    while True:
        ((missing,),) = await ask(bank.url, "SELECT count(*) FROM notifications WHERE delivered_at IS NULL")
        if not missing or time.monotonic() > until:
            return int(missing)
        await asyncio.sleep(0.25)
