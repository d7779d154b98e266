"""A recurring transfer is changed: what is not due yet, each change on top of the others, and nothing that was paid."""

import asyncio
import time
from typing import Any

from temporalio.client import ScheduleDescription

from activities.recurring import OrderChange, RecurringOrder
from engine.recurring import RecurringTransfers
from tests.support.bank import DAYS, Bank
from tests.support.databases import only_sqlite
from tests.workflows.conftest import Order
from tests.workflows.occurrences import backfill, occurrence_workflow
from workflows.search_attributes import NEEDS_ATTENTION


async def _change(bank: Bank, order: RecurringOrder, **fields: Any) -> RecurringOrder:
    found = await bank.recurring.change(order.recurring_id, OrderChange(**fields))
    assert found is not None
    return found.order


async def test_a_change_applies_to_what_is_not_due_yet(bank: Bank, order: Order) -> None:
    """
    What was paid stays as it was, whoever is paid now; what is not said to change stays too.
    """
    rent = order()
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[0])

    amount = await _change(bank, rent, amount="25.00")
    payee = await _change(bank, rent, destination="carol")
    await backfill(bank, rent, DAYS[1])

    paid = [state.transfer for state in await bank.ledger.occurrences(rent.recurring_id)]
    assert (amount.version, payee.version, payee.amount_minor) == (2, 3, 25_00)
    assert [(transfer.destination, transfer.amount_minor) for transfer in paid] == [("carol", 25_00), ("bob", 10_00)]
    assert await bank.balances("alice", "bob", "carol") == [65_00, 10_00, 25_00]


class Overtaken(RecurringTransfers):
    """Between a look and the change that was made of it, somebody else pauses it and changes who is paid."""

    overtaken = 0

    async def _replace(self, described: ScheduleDescription, order: RecurringOrder) -> None:
        self.overtaken += 1
        if self.overtaken == 1:
            other = RecurringTransfers(self._client, self._task_queue)
            await other.change(order.recurring_id, OrderChange(destination="carol"))
            await other.pause(order.recurring_id, "a dispute")
        await super()._replace(described, order)


async def test_a_change_that_was_overtaken_is_made_of_what_stands_then(bank: Bank, order: Order) -> None:
    """
    Temporal drops it silently; it is seen, and neither the other change nor the pause is undone.
    """
    rent = order()
    await bank.recurring.create(rent)
    mine = Overtaken(bank.client, bank.task_queue)

    found = await mine.change(rent.recurring_id, OrderChange(amount="25.00"))

    assert found is not None
    assert (found.order.amount_minor, found.order.destination, found.order.version) == (25_00, "carol", 3)
    assert (found.paused, found.note, mine.overtaken) == (True, "a dispute", 2)


async def test_changes_at_the_same_time_are_all_made(bank: Bank, order: Order) -> None:
    """
    Each is made of what the others have left.
    """
    rent = order()
    await bank.recurring.create(rent)

    await asyncio.gather(
        _change(bank, rent, amount="25.00"),
        _change(bank, rent, destination="carol"),
        _change(bank, rent, source="dora"),
        _change(bank, rent, cron="0 9 2 * *"),
    )

    there = await bank.recurring.find(rent.recurring_id)
    assert there is not None
    changes = {"amount_minor": 25_00, "destination": "carol", "source": "dora", "cron": "0 9 2 * *"}
    assert there.order.content() == rent.content() | changes
    assert there.order.version == 5


async def test_a_change_that_expects_another_version_changes_nothing(bank: Bank, order: Order) -> None:
    """
    Of two who have seen the first version one is refused; the same again is no error.
    """
    rent = order()
    await bank.recurring.create(rent)
    mine, theirs = OrderChange(amount="25.00", expected_version=1), OrderChange(amount="30.00", expected_version=1)

    found = [await bank.recurring.change(rent.recurring_id, change) for change in (mine, theirs, mine)]

    assert [each.order.amount_minor for each in found if each] == [25_00] * 3
    assert [change.fits(each.order) for change, each in zip((mine, theirs, mine), found, strict=True) if each] == [
        True,
        False,
        True,
    ]


async def test_new_times_are_those_that_recur(bank: Bank, order: Order) -> None:
    """
    A day of the old times starts no more; one of both is still the same occurrence, and is not paid again.
    """
    rent = order(cron="0 9 1-2 * *")
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[1])

    await _change(bank, rent, cron="0 9 2-3 * *")
    ends = await backfill(bank, rent, DAYS[1], DAYS[2])
    await bank.backfill(rent, DAYS[0], DAYS[0])

    assert ends == [None, None]
    assert [state.transfer.id for state in await bank.ledger.occurrences(rent.recurring_id)] == [
        f"{rent.recurring_id}.2026-03-{day}T090000Z" for day in ("03", "02")
    ]
    assert await bank.balances() == [80_00, 20_00, 0]


@only_sqlite
async def test_new_times_begin_with_the_change(bank: Bank, order: Order) -> None:
    """
    What would have recurred before it is not made up for.
    """
    rent = order(amount_minor=1)
    await bank.recurring.create(rent)

    changed_at = time.time()
    await _change(bank, rent, every_seconds=1, starting_at=int(changed_at - 100) * 1_000_000)
    await bank.started(rent, 2)
    there = await bank.recurring.find(rent.recurring_id)
    await bank.recurring.delete(rent.recurring_id)
    assert there is not None
    ends = [await bank.ended(id) for _, id in there.recent]

    assert min(nominal for nominal, _ in there.recent).timestamp() > changed_at - 1
    assert set(ends) == {None}
    assert there.order.cron is None


async def test_a_paid_occurrence_that_is_started_again_after_a_change_says_what_differs(
    bank: Bank, order: Order
) -> None:
    """
    It ends, calls for attention and pays nothing; those after it are not kept from being paid.
    """
    rent = order()
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[0])
    await _change(bank, rent, amount="25.00", destination="carol")

    failures = await backfill(bank, rent, DAYS[0], DAYS[1])

    description = await bank.client.get_workflow_handle(occurrence_workflow(rent, DAYS[0])).describe()
    assert "amount_minor: 1000 -> 2500; destination: bob -> carol" in str(failures[0])
    assert failures[1] is None
    assert description.typed_search_attributes[NEEDS_ATTENTION]
    assert await bank.balances("alice", "bob", "carol") == [65_00, 10_00, 25_00]


async def test_a_change_while_an_occurrence_is_on_its_way_is_told_when_it_has_arrived(bank: Bank, order: Order) -> None:
    """
    The books have not heard of it yet: whose the id is, is known once its debit is there.
    """
    rent = order()
    await bank.recurring.create(rent.model_copy(update={"amount_minor": 25_00}))
    gate = bank.gates.close("debit", before=True)
    submitted = await bank.start(rent.occurrence(DAYS[0]))
    await gate.reached.wait()

    await bank.backfill(rent, DAYS[0], DAYS[0])
    await bank.attempted("pay_occurrence", 1)
    gate.open.set()
    failure = await bank.ended(occurrence_workflow(rent, DAYS[0]))

    assert (await bank.outcome(submitted)).status == "settled"
    assert "amount_minor: 1000 -> 2500" in str(failure)
    assert await bank.balances() == [90_00, 10_00, 0]
