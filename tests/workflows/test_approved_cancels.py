"""Cancels of holds and splits that wait for approval, at every step of it."""

import asyncio

import pytest

from activities.approvals import Consent
from engine import approving
from tests.support.bank import PATIENCE, Bank
from tests.support.people import a_hold, a_split, agree, awaited, begin, ended, guard, id_of, submit

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
