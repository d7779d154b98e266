"""Two workers on one PostgreSQL: every race between them ends as if one had come after the other."""

import asyncio
from collections.abc import AsyncIterator, Awaitable

import pytest
from sqlalchemy import text

from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.operation import OpenAccount, Outcome, Request, SetAccountStatus
from ledger.operations import cancel, credit, debit, deposit, refund
from ledger.rejections import Code
from ledger.transfer import Status, Transfer
from tests.support.databases import only_postgresql
from tests.support.examples import a_transfer, balance, balances, open_with, status, transfers
from tests.support.invariants import check_books

pytestmark = only_postgresql

ROUNDS = 25


@pytest.fixture
async def workers(database_url: str) -> AsyncIterator[tuple[Ledger, Ledger]]:
    """Two ledgers with their own connections, whose common books are checked at the end."""
    async with Ledger.open(database_url) as one, Ledger.open(database_url) as other:
        yield one, other
        await check_books(one.engine)


Workers = tuple[Ledger, Ledger]


async def together(*asked: Awaitable[Outcome]) -> list[Outcome]:
    """Ask at the same time."""
    return list(await asyncio.gather(*asked))


def refund_of(transfer: Transfer) -> Request:
    """The refund of a transfer."""
    return refund(transfer, "asked")


def cancel_of(transfer: Transfer) -> Request:
    """The cancel of a transfer."""
    return cancel(transfer, "asked")


async def test_both_ask_the_same_and_one_applies(workers: Workers) -> None:
    """An activity that is retried on another worker while its first attempt is still alive."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0)

    for transfer in transfers(ROUNDS, 1_00):
        for leg in (debit, credit):
            outcomes = await together(one.apply(leg(transfer)), other.apply(leg(transfer)))
            assert all(outcome.applied for outcome in outcomes)
            assert sorted(outcome.replayed for outcome in outcomes) == [False, True]

    assert await balances(one, "alice", "bob") == [100_00 - ROUNDS * 1_00, ROUNDS * 1_00]


async def test_batches_of_the_same_keys_in_opposite_orders_apply_once(workers: Workers) -> None:
    """Neither deadlock nor double: a hundred keys forwards and the same hundred backwards."""
    one, other = workers
    await open_with(one, alice=1_000_00, bob=0)
    asked = [debit(transfer) for transfer in transfers(100)]

    answers = await asyncio.gather(one.apply_all(asked), other.apply_all(asked[::-1]))

    outcomes = [*answers[0], *answers[1]]
    assert all(outcome.applied for outcome in outcomes)
    assert sum(outcome.replayed for outcome in outcomes) == 100
    assert await balance(one, "alice") == 0


@pytest.mark.parametrize("refund_first", [True, False])
async def test_a_late_credit_and_a_refund_never_both_happen(workers: Workers, refund_first: bool) -> None:
    """The race that creates money: exactly one of settled and refunded, and the balances of that one."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0)

    for transfer in transfers(ROUNDS, 1_00):
        await one.apply(debit(transfer))
        before = await balances(one, "alice", "bob")
        legs = [one.apply(refund_of(transfer)), other.apply(credit(transfer))]
        outcomes = await together(*(legs if refund_first else legs[::-1]))
        refunded, credited = outcomes if refund_first else outcomes[::-1]

        assert refunded.applied is not credited.applied
        if credited.applied:
            assert (refunded.code, await status(one, transfer.id)) == (Code.ALREADY_CREDITED, Status.SETTLED)
            assert await balances(one, "alice", "bob") == [before[0], before[1] + 1_00]
        else:
            assert (credited.fenced, await status(one, transfer.id)) == (True, Status.REFUNDED)
            assert await balances(one, "alice", "bob") == [before[0] + 1_00, before[1]]


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_cancel_and_a_debit_never_both_happen(workers: Workers, cancel_first: bool) -> None:
    """They share no account row to wait for: the unique key alone decides."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0)

    for transfer in transfers(ROUNDS, 1_00):
        legs = [one.apply(cancel_of(transfer)), other.apply(debit(transfer))]
        outcomes = await together(*(legs if cancel_first else legs[::-1]))
        cancelled, debited = outcomes if cancel_first else outcomes[::-1]

        assert cancelled.applied is not debited.applied
        if debited.applied:
            assert (cancelled.code, await status(one, transfer.id)) == (Code.ALREADY_DEBITED, Status.DEBITED)
        else:
            assert (debited.fenced, await status(one, transfer.id)) == (True, Status.CANCELLED)


async def test_cancels_in_opposite_orders_do_not_deadlock(workers: Workers) -> None:
    """Operations without accounts lock nothing before they insert: their rows must be written in one order."""
    one, other = workers
    await open_with(one, alice=0, bob=0)
    asked = [cancel_of(transfer) for transfer in transfers(300)]

    answers = await asyncio.gather(one.apply_all(asked), other.apply_all(asked[::-1]))

    assert sum(outcome.replayed for outcomes in answers for outcome in outcomes) == 300


async def test_one_id_with_two_bodies_moves_the_money_of_one(workers: Workers) -> None:
    """One of them is the transfer; the other is told that the key is used."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0, carol=0)

    for n in range(ROUNDS):
        to_bob, to_carol = a_transfer(f"T{n}", amount_minor=1_00), a_transfer(f"T{n}", "alice", "carol", 2_00)
        outcomes = await together(one.apply(debit(to_bob)), other.apply(debit(to_carol)))
        assert sorted(outcome.kind for outcome in outcomes) == ["applied", "key_reused"]


