"""Splits: one account pays many, all or none, and not a minor unit is lost in dividing."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.entries import Share, Split, shares_of
from ledger.errors import MalformedRequest
from ledger.operation import SetAccountStatus
from ledger.rejections import Code
from tests.support.examples import balances

PAID = Split("S1", "alice", "USD", (Share("bob", 20_00), Share("carol", 5_00)))


async def test_a_split_pays_all_or_nobody(funded: Ledger) -> None:
    """One destination is closed: the others get nothing either, and the answer stays no when it is open again."""
    await funded.apply(SetAccountStatus("carol", AccountStatus.CLOSED))

    refused = await funded.apply(PAID.operation())
    await funded.apply(SetAccountStatus("carol", AccountStatus.OPEN))
    still = await funded.apply(PAID.operation())

    assert (refused.code, still.code, still.replayed) == (Code.ACCOUNT_CLOSED, Code.ACCOUNT_CLOSED, True)
    assert await balances(funded, "alice", "bob", "carol") == [100_00, 35_00, 0]


async def test_a_split_beyond_the_balance_moves_nothing(funded: Ledger) -> None:
    """Each share alone could be paid; together they could not."""
    greedy = Split("S2", "alice", "USD", (Share("bob", 60_00), Share("carol", 60_00)))

    assert (await funded.apply(greedy.operation())).code == Code.INSUFFICIENT_FUNDS

    assert await balances(funded, "alice", "bob", "carol") == [100_00, 35_00, 0]


def test_shares_are_amounts_percents_and_a_rest() -> None:
    """What the fee and the tax leave is the merchant's."""
    shares = shares_of(100_00, "USD", [("merchant", "rest"), ("fees", "2.9%"), ("fees", "0.30"), ("tax", "1.00")])

    assert shares == (Share("merchant", 95_80), Share("fees", 2_90), Share("fees", 30), Share("tax", 1_00))


def test_thirds_of_a_cent_go_to_those_who_lose_most() -> None:
    """Largest remainder: of 1.00 in three parts, the first of equals gets the cent that is left."""
    parts = shares_of(1_00, "USD", [("a", "33.3%"), ("b", "33.3%"), ("c", "rest")])

    assert [share.amount_minor for share in parts] == [33, 33, 34]


@given(
    st.integers(100, 2**62),
    st.lists(st.fractions(Fraction(1, 100), Fraction(1, 9), max_denominator=1000), min_size=1, max_size=8),
)
def test_no_minor_unit_is_lost_and_nobody_is_a_whole_one_off(amount: int, parts: list[Fraction]) -> None:
    """Whatever the percents: the shares add up to the amount, and each is less than one unit from what is due."""
    percents = [f"{float(part) * 100:.4f}" for part in parts]
    asked = [*((f"a{n}", f"{percent}%") for n, percent in enumerate(percents)), ("rest", "rest")]

    shares = shares_of(amount, "USD", asked)

    assert sum(share.amount_minor for share in shares) == amount
    for share, percent in zip(shares, percents, strict=False):
        assert abs(share.amount_minor - Fraction(percent) / 100 * amount) < 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([("a", "50%"), ("b", "40%")], "less than"),
        ([("a", "60%"), ("b", "50%")], "more than"),
        ([("a", "100.01")], "more than"),
        ([("a", "rest"), ("b", "rest")], "only one"),
        ([("a", "0.001%"), ("b", "rest")], "nothing"),
        ([("a", "100%"), ("b", "rest")], "nothing"),
        ([("a", "-5%"), ("b", "rest")], "percent"),
        ([("a", "1e1%"), ("b", "rest")], "percent"),
        ([("a", "%"), ("b", "rest")], "percent"),
        ([("a", "1/3%"), ("b", "rest")], "percent"),
        ([("a", "half"), ("b", "rest")], "half"),
        ([("a", "5.001"), ("b", "rest")], "decimals"),
    ],
)
def test_shares_that_do_not_come_to_the_whole_are_refused(asked: list[tuple[str, str]], said: str) -> None:
    """In one sentence that says what is wrong with them."""
    with pytest.raises(MalformedRequest, match=said):
        shares_of(100_00, "USD", asked)


@pytest.mark.parametrize("shares", [(), (Share("alice", 1),), (Share("bob", 0),), (Share("a/b", 1),)])
def test_a_split_that_could_never_be_paid_is_refused(shares: tuple[Share, ...]) -> None:
    """Nobody to pay, oneself, nothing, or an account with a name that no account has."""
    with pytest.raises(MalformedRequest):
        Split("S1", "alice", "USD", shares)
