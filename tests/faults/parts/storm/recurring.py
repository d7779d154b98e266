"""Recurring: transfers that come by the clock all through the storm, some of them asked for by single callers as well.

What is due is counted here, by the seconds of the order alone: each of them must be in the books after the storm, also
those that came due while Temporal was down.
"""

import asyncio
import time
from datetime import UTC, datetime

from activities.recurring import RecurringOrder
from engine.recurring import RecurringTransfers
from engine.results import Unanswered
from tests.faults.invariants.lookup import TERMINAL
from tests.faults.kinds import Kind
from tests.faults.parts.storm.bank import Bank
from tests.faults.parts.storm.callers import PATIENCE_SECONDS, Ask, Callers
from tests.faults.parts.storm.observer import ask
from tests.faults.parts.storm.plan import CURRENCY, Plan, PlannedOrder
from tests.faults.record import Record

AHEAD_SECONDS = 1
"""How long before its time a single caller may come."""

RUNNING = "WorkflowType = 'Occurrence' AND ExecutionStatus = 'Running'"


class Recurring:
    """The orders, and what is due by them."""

    def __init__(self, bank: Bank, plan: Plan, callers: Callers, record: Record) -> None:
        self._bank, self._plan, self._callers, self._record = bank, plan, callers, record
        self._first: dict[str, int] = {}
        """Of each order that was made, the first second at which it was due for certain."""

    async def run(self) -> None:
        """Make the orders, and come as single callers until the callers are closed."""
        async with asyncio.TaskGroup() as all:
            for number, planned in enumerate(self._plan.orders):
                all.create_task(self._run(number, planned))

    async def _run(self, number: int, planned: PlannedOrder) -> None:
        order, made_at = _order(planned), time.monotonic()
        transfers = RecurringTransfers(self._bank.clients[number])
        while not self._callers.closed.is_set():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await transfers.create(order)
                break
            except (Unanswered, TimeoutError):
                await asyncio.sleep(0.2)
        else:
            return
        every = planned.every_seconds
        self._first[planned.id] = first = (int(time.time()) // every + 1) * every
        async with asyncio.TaskGroup() as all:
            for count in range(1000):
                if await self._closed_before(first + count * every - AHEAD_SECONDS):
                    return
                if count in planned.singly:
                    all.create_task(self._singly(number, planned, order, first + count * every, made_at))

    async def _closed_before(self, second: float) -> bool:
        try:
            await asyncio.wait_for(self._callers.closed.wait(), max(0.001, second - time.time()))
        except TimeoutError:
            return False
        return True

    async def _singly(
        self, number: int, planned: PlannedOrder, order: RecurringOrder, second: int, made_at: float
    ) -> None:
        """A caller asks for an occurrence, before it is due or just after. The schedule has asked since it was made."""
        single = Ask("schedule", order.occurrence(datetime.fromtimestamp(second, UTC)))
        self._callers.note(single, self._callers.answer(single, made_at, 5, error="Unanswered"), False)
        await asyncio.sleep(planned.amount_minor % 20 / 10)
        self._record.fault(Kind.CALLER_REPEATS, single.request.transfer_id)
        await self._callers.ask(number, Ask("early", single.request))

    def due(self, until: float) -> set[str]:
        """The transfers of all occurrences from the first one until a second of the wall clock."""
        return {
            f"{planned.id}.{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H%M%SZ}"
            for planned in self._plan.orders
            if planned.id in self._first
            for second in range(self._first[planned.id], int(until) + 1, planned.every_seconds)
        }

    async def end(self, seconds: float) -> list[str]:
        """Delete the orders, and wait for the transfers of what has begun. Returns what has not ended in time.

        An occurrence itself looks at its transfer less and less often, and may learn of its end minutes later.
        """
        transfers = RecurringTransfers(self._bank.operator)
        async with asyncio.timeout(seconds):
            for planned in self._plan.orders:
                await transfers.delete(planned.id)
        until = time.monotonic() + seconds
        while True:
            running = [_transfer_id(each.id) async for each in self._bank.operator.list_workflows(RUNNING)]
            statuses = dict(await ask(self._bank.url, "SELECT id, status FROM transfers"))
            open = [id for id in running if statuses.get(id) not in TERMINAL]
            if not open or time.monotonic() > until:
                return open
            await asyncio.sleep(0.2)

    async def missing(self, until: float) -> list[str]:
        """What was due until then, and is in no book."""
        known = {id for (id,) in await ask(self._bank.url, "SELECT id FROM transfers WHERE id LIKE '%Z'")}
        return sorted(self.due(until) - known)


def _transfer_id(occurrence: str) -> str:
    """`recurring/rent-2026-12-01T09:00:00Z` pays `rent.2026-12-01T090000Z`."""
    order, nominal = occurrence.removeprefix("recurring/")[:-21], occurrence[-20:]
    return f"{order}.{nominal.replace(':', '')}"


def _order(planned: PlannedOrder) -> RecurringOrder:
    return RecurringOrder(
        recurring_id=planned.id,
        source=planned.source,
        destination=planned.destination,
        amount_minor=planned.amount_minor,
        currency=CURRENCY,
        every_seconds=planned.every_seconds,
    )
