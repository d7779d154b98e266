"""Target balances: an account is brought to a balance; asked again, there is nothing left to move."""

import asyncio

import pytest

from ledger.account import Account, Guard
from ledger.book import Ledger
from ledger.entries import TargetBalance
from ledger.errors import MalformedRequest
from ledger.operations import debit
from ledger.rejections import Code
from tests.ledger.in_memory import ask, books_with
from tests.support.examples import a_transfer, balance, balances


def _to(id: str, target_minor: int) -> TargetBalance:
    return TargetBalance(id, "alice", target_minor, "bob", "USD")


async def test_a_target_is_reached_from_above_and_from_below(funded: Ledger) -> None:
    """What is too much goes to the counterpart, and what is missing comes from it."""
    await funded.apply(_to("B1", 40_00).operation())
    assert await balances(funded, "alice", "bob") == [40_00, 95_00]

    await funded.apply(_to("B2", 60_00).operation())
    assert await balances(funded, "alice", "bob") == [60_00, 75_00]

    await funded.apply(_to("B3", 0).operation())
    assert await balances(funded, "alice", "bob") == [0, 135_00]


async def test_a_target_asked_under_two_ids_moves_once(funded: Ledger) -> None:
    """It says "set", not "add": the second finds nothing to do, and says that it is done."""
    first, second = await asyncio.gather(*(funded.apply(_to(id, 40_00).operation()) for id in ("B1", "B2")))

    assert (first.applied, second.applied, second.replayed) == (True, True, False)
    assert await balances(funded, "alice", "bob") == [40_00, 95_00]


async def test_a_target_stands_its_ground_among_other_postings(funded: Ledger) -> None:
    """Payments before and after it in the same batch: at its own place in the order, the account has the target."""
    others = [debit(a_transfer(f"T{n}", amount_minor=1_00)) for n in range(2, 12)]
    batch = [*others[:5], _to("B1", 40_00).operation(), *others[5:]]

    await funded.apply_all(batch)

    assert await balance(funded, "alice") == 40_00 - 5_00


async def test_a_target_that_cannot_be_reached_moves_nothing(funded: Ledger) -> None:
    """The counterpart has not enough to give."""
    assert (await funded.apply(_to("B1", 500_00).operation())).code == Code.INSUFFICIENT_FUNDS

    assert await balances(funded, "alice", "bob") == [100_00, 35_00]


def test_a_target_farther_away_than_any_amount_is_a_rejection() -> None:
    """An unguarded account can be so deep in debt that no posting could bring it up: an answer, not an accident."""
    books = books_with(bob=0)
    books.open(Account("equity", "USD", Guard.NONE, debits_posted=2**63 - 1))

    (outcome,) = ask(books, TargetBalance("B1", "equity", 2**63 - 1, "bob", "USD").operation())

    assert (outcome.rejected, books.changes.postings) == (True, [])


@pytest.mark.parametrize("target", [-1, 2**63, True, 1.5, "100"])
def test_a_target_that_no_account_can_have_is_refused(target: object) -> None:
    """Whole minor units from zero on; bool is not an int."""
    with pytest.raises(MalformedRequest):
        TargetBalance("B1", "alice", target, "bob", "USD")  # type: ignore[arg-type]  # that is what is tested
