"""Statements within a period: they add up, and those that adjoin lose and repeat nothing, whatever the clocks."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count, pairwise
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import store
from ledger.book import Ledger
from ledger.errors import MalformedRequest
from ledger.operations import credit, debit, deposit
from ledger.statement import Period, Statement
from tests.support.examples import a_transfer, open_with

INSTANTS = st.integers(0, 9)


class Clock(SimpleNamespace):
    """The clock of whichever worker writes: it says what it was told to, also an earlier instant than before."""

    microseconds: int = 0

    def time_ns(self) -> int:
        """As `time.time_ns`."""
        return self.microseconds * 1000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock that rows are stamped by."""
    clock = Clock()
    monkeypatch.setattr(store, "time", clock)
    return clock


async def statement(ledger: Ledger, account_id: str, *bounds: int | None) -> Statement:
    """The statement of an account that exists."""
    found = await ledger.statement(account_id, Period(*bounds))
    assert found is not None
    return found


async def play(ledger: Ledger, clock: Clock, account_id: str, instants: Sequence[int]) -> list[int]:
    """A deposit or a debit of the account at each instant, in this order. Returns the changes of its balance."""
    await open_with(ledger, "USD", **{account_id: 0, "shop": 0})
    changes = []
    for number, instant in enumerate(instants):
        clock.microseconds = instant
        if number % 3 == 2:
            await ledger.apply(debit(a_transfer(f"{account_id}-{number}", account_id, "shop", number)))
        else:
            await ledger.apply(deposit(f"{account_id}-{number}", account_id, 10 + number, "USD"))
        changes.append(-number if number % 3 == 2 else 10 + number)
    return changes


@pytest.mark.timeout(600)
def test_statements_add_up_and_adjoining_ones_share_every_line_out(
    new_database: Callable[[], str], clock: Clock
) -> None:
    """Whatever the clocks of the workers said: opening + changes = closing, and nothing is lost or told twice."""
    loop, numbers = asyncio.new_event_loop(), count()
    books = Ledger.open(new_database())
    ledger = loop.run_until_complete(books.__aenter__())

    async def adds_up(instants: list[int], cuts: list[int]) -> None:
        account_id = f"account-{next(numbers)}"
        changes = await play(ledger, clock, account_id, instants)
        bounds = [None, *sorted(cuts), None]
        parts = [await statement(ledger, account_id, *pair) for pair in pairwise(bounds)]
        told = [line for part in parts for line in part.lines]
        assert [line.change for line in told] == changes
        assert told == (await statement(ledger, account_id)).lines
        for part in parts:
            assert part.opening_balance + sum(line.change for line in part.lines) == part.closing_balance
        for before, after in pairwise(parts):
            assert before.closing_balance == after.opening_balance
        assert (parts[0].opening_balance, parts[-1].closing_balance) == (0, sum(changes))
        assert parts[-1].account.balance == sum(changes)

    @given(instants=st.lists(INSTANTS, max_size=6), cuts=st.lists(INSTANTS, min_size=1, max_size=3))
    def check(instants: list[int], cuts: list[int]) -> None:
        loop.run_until_complete(adds_up(instants, cuts))

    try:
        check()
    finally:
        loop.run_until_complete(books.__aexit__(None, None, None))
        loop.close()


async def test_a_period_begins_at_its_first_instant_and_ends_before_its_last(ledger: Ledger, clock: Clock) -> None:
    """From is inclusive, to is exclusive."""
    await play(ledger, clock, "alice", [10, 20, 30])

    found = await statement(ledger, "alice", 10, 30)

    assert [line.recorded_at for line in found.lines] == [10, 20]
    assert (found.opening_balance, found.closing_balance) == (0, 21)


async def test_a_line_whose_clock_was_behind_follows_the_one_before_it(ledger: Ledger, clock: Clock) -> None:
    """The ledger's sequence decides: what was committed after the first line of the new period belongs to it."""
    await play(ledger, clock, "alice", [9, 11, 8, 12])

    before, after = await statement(ledger, "alice", None, 10), await statement(ledger, "alice", 10)

    assert [line.recorded_at for line in before.lines] == [9]
    assert [line.recorded_at for line in after.lines] == [11, 8, 12]


async def test_a_later_posting_leaves_a_closed_period_as_it_was(ledger: Ledger, clock: Clock) -> None:
    """Once a line after its end is in the books, no clock of any worker can put another line into a period."""
    await play(ledger, clock, "alice", [9, 11])
    before = await statement(ledger, "alice", None, 10)

    clock.microseconds = 5
    await ledger.apply(deposit("late", "alice", 1, "USD"))

    assert (await statement(ledger, "alice", None, 10)).lines == before.lines


async def test_an_empty_period_has_the_balance_of_its_instant(ledger: Ledger, clock: Clock) -> None:
    """Before, between and after all postings: what `balance --as-of` says, on both sides of the books."""
    clock.microseconds = 10
    await open_with(ledger, alice=100_00, bob=0)
    clock.microseconds = 20
    await ledger.apply_all([debit(a_transfer()), credit(a_transfer())])

    balances = {
        instant: [
            (await statement(ledger, name, instant, instant)).closing_balance for name in ("alice", "bob", "cash:USD")
        ]
        for instant in (10, 11, 20, 21)
    }

    assert balances == {
        10: [0, 0, 0],
        11: [100_00, 0, 100_00],
        20: [100_00, 0, 100_00],
        21: [75_00, 25_00, 100_00],
    }


def test_a_period_does_not_end_before_it_begins() -> None:
    """The same instant twice is an empty period; a reversed one is a mistake of the caller."""
    assert Period(1, 1).begin == 1
    with pytest.raises(MalformedRequest, match="begin after its end"):
        Period(2, 1)
