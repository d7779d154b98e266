"""Bugs that cost real systems money, each as a test of ours: named after where it happened, asserting on the money.

What needs a whole worker (Blnk #233, killed between the balances and their record) is tested with failpoints and
with workflows; what the ledger alone can show is here.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from ledger import schema
from ledger.book import Ledger
from ledger.errors import MalformedRequest, OutcomeUnknown
from ledger.operation import OpenAccount, Outcome
from ledger.operations import credit, debit, deposit, refund
from ledger.rejections import Code
from ledger.transfer import Status, Transfer
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.examples import a_transfer, balance, balances, open_with, status, transfers
from tests.support.invariants import check_books, take_snapshot
from tests.support.raw_sql import ROWS


@only_postgresql
async def test_formance_994a437a0_a_lock_on_a_missing_row_locks_nothing(database_url: str) -> None:
    """`FOR UPDATE` on accounts that do not exist yet let two first postings both start from zero, and one was lost."""
    async with Ledger.open(database_url) as one, Ledger.open(database_url) as other:
        for n in range(20):
            name = f"account-{n}"
            early = [deposit(f"{name}-early-{who}", name, 5_00, "USD") for who in range(2)]
            answers = await asyncio.gather(one.apply(early[0]), other.apply(early[1]))
            assert [answer.code for answer in answers] == [Code.ACCOUNT_NOT_FOUND] * 2
            assert await one.account(name) is None
            await asyncio.gather(
                *(worker.apply(OpenAccount(name, "USD")) for worker in (one, other)),
                *(worker.apply(deposit(f"{name}-{who}", name, 5_00, "USD")) for who, worker in enumerate((one, other))),
            )
            applied = [
                await one.apply(deposit(f"{name}-{who}", name, 5_00, "USD")) for who in range(2)
            ]  # those that came before the account are rejected: no implicit insert
            assert await balance(one, name) == 5_00 * sum(outcome.applied for outcome in applied)
        await check_books(one.engine)


async def test_formance_stack_1638_the_key_is_unique_in_the_database(ledger: Ledger) -> None:
    """The index of idempotency keys was not unique, so two requests at once both found the key free."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer()))
    again = ROWS["operations"] | {"key": "T1/debit", "transfer_id": "T1"}

    async with ledger.engine.connect() as connection:
        with pytest.raises(IntegrityError):
            await connection.execute(schema.operations.insert().values(again))
        await connection.rollback()


async def test_formance_1633_the_same_key_twice_in_one_batch_moves_once(ledger: Ledger) -> None:
    """A bulk of requests checked its keys against the database only, and not against each other."""
    await open_with(ledger, alice=100_00, bob=0)
    transfer = a_transfer(amount_minor=10_00)

    outcomes = await ledger.apply_all([debit(transfer), debit(a_transfer("T2", amount_minor=1_00)), debit(transfer)])

    assert [outcome.replayed for outcome in outcomes] == [False, False, True]
    assert await balances(ledger, "alice", "transit:USD") == [89_00, 11_00]


@only_postgresql
async def test_formance_767_locks_in_one_order_do_not_deadlock(database_url: str) -> None:
    """Two entries that name the same accounts in opposite orders locked them in that order, and one was killed."""
    async with Ledger.open(database_url) as one, Ledger.open(database_url) as other:
        await open_with(one, alice=100_00, bob=100_00, carol=100_00)
        ring = [("alice", "bob"), ("bob", "carol"), ("carol", "alice")]
        there = [a_transfer(f"there-{n}", *ring[n % 3], 1_00) for n in range(60)]
        back = [a_transfer(f"back-{n}", *ring[n % 3][::-1], 1_00) for n in range(60)]

        async def live(ledger: Ledger, transfer: Transfer) -> None:
            assert (await ledger.apply(debit(transfer))).applied
            assert (await ledger.apply(credit(transfer))).applied

        await asyncio.gather(*(live(one, t) for t in there), *(live(other, t) for t in back))

        assert await balances(one, "alice", "bob", "carol") == [100_00, 100_00, 100_00]


async def test_blnk_374_a_second_refund_does_not_refund_the_refund(ledger: Ledger) -> None:
    """Refunding a refunded transaction reversed the refund, and so took the money again."""
    await open_with(ledger, alice=100_00, bob=0)
    transfer = a_transfer()
    await ledger.apply_all([debit(transfer), refund(transfer, "asked")])

    for reason in ("asked", "asked again", "by somebody else"):
        outcome = await ledger.apply(refund(transfer, reason))
        assert (outcome.applied, outcome.replayed) == (True, True)

    assert await balances(ledger, "alice", "bob", "transit:USD") == [100_00, 0, 0]


async def test_blnk_182_what_is_rejected_is_not_committed(ledger: Ledger) -> None:
    """A transaction that had been rejected could be committed all the same, and moved money that was not there."""
    await open_with(ledger, alice=10_00, bob=0)
    rejected = a_transfer(amount_minor=25_00)

    outcomes = await ledger.apply_all([debit(rejected), debit(a_transfer("T2", amount_minor=10_00))])
    assert [outcome.applied for outcome in outcomes] == [False, True]
    await ledger.apply(deposit("D1", "alice", 100_00, "USD"))
    again = await ledger.apply(debit(rejected))

    assert again.code == Code.INSUFFICIENT_FUNDS
    assert await balances(ledger, "alice", "transit:USD") == [100_00, 10_00]
    snapshot = await take_snapshot(ledger.engine)
    assert "T1/debit" not in {row["operation_key"] for row in snapshot.postings}


