"""Holds, payouts, splits and exchanges that wait for approval: as transfers do, and then each is what it is."""

import asyncio

import pytest

from activities.approvals import Consent, Denial
from activities.messages import TransferRequest
from activities.terms import Decision
from engine import approving
from engine.approving import Refused
from engine.deciding import decide
from ledger.approval import Approval
from ledger.limits import NONE, SetLimits
from ledger.operation import OpenAccount
from ledger.operations import approve
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite
from tests.support.people import a_hold, a_split, agree, awaited, begin, ended, guard, holds, id_of, refuse, submit

ALL = ("alice", "bob", "carol", "transit:USD")


@both_databases
async def test_a_hold_holds_once_enough_people_have_approved(bank: Bank) -> None:
    """
    Nothing is taken before; the same person counts once; afterwards it is captured like any other.
    """
    await guard(bank)
    hold = a_hold(bank)
    await begin(bank, request := awaited(hold))
    first, again = [await agree(bank, request, "bea") for _ in range(2)]
    before = await bank.balances()
    last = await agree(bank, request, "carl")
    await holds(bank, request)
    held = await bank.balances()
    await decide(bank.submitter, hold.transfer_id, Decision(captures=20_00), PATIENCE)

    outcome = await ended(bank, request)

    assert [(s.approvers, s.missing, s.replayed) for s in (first, again, last)] == [
        (("bea",), 1, False), (("bea",), 1, True), (("bea", "carl"), 0, False),
    ]  # fmt: skip  # one answer beside the other
    assert (before, held) == ([100_00, 0, 0], [75_00, 0, 25_00])
    assert outcome.status == "settled"
    assert await bank.balances() == [80_00, 20_00, 0]


async def test_a_payout_leaves_once_it_is_approved(bank: Bank) -> None:
    """
    The rail is not asked before, and once afterwards.
    """
    await guard(bank, approvals=1)
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))
    await begin(bank, request := awaited(bank.payout()))
    before = list(bank.rail.submits)
    await agree(bank, request, "bea")

    outcome = await ended(bank, request)

    assert before == []
    assert outcome.status == "settled"
    assert len(bank.rail.paid) == 1
    assert await bank.balances("alice", "bank:USD", "transit:USD") == [75_00, 25_00, 0]


@both_databases
async def test_a_split_is_paid_once_it_is_approved(bank: Bank) -> None:
    """
    All of its shares, once; whoever submits it again is told the same.
    """
    await guard(bank)
    await begin(bank, request := awaited(a_split(bank)))
    await asyncio.gather(*(agree(bank, request, name) for name in ("bea", "carl", "bea")), return_exceptions=True)

    outcomes = [await ended(bank, request) for _ in range(2)]

    assert [outcome.kind for outcome in outcomes] == ["applied", "applied"]
    assert await bank.balances(*ALL) == [75_00, 20_00, 5_00, 0]


async def test_what_is_denied_never_happens(bank: Bank) -> None:
    """
    A hold, a payout and a split: each is fenced, with who has said no; whoever approves later comes too late.
    """
    await guard(bank)
    requests = [awaited(asked) for asked in (a_hold(bank), bank.payout(), a_split(bank))]
    for request in requests:
        await begin(bank, request)
        await agree(bank, request, "carl")

    denied = [await refuse(bank, request) for request in requests]
    again = [await ended(bank, request) for request in requests]

    said = "denied by bea: never heard of them"
    assert [(d.status, d.reason, d.detail) for d in (*denied[:2], *again[:2])] == [("cancelled", "denied", said)] * 4
    assert [(d.kind, d.detail) for d in (denied[2], again[2])] == [("fenced", f"denied: {said}")] * 2
    consent = Consent(asked={}, approver="dora")
    late = [await approving.approve(bank.submitter, id_of(request), consent, PATIENCE) for request in requests]
    assert late == [None] * 3
    assert await bank.balances(*ALL) == [100_00, 0, 0, 0]


async def test_nobody_in_time_and_a_cancel_end_it(bank: Bank) -> None:
    """
    With one approval of two: nothing has moved, and nothing ever will.
    """
    await guard(bank)
    expiring = [awaited(asked, seconds=2) for asked in (a_hold(bank), a_split(bank))]
    called_off = [awaited(asked) for asked in (a_hold(bank, "H2"), a_split(bank, "S2"))]
    for request in (*called_off, *expiring):
        await begin(bank, request)
        await agree(bank, request, "bea")
    for request in called_off:
        await bank.submitter.cancel_workflow(id_of(request), "changed my mind")

    hold, split, cancelled, withdrawn = [await ended(bank, request) for request in (*expiring, *called_off)]

    assert (hold.status, hold.reason) == ("cancelled", "approval_expired")
    assert (split.kind, split.detail) == ("fenced", "approval_expired: 1 approvals are missing")
    assert (cancelled.status, cancelled.reason, cancelled.detail) == ("cancelled", "cancelled", "changed my mind")
    assert (withdrawn.kind, withdrawn.detail) == ("fenced", "cancelled: changed my mind")
    assert await bank.balances(*ALL) == [100_00, 0, 0, 0]