async def test_both_touch_a_currency_for_the_first_time(workers: Workers) -> None:
    """Fifty accounts each of a currency that neither has seen: its own accounts are opened once."""
    names = [f"account-{n}" for n in range(50)]

    await asyncio.gather(*(w.apply_all([OpenAccount(name, "CHF") for name in names]) for w in workers))
    await asyncio.gather(*(w.apply_all([deposit(f"D-{name}", name, 1_00, "CHF") for name in names]) for w in workers))

    assert await balance(workers[0], "cash:CHF") == 50_00


async def test_accounts_opened_in_opposite_orders_do_not_deadlock(workers: Workers) -> None:
    """Rows that do not exist cannot be locked: they must be inserted in one order."""
    one, other = workers
    await one.apply(OpenAccount("first", "USD"))
    asked = [OpenAccount(f"account-{n}", "USD") for n in range(300)]

    answers = await asyncio.gather(one.apply_all(asked), other.apply_all(asked[::-1]))

    assert sum(outcome.replayed for outcomes in answers for outcome in outcomes) == 300


async def test_a_storm_from_both_sides_conserves_the_money(workers: Workers) -> None:
    """Alice and Bob pay each other through two workers; nobody deadlocks, and the sum stays."""
    one, other = workers
    await open_with(one, alice=500_00, bob=500_00)
    there = transfers(100, 1_00)
    back = transfers(100, 2_00, source="bob", destination="alice")

    async def live(ledger: Ledger, transfer: Transfer) -> None:
        assert (await ledger.apply(debit(transfer))).applied
        assert (await ledger.apply(credit(transfer))).applied

    await asyncio.gather(*(live(one, t) for t in there), *(live(other, t) for t in back))

    assert await balances(one, "alice", "bob", "transit:USD") == [600_00, 400_00, 0]


async def test_the_last_money_is_spent_once(workers: Workers) -> None:
    """Both workers see 10.00 and want all of it: one gets it."""
    one, other = workers
    await open_with(one, alice=0, bob=0)

    for n in range(ROUNDS):
        await one.apply(deposit(f"D{n}", "alice", 10_00, "USD"))
        left, right = a_transfer(f"L{n}", amount_minor=10_00), a_transfer(f"R{n}", amount_minor=10_00)
        outcomes = await together(one.apply(debit(left)), other.apply(debit(right)))
        assert sorted(outcome.code or "applied" for outcome in outcomes) == ["applied", "insufficient_funds"]


async def test_one_version_is_used_once(workers: Workers) -> None:
    """Both have read the same version of the account: one goes, the other is told of the conflict."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0)

    for n in range(ROUNDS):
        account = await one.account("alice")
        assert account is not None
        left, right = (a_transfer(f"{side}{n}", amount_minor=1_00) for side in "LR")
        outcomes = await together(one.apply(debit(left, account.version)), other.apply(debit(right, account.version)))
        assert sorted(outcome.code or "applied" for outcome in outcomes) == ["applied", "version_conflict"]


async def test_a_freeze_and_a_debit_come_one_after_the_other(workers: Workers) -> None:
    """Either the debit was before the freeze, or it is rejected for it; never a posting after it."""
    one, other = workers
    await open_with(one, alice=100_00, bob=0)

    for transfer in transfers(ROUNDS, 1_00):
        frozen, debited = await together(
            one.apply(SetAccountStatus("alice", AccountStatus.FROZEN)), other.apply(debit(transfer))
        )
        assert frozen.applied
        assert debited.applied or debited.code == Code.ACCOUNT_FROZEN
        await one.apply(SetAccountStatus("alice", AccountStatus.OPEN))


async def test_entries_over_hundreds_of_accounts_lock_them_in_one_order(workers: Workers) -> None:
    """Who waits for the first of them holds none of the others yet: so no two transactions ever wait for each other."""
    one, other = workers
    names = [f"account-{n:03}" for n in range(200)]
    await one.apply_all([OpenAccount(name, "USD") for name in names])

    async with other.engine.connect() as outsider:
        await outsider.execute(text("SELECT id FROM accounts WHERE id = 'account-000' FOR UPDATE"))
        paying = asyncio.create_task(one.apply_all([deposit(f"D-{name}", name, 1, "USD") for name in names]))
        while not await outsider.scalar(text("SELECT COUNT(*) FROM pg_locks WHERE NOT granted")):
            await asyncio.sleep(0.02)
        free = await outsider.execute(text("SELECT id FROM accounts WHERE id LIKE 'account-%' FOR UPDATE SKIP LOCKED"))
        assert len(free.all()) == len(names)
        await outsider.rollback()

    assert all(outcome.applied for outcome in await paying)
    assert await balance(one, "cash:USD") == len(names)
