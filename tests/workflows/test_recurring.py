"""Recurring transfers: an occurrence is paid at most once, whoever starts it again, and when."""

import asyncio
import time

from ledger import operations
from tests.support.bank import DAYS, Bank
from tests.support.databases import both_databases, only_sqlite
from tests.workflows.conftest import Order
from tests.workflows.occurrences import backfill, occurrence_workflow


async def test_two_backfills_of_the_same_days_pay_each_of_them_once(bank: Bank, order: Order) -> None:
    """
    The second one finds every occurrence in the books.
    """
    rent = order()
    await bank.recurring.create(rent)

    first = await backfill(bank, rent, *DAYS)
    second = await backfill(bank, rent, *DAYS)

    assert first == second == [None] * 3
    assert await bank.balances() == [70_00, 30_00, 0]
    assert [state.transfer.id for state in await bank.ledger.occurrences(rent.recurring_id)] == [
        f"{rent.recurring_id}.2026-03-{day}T090000Z" for day in ("03", "02", "01")
    ]


@both_databases
async def test_callers_and_a_backfill_at_the_same_time_pay_each_day_once(bank: Bank, order: Order) -> None:
    """
    All at once, while nobody has seen the end of anything.
    """
    rent = order()
    await bank.recurring.create(rent)

    callers = asyncio.gather(*(bank.transfer(rent.occurrence(day)) for day in DAYS * 2))
    await bank.backfill(rent, DAYS[0], DAYS[2])
    outcomes = await callers
    ends = [await bank.ended(occurrence_workflow(rent, day)) for day in DAYS]

    assert {outcome.status for outcome in outcomes} == {"settled"}
    assert ends == [None] * 3
    assert await bank.balances() == [70_00, 30_00, 0]


async def test_an_occurrence_that_was_triggered_early_is_not_paid_again_when_its_time_comes(
    bank: Bank, order: Order
) -> None:
    """
    It is the transfer of its nominal time, however it was started.
    """
    rent = order()
    await bank.recurring.create(rent)

    triggered = await bank.transfer(rent.occurrence(DAYS[0]))
    due = await backfill(bank, rent, DAYS[0])

    assert (triggered.status, due) == ("settled", [None])
    assert await bank.balances() == [90_00, 10_00, 0]


async def test_what_is_deleted_and_created_again_does_not_pay_again(bank: Bank, order: Order) -> None:
    """
    Also after Temporal has forgotten what was paid before.
    """
    rent = order()
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[0])
    await bank.recurring.delete(rent.recurring_id)
    await bank.forget(rent.occurrence(DAYS[0]))

    await bank.recurring.create(rent)
    again = await backfill(bank, rent, DAYS[0], DAYS[1])

    assert again == [None, None]
    assert await bank.balances() == [80_00, 20_00, 0]


async def test_an_occurrence_that_is_reset_does_not_pay_again(bank: Bank, order: Order) -> None:
    """
    The nominal time is in the workflow's first event, and is the same in the new run.
    """
    rent = order()
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[0])

    await bank.reset_workflow(occurrence_workflow(rent, DAYS[0]))
    again = await bank.ended(occurrence_workflow(rent, DAYS[0]))

    assert again is None
    assert await bank.balances() == [90_00, 10_00, 0]


@only_sqlite
async def test_an_occurrence_that_cannot_be_paid_is_rejected_and_stays_so(bank: Bank, order: Order) -> None:
    """
    A business answer ends it; money that comes later changes nothing.
    """
    rent = order(amount_minor=150_00)
    await bank.recurring.create(rent)
    await backfill(bank, rent, DAYS[0])
    await bank.ledger.apply(operations.deposit(f"{bank.task_queue}.D", "alice", 500_00, "USD"))

    again = await backfill(bank, rent, DAYS[0])

    [state] = await bank.ledger.occurrences(rent.recurring_id)
    assert (again, state.status, state.reason) == ([None], "rejected", "insufficient_funds")
    assert await bank.balances() == [600_00, 0, 0]


@only_sqlite
async def test_a_trigger_in_the_web_ui_pays_nothing(bank: Bank, order: Order) -> None:
    """
    It carries the time of the click, at which nothing recurs; it says how an occurrence is paid early.
    """
    rent = order()
    await bank.recurring.create(rent)

    await bank.client.get_schedule_handle(f"recurring/{rent.recurring_id}").trigger()
    [id] = await bank.started(rent, 1)
    failure = await bank.ended(id)

    assert "nothing recurs at" in str(failure)
    assert f"recurring trigger {rent.recurring_id} --occurrence" in str(failure)
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_an_occurrence_that_no_schedule_has_started_pays_nothing(bank: Bank) -> None:
    """
    Somebody has started one by hand in the Web UI: it has no nominal time.
    """
    id = f"recurring/{bank.task_queue}-by-hand"
    await bank.client.start_workflow("Occurrence", bank.order(), id=id, task_queue=bank.task_queue)

    assert "no nominal time" in str(await bank.ended(id))
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_what_is_paused_pays_nothing_until_it_is_resumed(bank: Bank, order: Order) -> None:
    """
    What came due in between is not made up for.
    """
    start = int(time.time()) + 3
    often = order(cron=None, every_seconds=1, starting_at=start * 1_000_000, amount_minor=1)
    await bank.recurring.create(often)
    await bank.recurring.pause(often.recurring_id, "a test")
    await asyncio.sleep(start + 3 - time.time())
    paused = await bank.balances()

    resumed = time.time()
    await bank.recurring.resume(often.recurring_id, "a test")
    await bank.started(often, 2)
    there = await bank.recurring.find(often.recurring_id)
    await bank.recurring.delete(often.recurring_id)
    assert there is not None
    ends = [await bank.ended(id) for _, id in there.recent]

    assert paused == [100_00, 0, 0]
    assert min(nominal for nominal, _ in there.recent).timestamp() > resumed - 1
    assert set(ends) == {None}
    assert await bank.balances() == [100_00 - len(ends), len(ends), 0]


@only_sqlite
async def test_the_occurrences_of_a_longer_id_are_not_taken_for_its_own(bank: Bank, order: Order) -> None:
    """
    `rent` and `rent.2026` are two, although the ids of all their occurrences begin with `rent.2026`.
    """
    rent = order()
    longer = order(recurring_id=f"{rent.recurring_id}.2026")
    for one in (rent, longer):
        await bank.transfer(one.occurrence(DAYS[0]))

    [state] = await bank.ledger.occurrences(rent.recurring_id)

    assert state.transfer.id == f"{rent.recurring_id}.2026-03-01T090000Z"