async def test_who_approves_of_something_else_is_refused_with_what_differs(bank: Bank) -> None:
    """
    Another amount, other terms, a plain transfer, a field too many, and the initiator: nothing is recorded.
    """
    await guard(bank, approvals=1)
    hold = a_hold(bank)
    await begin(bank, request := awaited(hold))
    content = hold.content()
    plain = TransferRequest(**bank.request("H1").model_dump())
    wrong = {
        "amount_minor: 2500 -> 9900": Consent(asked=content | {"amount_minor": 99_00}, approver="bea"),
        f"expires_at: {2**57} -> 1": Consent(asked=content | {"expires_at": 1}, approver="bea"),
        f"expires_at: {2**57} -> None": Consent(transfer=plain, approver="bea"),
        "rail: None -> bank": Consent(asked=content | {"rail": "bank"}, approver="bea"),
        "ines has asked for this transfer": Consent(asked=content, approver="ines"),
    }

    for said, consent in wrong.items():
        with pytest.raises(Refused, match=said):
            await approving.approve(bank.submitter, id_of(request), consent, PATIENCE)

    assert (await agree(bank, request, "bea")).approvers == ("bea",)


@only_sqlite
async def test_who_denies_what_the_books_have_already_is_too_late(bank: Bank) -> None:
    """
    Somebody else was ahead of the run that waits: its money is in transit, and it goes on as what it is.
    """
    await guard(bank, approvals=1)
    hold, split = awaited(a_hold(bank)), awaited(a_split(bank))
    for request in (hold, split):
        await begin(bank, request)
        await bank.ledger.apply(approve(Approval(request.operation().intent, "dora", "ines")))
        await bank.ledger.apply(request.operation())

    with pytest.raises(Refused, match="its money was taken already"):
        await refuse(bank, hold)
    paid = await refuse(bank, split)

    await holds(bank, hold)
    assert paid.kind == "applied"
    assert await bank.balances(*ALL) == [50_00, 20_00, 5_00, 25_00]


async def test_after_a_reset_or_a_termination_an_approval_counts_once(bank: Bank) -> None:
    """
    Temporal forgets that it was given, and the books do not: one more is still missing.
    """
    await guard(bank)
    await begin(bank, reset := awaited(a_hold(bank)))
    await begin(bank, terminated := awaited(a_split(bank)))
    for request in (reset, terminated):
        await agree(bank, request, "bea")
    await bank.reset_workflow(id_of(reset))
    await bank.client.get_workflow_handle(id_of(terminated)).terminate("an operator's mistake")

    for request in (reset, terminated):
        await begin(bank, request)
        again, last = [await agree(bank, request, name) for name in ("bea", "carl")]
        assert (again.approvers, again.missing, again.replayed) == (("bea",), 1, True)
        assert (last.approvers, last.missing) == (("bea", "carl"), 0)

    assert (await ended(bank, terminated)).kind == "applied"
    await holds(bank, reset)
    assert await bank.balances(*ALL) == [50_00, 20_00, 5_00, 25_00]


@only_sqlite
async def test_a_reset_after_the_money_was_taken_asks_nobody_again(bank: Bank) -> None:
    """
    The books have the debit, and it goes on as a hold; also when the sweep starts it again, and the threshold is new.
    """
    await guard(bank, approvals=1)
    hold = a_hold(bank)
    first = await begin(bank, request := awaited(hold))
    await agree(bank, request, "bea")
    await holds(bank, request)
    await bank.terminate(hold)
    swept = await bank.sweep()
    await holds(bank, request)
    await bank.ledger.apply(SetLimits("alice", "USD", approval_above_minor=1_00, approvals=9))
    await bank.forget(hold)
    await submit(bank, request)
    await holds(bank, request)
    await decide(bank.submitter, hold.transfer_id, Decision(reason="left early"), PATIENCE)

    outcome = await ended(bank, request)

    assert first.run_id is not None
    assert swept.restarted == 1
    assert (outcome.status, outcome.reason) == ("refunded", "voided")
    assert await bank.status(hold) is Status.REFUNDED
    assert await bank.balances() == [100_00, 0, 0]


@only_sqlite
async def test_what_asks_nobody_is_rejected_and_what_needs_nobody_does_not_wait(bank: Bank) -> None:
    """
    A split that was submitted as it is gets no further than the books; without a threshold, one is paid at once.
    """
    await guard(bank)
    rejected = await bank.enter(bank.split("S1"))
    await bank.ledger.apply(SetLimits("alice", "USD", approval_above_minor=NONE))

    applied = await ended(bank, awaited(a_split(bank, "S2")))

    assert (rejected.kind, rejected.code) == ("rejected", "approval_required")
    assert applied.kind == "applied"
    assert await bank.balances(*ALL) == [75_00, 20_00, 5_00, 0]


@only_sqlite
async def test_a_denial_of_what_waits_for_nobody_comes_too_late(bank: Bank) -> None:
    """
    It is refused, and what was approved goes on.
    """
    await guard(bank, approvals=1)
    await begin(bank, request := awaited(a_hold(bank)))
    await agree(bank, request, "carl")
    denial = Denial(approver="bea", reason="no")

    with pytest.raises(Refused):
        await approving.deny(bank.submitter, id_of(request), denial, PATIENCE)

    await holds(bank, request)
    assert await bank.balances() == [75_00, 0, 25_00]
