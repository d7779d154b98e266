"""Transfers that wait for approval: approved, denied, expired, cancelled; each approval counts once."""

import asyncio
import time

import pytest

from activities.approvals import Consent
from engine import approving
from engine.approving import Refused
from engine.submitting import workflow_id
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite
from tests.support.people import approve, asked_for, deny, end, guard, start


async def test_a_transfer_moves_when_enough_people_have_approved(bank: Bank) -> None:
    """
    Nothing moves before; the same person counts once; afterwards it is a transfer like any other.
    """
    await guard(bank)
    request = asked_for(bank.request())
    await start(bank, request)
    first, again = [await approve(bank, request, "bea") for _ in range(2)]
    before = await bank.balances()
    last = await approve(bank, request, "carl")

    outcome = await end(bank, request)

    assert [(s.approvers, s.missing, s.replayed) for s in (first, again, last)] == [
        (("bea",), 1, False), (("bea",), 1, True), (("bea", "carl"), 0, False),
    ]  # fmt: skip  # one answer beside the other
    assert before == [100_00, 0, 0]
    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


@both_databases
async def test_two_who_approve_at_once_are_two(bank: Bank) -> None:
    """
    In whichever order they are recorded and answered.
    """
    await guard(bank, approvals=3)
    request = asked_for(bank.request())
    await start(bank, request)

    await asyncio.gather(*(approve(bank, request, name) for name in ("bea", "carl", "dora", "bea")))

    assert (await end(bank, request)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_denied_transfer_ends_cancelled_and_can_never_be_debited(bank: Bank) -> None:
    """
    The reason and who has said it are in the books; whoever comes later is told the end.
    """
    await guard(bank)
    request = asked_for(bank.request())
    await start(bank, request)
    await approve(bank, request, "carl")

    outcome = await deny(bank, request)
    late = await approving.approve(
        bank.submitter,
        workflow_id(request.transfer_id),
        Consent(transfer=request.as_plain(), approver="dora"),
        PATIENCE,
    )
    again = await end(bank, request)

    assert (outcome.status, outcome.reason) == ("cancelled", "denied")
    assert outcome.detail == "denied by bea: never heard of them"
    assert late is None
    assert (again.status, again.reason, again.replayed) == ("cancelled", "denied", True)
    assert await bank.balances() == [100_00, 0, 0]


async def test_nobody_in_time_ends_it(bank: Bank) -> None:
    """
    With one approval of two when the time is over: cancelled, and the debit fenced.
    """
    await guard(bank)
    request = asked_for(bank.request(), seconds=3)
    await start(bank, request)
    await approve(bank, request, "bea")

    outcome = await end(bank, request)

    assert (outcome.status, outcome.reason, outcome.detail) == (
        "cancelled",
        "approval_expired",
        "1 approvals are missing",
    )
    assert await bank.balances() == [100_00, 0, 0]


async def test_an_approval_that_is_being_recorded_when_the_time_is_over_counts(bank: Bank) -> None:
    """
    It was given in time; the books take a little longer.
    """
    await guard(bank, approvals=1)
    request = asked_for(bank.request(), seconds=3)
    gate = bank.gates.close("approve", before=True)
    await start(bank, request)
    approval = asyncio.create_task(approve(bank, request, "bea"))
    await gate.reached.wait()
    while time.time_ns() // 1000 < request.expires_at + 500_000:
        await asyncio.sleep(0.05)
    gate.open.set()

    assert (await approval).missing == 0
    assert (await end(bank, request)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_cancel_ends_the_waiting(bank: Bank) -> None:
    """
    As it ends any transfer before its debit; an approval afterwards comes too late.
    """
    await guard(bank)
    request = asked_for(bank.request())
    await start(bank, request)
    await approve(bank, request, "bea")
    await bank.cancel(request)

    outcome = await end(bank, request)

    assert (outcome.status, outcome.reason, outcome.detail) == ("cancelled", "cancelled", "changed my mind")
    assert await bank.balances() == [100_00, 0, 0]


@both_databases
async def test_approve_against_deny_has_one_winner(bank: Bank) -> None:
    """
    Both at once, many times: settled with every cent moved, or cancelled with none, and both are told so.
    """
    await guard(bank, approvals=1)
    moved = 0
    for number in range(3):
        request = asked_for(bank.request(f"T{number}"))
        await start(bank, request)
        await asyncio.gather(approve(bank, request, "carl"), deny(bank, request), return_exceptions=True)
        moved += (await end(bank, request)).status == "settled"

    assert await bank.balances() == [100_00 - moved * 25_00, moved * 25_00, 0]


async def test_the_initiator_and_an_edited_request_are_refused(bank: Bank) -> None:
    """
    Nothing is recorded; the one who is refused is told what differs.
    """
    await guard(bank, approvals=1)
    request = asked_for(bank.request())
    await start(bank, request)
    edited = asked_for(bank.request(amount_minor=99_00, destination="carol"))

    with pytest.raises(Refused, match="ines has asked for this transfer"):
        await approve(bank, request, "ines")
    with pytest.raises(Refused, match="amount_minor: 2500 -> 9900; destination: bob -> carol"):
        await approve(bank, edited, "bea")

    assert (await bank.submitter.find(request.transfer_id) or request).awaits_approval  # type: ignore[union-attr]  # it is there
    await deny(bank, request)
    assert await bank.balances() == [100_00, 0, 0]


async def test_after_a_reset_an_approval_counts_once(bank: Bank) -> None:
    """
    Temporal forgets that it was given, or delivers it again: the books remember it, and one more is still missing.
    """
    await guard(bank)
    request = asked_for(bank.request())
    await start(bank, request)
    await approve(bank, request, "bea")
    await bank.reset(request)

    again = await approve(bank, request, "bea")
    last = await approve(bank, request, "carl")
    outcome = await end(bank, request)

    assert (again.approvers, again.missing, again.replayed) == (("bea",), 1, True)
    assert last.missing == 0
    assert outcome.status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_terminated_one_is_submitted_again_with_its_approvals(bank: Bank) -> None:
    """
    The books have them: only who is missing is waited for.
    """
    await guard(bank)
    request = asked_for(bank.request())
    await start(bank, request)
    await approve(bank, request, "bea")
    await bank.terminate(request)
    await start(bank, request)

    last = await approve(bank, request, "carl")

    assert last.approvers == ("bea", "carl")
    assert (await end(bank, request)).status == "settled"
    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_a_plain_transfer_above_the_threshold_is_rejected(bank: Bank) -> None:
    """
    Whoever does not ask people cannot get around them; nobody can approve of it afterwards.
    """
    await guard(bank)
    request = bank.request()

    outcome = await bank.transfer(request)

    assert (outcome.status, outcome.reason) == ("rejected", "approval_required")
    assert (
        await approving.approve(
            bank.submitter, workflow_id(request.transfer_id), Consent(transfer=request, approver="bea"), PATIENCE
        )
        is None
    )
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_what_needs_nobody_does_not_wait(bank: Bank) -> None:
    """
    The books say how many are needed: none, when the threshold is gone; and one that has ended is answered at once.
    """
    request = asked_for(bank.request())
    outcome = await end(bank, request)
    await bank.forget(request)
    await guard(bank)
    replayed = await end(bank, request)

    assert outcome.status == "settled"
    assert (replayed.status, replayed.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_an_approved_transfer_can_still_be_due_later(bank: Bank) -> None:
    """
    First people, then the time.
    """
    await guard(bank, approvals=1)
    request = asked_for(bank.request(), due_in=3)
    await start(bank, request)
    await approve(bank, request, "bea")

    outcome = await end(bank, request)

    assert outcome.status == "settled"
    assert request.due_at is not None
    assert time.time_ns() // 1000 >= request.due_at
    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_a_plain_transfer_knows_no_approvals(bank: Bank) -> None:
    """
    One that is running without anybody's approval does not take any.
    """
    gate = bank.gates.close("credit", before=True)
    request = bank.request()
    submitted = await bank.start(request)
    await gate.reached.wait()

    with pytest.raises(Refused):
        await approving.approve(
            bank.submitter, workflow_id(request.transfer_id), Consent(transfer=request, approver="bea"), PATIENCE
        )

    gate.open.set()
    assert (await bank.outcome(submitted)).status == "settled"
