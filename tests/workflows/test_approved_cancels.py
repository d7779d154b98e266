"""Cancels of holds and splits that wait for approval, at every step of it."""

import asyncio

import pytest

from activities.approvals import ApprovalRequest, AwaitedRequest, Consent
from engine import approving
from ledger import payouts
from ledger.approval import Approval
from ledger.operation import OpenAccount, Operation
from ledger.operations import approve
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import only_sqlite
from tests.support.people import a_hold, a_split, agree, asked_for, awaited, begin, end, ended, guard, id_of, submit

ALL = ("alice", "bob", "carol", "transit:USD")


async def test_approve_against_cancel_has_one_winner(bank: Bank) -> None:
    """
    Both at once, many times: a split is paid whole or not at all, and a hold that is held is given back by the cancel.
    """
    await guard(bank, approvals=1)
    paid = 0
    for number in range(3):
        split, hold = awaited(a_split(bank, f"S{number}")), awaited(a_hold(bank, f"H{number}"))
        for request in (split, hold):
            await begin(bank, request)
            cancel = bank.submitter.cancel_workflow(id_of(request), "changed my mind")
            await asyncio.gather(agree(bank, request, "bea"), cancel, return_exceptions=True)
        paid += (await ended(bank, split)).kind == "applied"
        assert (await ended(bank, hold)).status in ("cancelled", "refunded")

    assert await bank.balances(*ALL) == [100_00 - paid * 25_00, paid * 20_00, paid * 5_00, 0]


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("activity", ["standing_of_any", "approve"])
async def test_a_cancel_at_every_step_of_the_waiting_is_in_time(bank: Bank, activity: str, before: bool) -> None:
    """
    While the books are asked who has approved, or told of the last approval, before and after they know: nothing moves.
    """
    await guard(bank, approvals=1)
    requests = [awaited(a_hold(bank)), awaited(a_split(bank))]
    for request in requests:
        gate = bank.gates.close(activity, before=before)
        await submit(bank, request)
        consent = Consent(asked=dict(request.operation().content), approver="bea")
        approval = asyncio.create_task(approving.approve(bank.submitter, id_of(request), consent, PATIENCE))
        await gate.reached.wait()
        await bank.submitter.cancel_workflow(id_of(request), "changed my mind")
        gate.open.set()
        await asyncio.gather(approval, return_exceptions=True)

    hold, split = [await ended(bank, request) for request in requests]

    assert (hold.status, hold.reason) == ("cancelled", "cancelled")
    assert (split.kind, split.detail) == ("fenced", "cancelled: changed my mind")
    assert await bank.balances(*ALL) == [100_00, 0, 0, 0]


@only_sqlite
@pytest.mark.parametrize("kind", ["hold", "payout"])
async def test_a_cancel_of_what_is_debited_already_gives_the_money_back(bank: Bank, kind: str) -> None:
    """
    The books are ahead of the run that waits: what goes on after it would not know of the cancel. No rail is asked.
    """
    request = awaited(a_hold(bank) if kind == "hold" else bank.payout())
    await _debited_and_called_off(bank, request)

    outcome = await ended(bank, request)

    assert (outcome.status, outcome.reason, outcome.detail) == ("refunded", "cancelled", "changed my mind")
    assert bank.rail.submits == []
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_a_cancel_of_a_payout_that_the_rail_may_have_been_asked_for_is_too_late(bank: Bank) -> None:
    """
    Only the rail's own word can give its money back: it goes on as a payout, which asks it.
    """
    request = awaited(payout := bank.payout())
    await _debited_and_called_off(bank, request, payouts.submission(payout.as_transfer()))

    outcome = await ended(bank, request)

    assert outcome.status == "settled"
    assert len(bank.rail.paid) == 1
    assert await bank.balances("alice", "bank:USD", "transit:USD") == [75_00, 25_00, 0]


@only_sqlite
@pytest.mark.parametrize("before", [True, False])
async def test_a_cancel_while_the_books_are_asked_is_heard_if_they_answer_all_the_same(
    bank: Bank, before: bool
) -> None:
    """
    Nobody else says a word: a transfer and a hold are cancelled, and do not wait for people.
    """
    await guard(bank)
    outcomes = []
    for activity, request in (("standing", asked_for(bank.request())), ("standing_of_any", awaited(a_hold(bank)))):
        gate = bank.gates.close(activity, before=before)
        id = (
            await (bank.start(request) if isinstance(request, ApprovalRequest) else submit(bank, request))
        ).workflow_id
        await gate.reached.wait()
        await bank.submitter.cancel_workflow(id, "changed my mind")
        gate.open.set()
        outcomes.append(await (end(bank, request) if isinstance(request, ApprovalRequest) else ended(bank, request)))

    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [("cancelled", "cancelled")] * 2
    assert await bank.balances() == [100_00, 0, 0]


async def _debited_and_called_off(bank: Bank, request: AwaitedRequest, *more: Operation) -> None:
    """A cancel comes while the books are asked who has approved; they have the debit by then, and so much `more`."""
    await guard(bank, approvals=1)
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))
    gate = bank.gates.close("standing_of_any", before=False)
    await submit(bank, request)
    await gate.reached.wait()
    await bank.ledger.apply(approve(Approval(request.operation().intent, "dora", "ines")))
    for operation in (request.operation(), *more):
        await bank.ledger.apply(operation)
    await bank.submitter.cancel_workflow(id_of(request), "changed my mind")
    gate.open.set()
