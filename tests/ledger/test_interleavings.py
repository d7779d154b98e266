"""Two workers, step by step: the second acts before the first one's 1st, 2nd, 3rd ... statement, and before its commit.

The second runs until it has its answer or waits for a lock that the first one holds; then the first goes on. So
each test is every schedule with one change of turns, on a real PostgreSQL, and is the same in every run.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from ledger.book import Ledger
from ledger.operation import OpenAccount, Outcome, Request
from ledger.operations import cancel, credit, debit, deposit, refund
from ledger.transfer import Transfer
from tests.support.databases import only_postgresql
from tests.support.examples import a_transfer, open_with
from tests.support.invariants import check_books

pytestmark = only_postgresql

LONGEST = 40
"""More statements than any transaction of the ledger has: a schedule of this length was never reached."""

WAITING = text(
    "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"
)

Workers = tuple[Ledger, Ledger]
Make = Callable[[Transfer], Request]


@pytest.fixture
async def workers(database_url: str) -> AsyncIterator[Workers]:
    """Two ledgers with their own connections, whose common books are checked at the end."""
    async with Ledger.open(database_url) as one, Ledger.open(database_url) as other:
        await open_with(one, alice=100_00, bob=0, carol=0)
        yield one, other
        await check_books(one.engine)


class Turn:
    """The second worker's turn, before the nth statement (or the commit) of the first one's transaction."""

    def __init__(self, nth: int, other: Ledger, request: Request) -> None:
        self._nth, self._other, self._request = nth, other, request
        self.passed = 0
        self.second: asyncio.Task[Outcome] | None = None

    def step(self, connection: Connection) -> None:
        """The first worker is about to take a step."""
        self.passed += 1
        if self.passed == self._nth:
            driver: Any = connection.connection.dbapi_connection
            driver.run_async(lambda _: self._take())

    async def _take(self) -> None:
        self.second = asyncio.ensure_future(self._other.apply(self._request))
        async with self._other.engine.connect() as probe:
            while not self.second.done():
                await asyncio.wait([self.second], timeout=0.002)
                if (await probe.execute(WAITING)).scalar_one():
                    return


@contextmanager
def watching(ledger: Ledger, turn: Turn) -> Iterator[None]:
    """Let a turn see every statement and commit of a ledger."""

    def statement(connection: Connection, *_: object) -> None:
        turn.step(connection)

    engine = ledger.writer.sync_engine
    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", turn.step)
    yield
    event.remove(engine, "before_cursor_execute", statement)
    event.remove(engine, "commit", turn.step)


async def every_schedule(
    workers: Workers, first: Make, second: Make, before: tuple[Make, ...] = ()
) -> list[tuple[Outcome, Outcome]]:
    """The outcomes of both in every schedule with one change of turns."""
    one, other = workers
    outcomes: list[tuple[Outcome, Outcome]] = []
    for nth in range(1, LONGEST):
        transfer = a_transfer(f"T{nth}", amount_minor=1_00)
        for make in before:
            await one.apply(make(transfer))
        turn = Turn(nth, other, second(transfer))
        with watching(one, turn):
            answer = await one.apply(first(transfer))
        if turn.second is None:
            assert nth > 3, "the first worker took no steps at all"
            return outcomes
        pair = (answer, await turn.second)
        assert all(outcome.state for outcome in pair) or isinstance(first(transfer), OpenAccount), (nth, pair)
        outcomes.append(pair)
    raise AssertionError("the first worker's transaction never ends")


def refund_of(transfer: Transfer) -> Request:
    """The refund of a transfer."""
    return refund(transfer, "asked")


def cancel_of(transfer: Transfer) -> Request:
    """The cancel of a transfer."""
    return cancel(transfer, "asked")


@pytest.mark.parametrize("leg", [debit, cancel_of], ids=["debit", "cancel"])
async def test_a_first_leg_asked_of_both_workers_applies_once(workers: Workers, leg: Make) -> None:
    """In every schedule both are told that it is applied, and one of them that it was done already."""
    for pair in await every_schedule(workers, leg, leg):
        assert [outcome.kind for outcome in pair] == ["applied", "applied"]
        assert sorted(outcome.replayed for outcome in pair) == [False, True]


@pytest.mark.parametrize("leg", [credit, refund_of], ids=["credit", "refund"])
async def test_a_last_leg_asked_of_both_workers_applies_once(workers: Workers, leg: Make) -> None:
    """In every schedule both are told that it is applied, and one of them that it was done already."""
    for pair in await every_schedule(workers, leg, leg, before=(debit,)):
        assert [outcome.kind for outcome in pair] == ["applied", "applied"]
        assert sorted(outcome.replayed for outcome in pair) == [False, True]


@pytest.mark.parametrize("credit_first", [True, False])
async def test_a_late_credit_meets_a_refund_in_every_schedule(workers: Workers, credit_first: bool) -> None:
    """One of them applies, and the other is told so: never both, never neither, never an accident."""
    legs: tuple[Make, Make] = (credit, refund_of) if credit_first else (refund_of, credit)
    for pair in await every_schedule(workers, *legs, before=(debit,)):
        credited, refunded = pair if credit_first else pair[::-1]
        assert (credited.kind, refunded.code) in [("applied", "already_credited"), ("fenced", None)]


@pytest.mark.parametrize("debit_first", [True, False])
async def test_a_debit_meets_a_cancel_in_every_schedule(workers: Workers, debit_first: bool) -> None:
    """One of them applies, and the other is told so: never both, never neither, never an accident."""
    legs: tuple[Make, Make] = (debit, cancel_of) if debit_first else (cancel_of, debit)
    for pair in await every_schedule(workers, *legs):
        debited, cancelled = pair if debit_first else pair[::-1]
        assert (debited.kind, cancelled.code) in [("applied", "already_debited"), ("fenced", None)]


async def test_payments_in_opposite_directions_meet_in_every_schedule(workers: Workers) -> None:
    """Alice pays Bob while Bob pays Alice: both apply, and neither waits for the other for ever."""
    await workers[0].apply(deposit("D-bob", "bob", 100_00, "USD"))

    def back(transfer: Transfer) -> Request:
        return debit(a_transfer(f"{transfer.id}-back", "bob", "alice", 1_00))

    for pair in await every_schedule(workers, debit, back):
        assert [outcome.kind for outcome in pair] == ["applied", "applied"]


async def test_one_id_with_two_bodies_meets_in_every_schedule(workers: Workers) -> None:
    """One is the transfer, the other a reused key, whichever comes first and on whatever accounts."""

    def to_carol(transfer: Transfer) -> Request:
        return debit(a_transfer(transfer.id, "bob", "carol", 2_00))

    for pair in await every_schedule(workers, debit, to_carol):
        kinds = sorted(outcome.kind for outcome in pair)
        assert kinds in (["applied", "key_reused"], ["key_reused", "rejected"])


async def test_a_currencys_first_accounts_meet_in_every_schedule(workers: Workers) -> None:
    """Neither finds the currency's own accounts, both want to open them: both are told that it is done."""
    currencies = iter(
        ["AUD", "CAD", "CHF", "CNY", "CZK", "DKK", "EUR", "GBP", "HUF", "ILS", "INR", "MXN", "NOK", "NZD", "PLN", "SEK"]
    )
    opening: dict[str, str] = {}

    def open_account(name: str) -> Make:
        def make(transfer: Transfer) -> Request:
            if transfer.id not in opening:
                opening[transfer.id] = next(currencies)
            return OpenAccount(f"{name}-{transfer.id}", opening[transfer.id])

        return make

    for pair in await every_schedule(workers, open_account("one"), open_account("other")):
        assert [(outcome.kind, outcome.replayed) for outcome in pair] == [("applied", False), ("applied", False)]
