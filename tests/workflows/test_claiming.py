"""Claiming: a stranger's run under an id is no proof yet that the id is the stranger's."""

import asyncio

import pytest

from activities.messages import DepositRequest, LegOutcome, TransferOutcome, TransferRequest
from engine.claiming import claim
from engine.results import Unanswered
from engine.submitting import Submitted
from tests.support.bank import PATIENCE, Bank


async def books_cannot_be_read() -> bool:
    """What a starter gets on a machine that has no way to the books."""
    return False


async def claimed(bank: Bank, request: TransferRequest, timeout_seconds: float = PATIENCE) -> Submitted:
    """Submit as a starter does that cannot read the books."""

    async def submit() -> Submitted:
        return await bank.submitter.transfer(request)

    return await claim(bank.submitter, submit, TransferOutcome, books_cannot_be_read, timeout_seconds)


async def test_the_owner_waits_for_a_strangers_run_to_fail_and_is_told_the_outcome(bank: Bank) -> None:
    """
    Temporal forgot the owner's run, a stranger's is going on: the ledger refuses the stranger, then answers the owner.
    """
    request, strange = bank.request(), bank.request(amount_minor=99_00)
    await bank.transfer(request)
    await bank.forget(request)
    gate = bank.gates.close("debit", before=True)
    await bank.start(strange)
    await gate.reached.wait()

    owner = asyncio.create_task(claimed(bank, request))
    await asyncio.sleep(0.3)
    waited = not owner.done()
    gate.open.set()
    submitted = await owner

    assert waited
    assert submitted.differences == ()
    outcome = await bank.outcome(submitted)
    assert (outcome.status, outcome.replayed) == ("settled", True)
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_mismatch_stands_when_the_other_run_ends_with_an_outcome(bank: Bank) -> None:
    """
    The first to use the id is its owner, also if it took a while.
    """
    gate = bank.gates.close("debit", before=True)
    await bank.start(bank.request())
    await gate.reached.wait()

    second = asyncio.create_task(claimed(bank, bank.request(amount_minor=99_00)))
    await asyncio.sleep(0.3)
    gate.open.set()

    assert (await second).differences == ("amount_minor: 2500 -> 9900",)
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_mismatch_with_a_run_that_does_not_end_is_unknown_unless_the_books_know(idle_bank: Bank) -> None:
    """
    Time is over: no answer, and none is made up. If the books know the id otherwise, nobody has to wait.
    """
    bank, other = idle_bank, idle_bank.request(amount_minor=99_00)
    await bank.start(bank.request())

    async def submit() -> Submitted:
        return await bank.submitter.transfer(other)

    async def books_know() -> bool:
        return True

    with pytest.raises(Unanswered):
        await claimed(bank, other, timeout_seconds=0.5)
    at_once = await claim(bank.submitter, submit, TransferOutcome, books_know, 0.5)
    assert at_once.differences == ("amount_minor: 2500 -> 9900",)
    await bank.client.get_workflow_handle(at_once.workflow_id).terminate()


async def test_a_deposit_is_claimed_in_the_same_way(bank: Bank) -> None:
    """
    The owner of a deposit id is told the recorded outcome, although a stranger's deposit was running under it.
    """
    id = f"{bank.task_queue}.D"
    ours = DepositRequest(deposit_id=id, account_id="alice", amount_minor=5_00, currency="USD")
    strange = ours.model_copy(update={"amount_minor": 6_00})
    await bank.ledger.apply(ours.as_operation())
    gate = bank.gates.close("deposit", before=True)
    await bank.submitter.deposit(strange)
    await gate.reached.wait()

    async def submit() -> Submitted:
        return await bank.submitter.deposit(ours)

    owner = asyncio.create_task(claim(bank.submitter, submit, LegOutcome, books_cannot_be_read, PATIENCE))
    await asyncio.sleep(0.3)
    gate.open.set()

    outcome = await bank.submitter.outcome(await owner, LegOutcome, PATIENCE)
    assert (outcome.applied, outcome.replayed) == (True, True)
    assert await bank.balances("alice") == [105_00]
