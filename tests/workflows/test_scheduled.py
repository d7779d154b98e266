"""Transfers that are due later: they wait with a durable timer, and can be called off until then."""

import asyncio
import time

import pytest
from pydantic import ValidationError

from activities.messages import ScheduledRequest, TransferRequest
from ledger import operations
from tests.support.bank import Bank
from tests.support.databases import only_sqlite

DAY = 24 * 3600


def _due(request: TransferRequest, in_seconds: float) -> ScheduledRequest:
    due_at = time.time_ns() // 1000 + round(in_seconds * 1_000_000)
    return ScheduledRequest(**request.model_dump(), due_at=due_at)


async def _waits(bank: Bank, request: TransferRequest) -> None:
    """Until an operator can see that it is scheduled."""
    while not ((found := await bank.submitter.find(request.transfer_id)) and found.is_scheduled):
        await asyncio.sleep(0.05)


async def test_a_transfer_moves_when_it_is_due_and_not_before(bank: Bank) -> None:
    """
    Until then the books have not heard of it, and every cent is where it was.
    """
    request = _due(bank.request(), in_seconds=4)
    submitted = await bank.start(request)
    await _waits(bank, request)
    before, known = await bank.balances(), await bank.status(request)

    outcome = await bank.outcome(submitted)

    assert (before, known) == ([100_00, 0, 0], None)
    assert time.time_ns() // 1000 >= request.due_at
    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_transfer_is_called_off_before_it_is_due(bank: Bank) -> None:
    """
    It ends at once as cancelled; its debit is fenced, and would come too late.
    """
    request = _due(bank.request(), in_seconds=300 * DAY)
    submitted = await bank.start(request)
    await _waits(bank, request)
    await bank.cancel(request, "the tenant moved out")

    outcome = await bank.outcome(submitted)

    assert (outcome.status, outcome.detail) == ("cancelled", "the tenant moved out")
    assert (await bank.ledger.apply(operations.debit(request.as_transfer()))).fenced
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_what_is_due_already_does_not_wait(bank: Bank) -> None:
    """
    A worker that was away when the time came makes up for it at once.
    """
    outcome = await bank.transfer(_due(bank.request(), in_seconds=-DAY))

    assert outcome.status == "settled"


@only_sqlite
async def test_another_due_time_under_the_same_id_is_told(bank: Bank) -> None:
    """
    To change it, call it off and schedule another one under another id.
    """
    request = _due(bank.request(), in_seconds=30 * DAY)
    await bank.start(request)

    again = await bank.start(request)
    later = await bank.start(request.model_copy(update={"due_at": request.due_at + 1}))
    at_once = await bank.start(bank.request())

    assert again.differences == ()
    assert later.differences == (f"due_at: {request.due_at} -> {request.due_at + 1}",)
    assert at_once.differences == (f"due_at: {request.due_at} -> None",)
    await bank.cancel(request)


@only_sqlite
async def test_a_worker_that_dies_while_a_transfer_waits_changes_nothing(idle_bank: Bank) -> None:
    """
    The timer is Temporal's: another worker, without anything in its cache, finds it due.
    """
    request = _due(idle_bank.request(), in_seconds=3)
    async with idle_bank.working():
        submitted = await idle_bank.start(request)
        await _waits(idle_bank, request)
    async with idle_bank.working():
        outcome = await idle_bank.outcome(submitted)

    assert outcome.status == "settled"
    assert await idle_bank.balances() == [75_00, 25_00, 0]


@pytest.mark.parametrize("due_at", [-1, 253_402_300_800_000_000, 1.5, True, "2026-12-01"])
def test_a_due_time_that_is_no_instant_is_refused(due_at: object) -> None:
    """
    Whole microseconds, from 1970 to the end of the year 9999.
    """
    with pytest.raises(ValidationError):
        ScheduledRequest.model_validate(
            {
                "transfer_id": "T1",
                "source": "a",
                "destination": "b",
                "amount_minor": 1,
                "currency": "USD",
                "due_at": due_at,
            }
        )
