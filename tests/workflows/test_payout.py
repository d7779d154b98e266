"""Payouts as workflows: whatever is lost, cancelled, terminated or swept, the rail's word decides, and pays once."""

import asyncio
from dataclasses import replace

import pytest

from activities.messages import LegOutcome
from activities.payouts import PayoutActivities, ReturnRequest, Said
from activities.terms import DebitOnTerms
from engine.results import KeyReused
from engine.returns import hand_in, return_workflow_id
from ledger import payouts
from ledger.account import AccountStatus
from ledger.audit import audit
from ledger.operation import OpenAccount, SetAccountStatus
from ledger.operations import credit, debit, refund
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import only_sqlite
from workflows.legs import CANCELLED
from workflows.payout import REJECTED

ACCOUNTS = ("alice", "bank:USD", "transit:USD")


async def open_clearing(bank: Bank) -> None:
    """The operator opens the account of what the rail has taken."""
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))


async def taken_back(bank: Bank, request: ReturnRequest) -> LegOutcome:
    """Hand a return in, and wait for what becomes of it."""
    await hand_in(bank.client, request, bank.task_queue)
    handle = bank.client.get_workflow_handle(return_workflow_id(request), result_type=LegOutcome)
    return await asyncio.wait_for(handle.result(), PATIENCE)


def returned(bank: Bank, transfer_id: str, return_id: str = "ret_1") -> ReturnRequest:
    """The bank gives a payout back."""
    return ReturnRequest(rail="bank", return_id=f"{bank.task_queue}.{return_id}", payment_key=f"{transfer_id}/submit")


async def test_an_accepted_payout_is_settled(bank: Bank) -> None:
    """The rail's account has it, and the rail was asked under the payout's key."""
    await open_clearing(bank)
    request = bank.payout()

    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]
    assert bank.rail.submits == [f"{request.transfer_id}/submit"]
    assert bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/settled"]


async def test_a_rejected_payout_is_given_back(bank: Bank) -> None:
    """With the rail's own word for why."""
    await open_clearing(bank)

    outcome = await bank.transfer(bank.payout(beneficiary="closed"))

    assert (outcome.status, outcome.reason, outcome.detail) == ("refunded", REJECTED, "bank: account_closed")
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_without_the_rails_account_nothing_is_asked(bank: Bank) -> None:
    """A rail that no operator has opened an account for is an ordinary rejection, before any money moves."""
    outcome = await bank.transfer(bank.payout())

    assert (outcome.status, outcome.reason) == ("rejected", "account_not_found")
    assert bank.rail.submits == []