def test_blnk_360_a_transfer_to_oneself_is_refused() -> None:
    """Source and destination were read twice and written twice; the second write won, and money appeared."""
    with pytest.raises(MalformedRequest, match="same account"):
        a_transfer(source="alice", destination="alice")


async def test_blnk_354_a_caller_that_goes_away_leaves_no_lock(ledger: Ledger) -> None:
    """A cancelled request kept its lock on the account, so that nobody else could pay from it until it expired."""
    await open_with(ledger, alice=100_00, bob=0)
    callers: list[asyncio.Future[Outcome]] = []
    loop = asyncio.get_running_loop()
    # One listener for all: adding another while a thread is calling them would make the commit itself fail.
    event.listen(
        ledger.writer.sync_engine,
        "commit",
        lambda _: loop.call_soon_threadsafe(lambda: callers and callers[0].cancel()),
    )

    for transfer in transfers(10, 1_00):
        callers[:] = [asyncio.ensure_future(ledger.apply(debit(transfer)))]
        await asyncio.wait(callers)
        assert callers[0].cancelled()
        await ledger.apply(debit(transfer))  # asked again, it tells; and the next one does not meet this commit
    outcome = await ledger.apply(debit(a_transfer(amount_minor=90_00)))

    assert outcome.applied
    assert await balances(ledger, "alice", "transit:USD") == [0, 100_00]


@only_postgresql
@pytest.mark.parametrize("code", ["40001", "40P01", "55P03", "57014"])
async def test_five_bells_402_a_serialization_failure_is_not_insufficient_funds(ledger: Ledger, code: str) -> None:
    """An error of the database was reported as a business answer, and the sender was told to give up."""
    await open_with(ledger, alice=100_00, bob=0)
    async with ledger.engine.begin() as connection:
        await connection.execute(
            text(f"""
            CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '{code}'; END $$""")
        )
        await connection.execute(
            text("CREATE TRIGGER fail BEFORE UPDATE ON accounts FOR EACH ROW EXECUTE FUNCTION fail()")
        )

    with pytest.raises(OutcomeUnknown, match="could not serialize access"):
        await ledger.apply(debit(a_transfer()))
    assert await status(ledger, "T1") is None

    async with ledger.engine.begin() as connection:
        await connection.execute(text("DROP TRIGGER fail ON accounts"))
    outcome = await ledger.apply(debit(a_transfer()))
    assert (outcome.applied, outcome.replayed) == (True, False)


@only_sqlite
async def test_five_bells_402_a_busy_database_is_not_insufficient_funds(ledger: Ledger, database_url: str) -> None:
    """The same on SQLite: while somebody else holds the write lock, the outcome is unknown, and nothing is recorded."""
    await open_with(ledger, alice=100_00, bob=0)
    ledger.writer.sync_engine.dispose()  # a new connection will not wait ten seconds for the lock
    event.listen(ledger.writer.sync_engine, "connect", _do_not_wait)
    somebody = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)
    somebody.execute("BEGIN IMMEDIATE")

    with pytest.raises(OutcomeUnknown, match="database is locked"):
        await ledger.apply(debit(a_transfer()))
    assert await status(ledger, "T1") is None

    somebody.execute("ROLLBACK")
    somebody.close()
    outcome = await ledger.apply(debit(a_transfer()))
    assert (outcome.applied, outcome.replayed) == (True, False)


def _do_not_wait(connection: sqlite3.Connection, _record: object) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA busy_timeout=0")
    cursor.close()


async def test_medici_117_and_hordak_142_stored_balances_are_the_sum_of_the_postings(ledger: Ledger) -> None:
    """Balances cached beside the entries fell out of step with them, under load and after errors."""
    await open_with(ledger, alice=100_00, bob=100_00)
    there, back = transfers(40, 4_00), transfers(40, 3_00, source="bob", destination="alice")
    await ledger.apply_all([debit(transfer) for transfer in there + back])
    on_the_way = [t for t in there + back if await status(ledger, t.id) is Status.DEBITED]
    ends = [refund(t, "asked") if n % 3 == 0 else credit(t) for n, t in enumerate(on_the_way)]
    await ledger.apply_all(ends)

    snapshot = await take_snapshot(ledger.engine)
    totals: Counter[tuple[str, str]] = Counter()
    for posting in snapshot.postings:
        totals["debit", posting["debit_account_id"]] += posting["amount_minor"]
        totals["credit", posting["credit_account_id"]] += posting["amount_minor"]

    for account in snapshot.accounts:
        posted = (account["debits_posted"], account["credits_posted"])
        assert posted == (totals["debit", account["id"]], totals["credit", account["id"]])


async def test_blnk_233_a_failure_between_balances_and_record_changes_neither(
    ledger: Ledger, arm: Callable[[str], None]
) -> None:
    """The balances were written, the process died, the record was not: the retry moved the money a second time."""
    await open_with(ledger, alice=100_00, bob=0)
    before = await check_books(ledger.engine)
    arm("ledger.before_commit=raise")

    with pytest.raises(OutcomeUnknown):
        await ledger.apply(debit(a_transfer()))

    assert await check_books(ledger.engine) == before
    assert (await ledger.apply(debit(a_transfer()))).applied
    assert await balance(ledger, "alice") == 75_00
