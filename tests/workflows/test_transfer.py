"""Transfer: every ending, through every accident that one process can have."""

import asyncio
from collections.abc import Callable

import pytest

from activities.messages import TransferRequest
from ledger import operations
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from ledger.operations import deposit
from ledger.transfer import Status
from tests.support.bank import Bank
from tests.support.databases import both_databases


async def test_money_moves_and_the_outside_is_told_once(bank: Bank) -> None:
    """
    The plain case: debit, credit, notify.
    """
    request = bank.request()

    outcome = await bank.transfer(request)

    assert (outcome.status, outcome.reason, outcome.replayed) == ("settled", None, False)
    assert await bank.balances() == [75_00, 25_00, 0]
    assert bank.notifier.keys(request.transfer_id) == [f"{request.transfer_id}/notify/settled"]


@pytest.mark.parametrize(
    ("destination", "amount_minor", "reason"),
    [("nobody", 25_00, "account_not_found"), ("bob", 100_01, "insufficient_funds")],
)
async def test_a_mistake_is_rejected_before_anything_moves(
    bank: Bank, destination: str, amount_minor: int, reason: str
) -> None:
    """
    The destination is checked at the debit already, so that the ordinary mistake needs no refund.
    """
    request = bank.request(destination=destination, amount_minor=amount_minor)

    outcome = await bank.transfer(request)

    assert (outcome.status, outcome.reason) == ("rejected", reason)
    assert await bank.balances() == [100_00, 0, 0]
    assert bank.gates.attempts.keys() == {"debit", "notify"}


async def test_a_rejection_stays_a_rejection_when_funds_arrive_later(bank: Bank) -> None:
    """
    A business answer is pinned under its key, in Temporal and, once Temporal forgot it, in the ledger.
    """
    request = bank.request(amount_minor=150_00)
    first = await bank.transfer(request)
    await bank.ledger.apply(deposit(f"{bank.task_queue}-more", "alice", 100_00, "USD"))

    again = await bank.transfer(request)
    await bank.forget(request)
    much_later = await bank.transfer(request)

    assert [answer.status for answer in (first, again, much_later)] == ["rejected"] * 3
    assert [answer.replayed for answer in (first, again, much_later)] == [False, True, True]
    assert await bank.balances() == [200_00, 0, 0]


async def test_a_destination_closed_meanwhile_gets_nothing_and_the_source_gets_it_back(bank: Bank) -> None:
    """
    The credit is rejected while the money is in transit: only then does a refund happen.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    assert await bank.balances() == [75_00, 0, 25_00]
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert (outcome.status, outcome.reason) == ("refunded", "account_closed")
    assert await bank.balances() == [100_00, 0, 0]
    late = await bank.ledger.apply(operations.credit(request.as_transfer()))
    assert late.rejected
    assert await bank.balances() == [100_00, 0, 0]


async def test_a_refund_reaches_a_source_that_was_frozen_meanwhile(bank: Bank) -> None:
    """
    Money that was taken finds its way back, whatever has happened to the account.
    """
    request = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    await bank.ledger.apply(SetAccountStatus("alice", AccountStatus.FROZEN))
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert outcome.status == "refunded"
    assert await bank.balances() == [100_00, 0, 0]


@pytest.mark.parametrize("leg", ["debit", "credit"])
@pytest.mark.parametrize("site", ["ledger.before_commit", "ledger.after_commit", "activity.before_completion"])
async def test_a_lost_answer_is_asked_for_again_and_moves_nothing_twice(
    bank: Bank, arm: Callable[[str], None], leg: str, site: str
) -> None:
    """
    Silence is not a rejection: whether the commit had happened or not, the same key finds out.
    """
    request = bank.request()
    arm(f"{site}[{request.transfer_id}/{leg}]=raise@1")

    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    assert bank.gates.attempts[leg] == 2
    assert await bank.balances() == [75_00, 25_00, 0]


async def test_a_lost_answer_of_a_refund_refunds_once(bank: Bank, arm: Callable[[str], None]) -> None:
    """
    A refund whose outcome is unknown is asked again with the same key, never given up and never done twice.
    """
    request = bank.request()
    arm(f"ledger.after_commit[{request.transfer_id}/refund]=raise@1")
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED))
    gate.open.set()

    outcome = await bank.outcome(submitted)

    assert outcome.status == "refunded"
    assert bank.gates.attempts["refund"] == 2
    assert await bank.balances() == [100_00, 0, 0]


async def test_no_cached_workflow_is_needed(idle_bank: Bank) -> None:
    """
    With nothing cached, every step replays the whole history: the workflow's code is deterministic.
    """
    request = idle_bank.request()

    async with idle_bank.working(max_cached_workflows=0):
        outcome = await idle_bank.transfer(request)

    assert outcome.status == "settled"
    assert await idle_bank.balances() == [75_00, 25_00, 0]


@both_databases
async def test_many_transfers_at_once_between_few_accounts_keep_the_sum(bank: Bank) -> None:
    """
    Alice pays Bob and Carol forty times 5.00, of which twenty are covered: twenty settle, twenty are rejected.
    """
    requests = [bank.request(f"T{n}", destination=("bob", "carol")[n % 2], amount_minor=5_00) for n in range(40)]

    outcomes = await asyncio.gather(*(bank.transfer(request) for request in requests))

    assert sorted(outcome.status for outcome in outcomes) == ["rejected"] * 20 + ["settled"] * 20
    balances = await bank.balances("alice", "bob", "carol", "transit:USD")
    assert balances[0] == balances[3] == 0
    assert sum(balances) == 100_00


async def test_two_transfers_are_told_apart_by_their_ids_alone(bank: Bank) -> None:
    """
    The same content under two ids is two intents: both happen.
    """
    await bank.transfer(bank.request("T1"))
    await bank.transfer(bank.request("T2"))

    assert await bank.balances() == [50_00, 50_00, 0]


async def test_the_books_know_a_transfer_from_its_first_step_on(bank: Bank) -> None:
    """
    While the money is in transit, the books say debited, and transit holds exactly that transfer.
    """
    request: TransferRequest = bank.request()
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()

    seen = await bank.status(request)
    gate.open.set()
    await bank.outcome(submitted)

    assert seen is Status.DEBITED
    assert await bank.status(request) is Status.SETTLED