async def test_requests_that_are_lost_are_made_again_with_the_same_key(bank: Bank) -> None:
    """Two never arrive, and the answer of the third is lost: the rail pays once."""
    await open_clearing(bank)
    request = bank.payout()
    bank.rail.silent_before, bank.rail.silent = 2, True
    submitted = await bank.start(request)
    while len(bank.rail.submits) < 4:
        await asyncio.sleep(0.02)
    bank.rail.silent = False

    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert set(bank.rail.submits) == {f"{request.transfer_id}/submit"}
    assert len(bank.rail.paid) == 1
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_cancel_before_the_rail_is_asked_is_in_time(bank: Bank) -> None:
    """It comes while the debit is committed and not answered yet. The rail never hears of it."""
    await open_clearing(bank)
    request = bank.payout()
    gate = bank.gates.close("debit_on_terms", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert (outcome.status, outcome.reason) == ("refunded", CANCELLED)
    assert bank.rail.submits == []
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_a_cancel_after_the_rail_was_asked_waits_for_its_word(bank: Bank) -> None:
    """It has paid, and its answer is lost. Giving the money back on a guess would have paid twice."""
    await open_clearing(bank)
    request = bank.payout()
    bank.rail.silent = True
    submitted = await bank.start(request)
    await bank.attempted("submit", 2)
    await bank.cancel(request)
    await bank.attempted("submit", 3)
    bank.rail.silent = False

    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert len(bank.rail.paid) == 1
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_another_run_that_is_cancelled_at_once_does_not_take_it_back(bank: Bank) -> None:
    """The first run was terminated after the rail had paid. The second knows from the books that it may have."""
    await open_clearing(bank)
    request = bank.payout()
    bank.rail.silent = True
    await bank.start(request)
    await bank.attempted("submit", 1)
    await bank.terminate(request)
    gate = bank.gates.close("debit_on_terms", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()
    bank.rail.silent = False

    outcome = await bank.outcome(submitted)

    assert outcome.status == "settled"
    assert len(bank.rail.paid) == 1
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_submit_that_comes_after_the_recall_asks_nobody(bank: Bank) -> None:
    """A zombie of a run that was reset finds the fence in the books, in front of the rail."""
    await open_clearing(bank)
    request = bank.payout()
    gate = bank.gates.close("submit", before=True)
    await bank.start(request)
    await gate.reached.wait()
    await bank.terminate(request)
    await bank.ledger.apply(payouts.recall(request.as_transfer(), CANCELLED))

    gate.open.set()
    again = await PayoutActivities(bank.ledger, {"bank": bank.rail}).submit(request)
    outcome = await bank.transfer(request)

    assert again.said is Said.RECALLED
    assert (outcome.status, outcome.reason) == ("refunded", CANCELLED)
    assert bank.rail.submits == []
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_a_terminated_payout_is_finished_by_the_sweep_as_a_payout(bank: Bank) -> None:
    """The books know what kind it is, over which rail and to whom: it is looked up, not credited blindly."""
    await open_clearing(bank)
    request = bank.payout(beneficiary="closed")
    bank.rail.silent = True
    await bank.start(request)
    await bank.attempted("submit", 1)
    await bank.terminate(request)
    bank.rail.silent = False

    swept = await bank.sweep()
    await bank.reaches(request, Status.REFUNDED)

    assert swept.restarted == 1
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_the_rails_account_may_be_closed_meanwhile(bank: Bank) -> None:
    """What the rail has paid is in the books all the same."""
    await open_clearing(bank)
    gate = bank.gates.close("paid", before=True)
    submitted = await bank.start(bank.payout())
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bank:USD", AccountStatus.CLOSED))
    gate.open.set()

    assert (await bank.outcome(submitted)).status == "settled"
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_payout_and_a_transfer_do_not_share_an_id(bank: Bank) -> None:
    """Nor two payouts to different people."""
    await open_clearing(bank)
    request = bank.payout()
    await bank.transfer(request)
    await bank.forget(request)

    for other, said in (
        (bank.payout(beneficiary="acct-2"), "beneficiary: acct-1 -> acct-2"),
        (bank.request("P1", destination="bank:USD"), "kind: payout -> transfer"),
    ):
        with pytest.raises(KeyReused, match=said):
            await bank.transfer(other)
        await bank.forget(request)
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_return_gives_the_money_back_once(bank: Bank) -> None:
    """It comes again, also after Temporal has forgotten it, and as the same return under other words."""
    await open_clearing(bank)
    request = bank.payout()
    await bank.transfer(request)

    outcomes = [await taken_back(bank, returned(bank, request.transfer_id)) for _ in range(2)]
    another = await taken_back(bank, returned(bank, request.transfer_id, "ret_2"))

    assert [outcome.applied for outcome in outcomes] == [True, True]
    assert (another.applied, another.code) == (False, "exceeds_original")
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_a_return_that_overtakes_the_answer_waits_for_the_payout(bank: Bank) -> None:
    """The bank's answer is lost, and its return is here already: nothing is pinned before the payout has settled."""
    await open_clearing(bank)
    request = bank.payout()
    bank.rail.silent = True
    submitted = await bank.start(request)
    await bank.attempted("submit", 1)
    taking = asyncio.create_task(taken_back(bank, returned(bank, request.transfer_id)))
    await bank.attempted("take_return", 2)
    bank.rail.silent = False

    assert (await bank.outcome(submitted)).status == "settled"
    assert (await taking).applied
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_a_return_gives_back_what_a_correction_has_taken_again(bank: Bank) -> None:
    """A payout was refunded and the rail had paid it: its return waits for the correction, and reverses that, once."""
    await open_clearing(bank)
    wrong = bank.payout()
    asked, correction = DebitOnTerms.of(wrong), replace(wrong.as_transfer(), id=f"{wrong.transfer_id}.correction")
    await bank.ledger.apply_all([asked.as_operation(), payouts.submission(wrong.as_transfer())])
    await bank.ledger.apply(refund(wrong.as_transfer(), "decided_not_paid"))
    await bank.ledger.apply_all([payouts.contradiction(wrong.as_transfer(), True, "pay_1"), debit(correction)])
    taking = asyncio.create_task(taken_back(bank, returned(bank, wrong.transfer_id)))
    await bank.attempted("take_return", 2)
    await bank.ledger.apply(credit(correction))

    outcome = await taking
    again = await PayoutActivities(bank.ledger, {}).take_return(returned(bank, wrong.transfer_id))

    assert (outcome.applied, again.applied, again.replayed) == (True, True, True)
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]
    assert (await audit(bank.ledger)).ok


@only_sqlite
async def test_a_return_of_what_is_no_payout_changes_nothing(bank: Bank) -> None:
    """Of an unknown payout, of a plain transfer, and of another rail's payout."""
    await open_clearing(bank)
    await bank.transfer(bank.request("T1", destination="bank:USD"))
    request = bank.payout()
    await bank.transfer(request)
    others = [
        returned(bank, "nothing", "ret_1"),
        returned(bank, bank.request("T1").transfer_id, "ret_2"),
        returned(bank, request.transfer_id, "ret_3").model_copy(update={"rail": "stripe"}),
    ]

    outcomes = [await taken_back(bank, other) for other in others]

    assert [outcome.code for outcome in outcomes] == ["transfer_not_found"] * 3
    assert await bank.balances(*ACCOUNTS) == [50_00, 50_00, 0]
