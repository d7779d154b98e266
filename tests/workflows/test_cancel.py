"""Cancelling: at every step there is an answer, and it is cancelled, refunded, or too late."""

import asyncio
from collections.abc import Callable

import pytest
from temporalio.api.history.v1 import HistoryEvent

from activities.messages import TransferOutcome, TransferRequest
from ledger import operations
from tests.support.bank import Bank
from tests.support.databases import both_databases

Arm = Callable[[str], None]


async def _cancelled_while_unanswered(bank: Bank, arm: Arm, request: TransferRequest, fault: str) -> TransferOutcome:
    """Start a transfer whose leg never answers (the fault), cancel it, and return how it ended."""
    leg = fault.partition("/")[2].partition("]")[0]
    arm(fault)
    submitted = await bank.start(request)
    await bank.attempted(leg, 2)
    await bank.cancel(request)
    return await bank.outcome(submitted)


async def test_a_cancel_before_anything_happened_fences_the_debit(idle_bank: Bank) -> None:
    """
    The cancel was there before the first step: nothing moves, and a late debit meets the fence.
    """
    request = idle_bank.request()
    submitted = await idle_bank.start(request)
    await idle_bank.cancel(request, "wrong person")

    async with idle_bank.working():
        outcome = await idle_bank.outcome(submitted)

    assert (outcome.status, outcome.reason, outcome.detail) == ("cancelled", "cancelled", "wrong person")
    late = await idle_bank.ledger.apply(operations.debit(request.as_transfer()))
    assert (late.fenced, late.code) == (True, f"{request.transfer_id}/cancel")
    assert await idle_bank.balances() == [100_00, 0, 0]
    assert idle_bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/cancelled"]


@pytest.mark.parametrize("before", [True, False])
async def test_a_cancel_while_the_debit_is_being_written_gives_the_money_back(bank: Bank, before: bool) -> None:
    """
    The attempt is let finish, so that its effect is known; then the credit is fenced and the money returned.
    """
    request = bank.request()
    gate = bank.gates.close("debit", before=before)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert (outcome.status, outcome.reason) == ("refunded", "cancelled")
    late = await bank.ledger.apply(operations.credit(request.as_transfer()))
    assert (late.fenced, late.code) == (True, f"{request.transfer_id}/refund")
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_cancel_while_the_debit_does_not_answer_and_has_not_happened(bank: Bank, arm: Arm) -> None:
    """
    The fence settles what the silence left open: the debit never happened, and never will.
    """
    request = bank.request()

    outcome = await _cancelled_while_unanswered(
        bank, arm, request, f"ledger.before_transaction[{request.transfer_id}/debit]=raise@*"
    )

    arm("")
    assert outcome.status == "cancelled"
    assert (await bank.ledger.apply(operations.debit(request.as_transfer()))).fenced
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_cancel_while_the_debit_does_not_answer_but_has_happened(bank: Bank, arm: Arm) -> None:
    """
    The fence comes too late for the debit, which is therefore given back.
    """
    request = bank.request()

    outcome = await _cancelled_while_unanswered(
        bank, arm, request, f"ledger.after_commit[{request.transfer_id}/debit]=raise@*"
    )

    assert (outcome.status, outcome.reason) == ("refunded", "cancelled")
    assert await bank.balances() == [100_00, 0, 0]


@pytest.mark.parametrize("before", [True, False])
async def test_a_cancel_while_the_credit_is_being_written_is_too_late(bank: Bank, before: bool) -> None:
    """
    The running attempt ends first: it credits, and a credited transfer is settled.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=before)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_cancelled_transfer_asks_for_nothing_while_its_credit_may_still_be_written(bank: Bank) -> None:
    """
    The attempt is told of the cancel and goes on. Until it has ended, nobody knows whether there is to be a refund.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    events = await _events_once_the_cancel_was_passed_on(bank, submitted.workflow_id)
    gate.open.set()

    scheduled = [
        event.activity_task_scheduled_event_attributes.activity_type.name
        for event in events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    assert scheduled == ["debit", "credit"]
    assert (await bank.outcome(submitted)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def _events_once_the_cancel_was_passed_on(bank: Bank, workflow_id: str) -> list[HistoryEvent]:
    """A workflow's history as soon as it has told its activity of the cancel; what else it then asked is in it."""
    while True:
        history = await bank.client.get_workflow_handle(workflow_id).fetch_history()
        if any(event.HasField("activity_task_cancel_requested_event_attributes") for event in history.events):
            return list(history.events)
        await asyncio.sleep(0.02)


async def test_a_cancel_while_the_credit_does_not_answer_and_has_not_happened(bank: Bank, arm: Arm) -> None:
    """
    The refund fences the credit in its own transaction: the zombie attempt that comes later moves nothing.
    """
    request = bank.request()

    outcome = await _cancelled_while_unanswered(
        bank, arm, request, f"ledger.before_transaction[{request.transfer_id}/credit]=raise@*"
    )

    arm("")
    assert (outcome.status, outcome.reason) == ("refunded", "cancelled")
    assert (await bank.ledger.apply(operations.credit(request.as_transfer()))).fenced
    assert await bank.balances() == [100_00, 0, 0]


@both_databases
async def test_a_cancel_while_an_attempt_hangs_is_answered_and_the_attempt_meets_the_fence(bank: Bank) -> None:
    """
    The hanging attempt's time runs out, the refund fences the credit; then the attempt wakes up and does its work.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    ended = bank.gates.close("credit", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)

    outcome = await bank.outcome(submitted)
    gate.open.set()
    await ended.reached.wait()
    ended.open.set()

    assert (outcome.status, outcome.reason) == ("refunded", "cancelled")
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_cancel_while_the_credit_does_not_answer_but_has_happened(bank: Bank, arm: Arm) -> None:
    """
    The refund finds the credit in the books: the answer is already_credited, and the transfer is settled.
    """
    request = bank.request()

    outcome = await _cancelled_while_unanswered(
        bank, arm, request, f"ledger.after_commit[{request.transfer_id}/credit]=raise@*"
    )

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_cancel_while_the_outside_is_being_told_changes_nothing(bank: Bank) -> None:
    """
    The money has arrived; the notification still goes out.
    """
    request = bank.request()
    gate = bank.gates.close("notify", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]
    assert set(bank.notifier.keys(request.transfer_id)) == {f"{request.transfer_id}/notify/settled"}


async def test_a_cancel_of_an_ended_transfer_is_no_error_and_changes_nothing(bank: Bank) -> None:
    """
    Cancelling again, or too late, can be repeated like everything else.
    """
    request = bank.request()
    await bank.transfer(request)

    await bank.cancel(request)
    await bank.cancel(request)

    assert (await bank.transfer(request)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_cancelled_transfer_that_is_reset_stays_cancelled(idle_bank: Bank) -> None:
    """
    The reset run has no cancel in it any more; the fence under the debit's key is what remembers.
    """
    request = idle_bank.request()
    submitted = await idle_bank.start(request)
    await idle_bank.cancel(request)

    async with idle_bank.working():
        await idle_bank.outcome(submitted)
        after_reset = await idle_bank.outcome(await idle_bank.reset(request))

    assert after_reset.status == "cancelled"
    assert await idle_bank.balances() == [100_00, 0, 0]
