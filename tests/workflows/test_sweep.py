"""Sweeping: what nobody works on any more is finished from the books, once; what somebody works on is left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from activities.messages import SweepSummary, TransferRequest
from activities.sweeping import Standing
from engine import sweeping
from engine.results import KeyReused, Unanswered
from engine.submitting import workflow_id
from ledger import operations
from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.operation import SetAccountStatus
from ledger.transfer import Status
from tests.support.bank import Bank
from tests.support.examples import balances, open_with
from workflows.search_attributes import AMOUNT_MINOR

Arm = Callable[[str], None]
Stop = Callable[[Bank, TransferRequest], Awaitable[None]]


async def _stop_in_transit(bank: Bank, arm: Arm, request: TransferRequest, stop: Stop = Bank.terminate) -> None:
    """Start a transfer, and end its workflow between its debit and its credit."""
    gate = bank.gates.close("credit", before=True)
    await bank.start(request)
    await gate.reached.wait()
    await stop(bank, request)
    arm(f"activity.before_work[{request.transfer_id}/credit]=raise")  # the attempt that stood there comes to nothing
    gate.open.set()


async def test_a_transfer_terminated_in_transit_is_finished_by_a_sweep(bank: Bank, arm: Arm) -> None:
    """
    Settled once and told once; nobody but the sweep has started it again.
    """
    request = bank.request()
    await _stop_in_transit(bank, arm, request)

    summary = await bank.sweep()
    outcome = await bank.transfer(request)

    assert summary == SweepSummary(looked_at=1, restarted=1)
    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]
    assert bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/settled"]


async def test_a_transfer_whose_workflow_was_deleted_is_finished_by_a_sweep(bank: Bank, arm: Arm) -> None:
    """
    Temporal knows nothing of it any more; the books hold all that is needed to start it again.
    """
    request = bank.request()
    await _stop_in_transit(bank, arm, request, Bank.forget)

    summary = await bank.sweep()
    outcome = await bank.transfer(request)

    assert (summary.restarted, outcome.status) == (1, "settled")
    assert await bank.balances() == [75_00, 25_00, 0]
    assert len(bank.notifier.keys(request.transfer_id)) == 1


async def test_what_a_sweep_starts_is_the_callers_own_transfer(bank: Bank) -> None:
    """
    Same memo, same search attributes: the caller's next retry attaches, and other content is refused.
    """
    request = bank.request()
    ours = await bank.ledger.apply(operations.debit(request.as_transfer()))
    gate = bank.gates.close("credit", before=True)

    await bank.sweep()
    await gate.reached.wait()
    swept = await bank.client.get_workflow_handle(workflow_id(request.transfer_id)).describe()
    attached = await bank.start(request)
    other = await bank.start(bank.request(amount_minor=1))
    gate.open.set()

    assert ours.applied
    assert (attached.run_id, attached.replayed, attached.differences) == (swept.run_id, False, ())
    assert other.differences == ("amount_minor: 2500 -> 1",)
    assert swept.typed_search_attributes[AMOUNT_MINOR] == 25_00
    assert (await bank.outcome(attached)).status == "settled"


async def test_a_running_transfer_is_left_alone(bank: Bank) -> None:
    """
    However long its money is in transit: it has somebody who works on it.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()

    summary = await bank.sweep()
    found = await bank.submitter.find(request.transfer_id)
    gate.open.set()

    assert summary == SweepSummary(looked_at=1, running=1)
    assert found is not None
    assert found.run_id == submitted.run_id
    assert (await bank.outcome(submitted)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_what_changed_a_moment_ago_is_not_looked_at(bank: Bank, arm: Arm) -> None:
    """
    Most of what is in transit will have settled before anybody could ask for it.
    """
    request = bank.request()
    await _stop_in_transit(bank, arm, request)

    summary = await bank.sweep(older_than_seconds=3600)

    assert summary == SweepSummary()
    assert await bank.balances() == [75_00, 0, 25_00]


async def test_books_that_are_older_than_temporal_are_named_and_not_touched(
    bank: Bank, new_database: Callable[[], str]
) -> None:
    """
    The transfer completed, then an older ledger was restored: which of the two is right is for people to say.
    """
    request = bank.request()
    async with Ledger.open(new_database()) as older:
        await open_with(older, alice=100_00, bob=0)
        await older.apply(operations.debit(request.as_transfer()))
        await bank.transfer(request)
        restored = Bank(older, bank.client)
        async with restored.working():
            first, second = await restored.sweep(), await restored.sweep()

        assert first == second == SweepSummary(looked_at=1, disagreeing=1, disagreeing_ids=(request.transfer_id,))
        assert await balances(older, "alice", "bob", "transit:USD") == [75_00, 0, 25_00]
        assert restored.notifier.seen == []


async def test_a_refund_that_was_cut_off_is_made_after_the_sweep(bank: Bank, arm: Arm) -> None:
    """
    The destination had said no, which is pinned; that it is open again by the time of the sweep changes nothing.
    """
    request = bank.request()
    credit, refund = bank.gates.close("credit", before=True), bank.gates.close("refund", before=True)
    await bank.start(request)
    await credit.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    credit.open.set()
    await refund.reached.wait()
    await bank.terminate(request)
    arm(f"activity.before_work[{request.transfer_id}/refund]=raise")
    refund.open.set()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.OPEN))

    summary = await bank.sweep()
    await bank.reaches(request, Status.REFUNDED)

    assert summary.restarted == 1
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_stranger_who_failed_under_the_id_is_not_in_the_way(bank: Bank) -> None:
    """
    The last that Temporal knows of the id is somebody else's attempt, which was told key_reused.
    """
    request = bank.request()
    await bank.ledger.apply(operations.debit(request.as_transfer()))
    with pytest.raises(KeyReused):
        await bank.transfer(bank.request(amount_minor=99_00))

    summary = await bank.sweep()
    await bank.reaches(request, Status.SETTLED)

    assert summary == SweepSummary(looked_at=1, restarted=1)
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_transfer_that_keeps_failing_to_be_asked_about_does_not_hide_the_others(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    No answer about one is counted, and is no reason to leave the others in transit.
    """
    silent, orphan = bank.request("A"), bank.request("B")
    for request in (silent, orphan):
        await bank.ledger.apply(operations.debit(request.as_transfer()))
    answering = sweeping.TemporalWorkflows.of_transfer

    async def of_transfer(self: sweeping.TemporalWorkflows, transfer_id: str) -> Standing:
        if transfer_id == silent.transfer_id:
            raise Unanswered("a test")
        return await answering(self, transfer_id)

    monkeypatch.setattr(sweeping.TemporalWorkflows, "of_transfer", of_transfer)
    summary = await bank.sweep()
    await bank.reaches(orphan, Status.SETTLED)

    assert summary == SweepSummary(looked_at=2, restarted=1, unanswered=1)
    assert await bank.balances() == [50_00, 25_00, 25_00]


async def test_a_notification_that_nobody_delivers_any_more_is_delivered_by_a_sweep(bank: Bank) -> None:
    """
    The transfer was terminated after its end was in the books and before the receiver had it.
    """
    request = bank.request()
    key = f"{request.transfer_id}/notify/settled"
    gate = bank.gates.close("notify", before=True)
    await bank.start(request)
    await gate.reached.wait()
    await bank.terminate(request)
    bank.notifier.refusals = 1
    gate.open.set()
    while not bank.notifier.refused:
        await asyncio.sleep(0.02)

    summary = await bank.sweep()
    await bank.client.get_workflow_handle(f"notification/{key}").result()
    again = await bank.sweep()

    assert summary == SweepSummary(notifications_looked_at=1, notifications_restarted=1)
    assert again == SweepSummary()
    assert bank.notifier.keys(request.transfer_id) == [key]


async def test_a_notification_that_is_being_delivered_is_left_alone(bank: Bank) -> None:
    """
    By its transfer, or by the workflow that it was left to.
    """
    request = bank.request()
    key = f"{request.transfer_id}/notify/settled"
    gate = bank.gates.close("notify", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    by_its_transfer = await bank.sweep()
    bank.notifier.refusals = 1_000_000
    gate.open.set()
    await bank.outcome(submitted)
    left_to_a_workflow = await bank.sweep()
    bank.notifier.refusals = 0
    await bank.client.get_workflow_handle(f"notification/{key}").result()

    assert by_its_transfer == left_to_a_workflow == SweepSummary(notifications_looked_at=1)
    assert bank.notifier.keys(request.transfer_id) == [key]
