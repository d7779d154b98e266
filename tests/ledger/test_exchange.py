"""Exchanges: two currencies, exact rates, a quote that ends, and a desk that cannot sell what it does not have."""

import pytest

from ledger.book import Ledger
from ledger.entries import Quote, at_quote
from ledger.errors import MalformedRequest
from ledger.operation import OpenAccount
from ledger.operations import deposit
from ledger.rejections import Code
from tests.support.examples import balances

NEVER = 2**62
QUOTE = Quote("Q1", "0.9215", "0.93", NEVER, "fx")
SOLD = at_quote(QUOTE, "X1", "alice", "yves", 10_00, "USD", "EUR")
DESK = ("fx:USD", "fx:EUR", "fx-spread:EUR")


async def test_an_exchange_moves_both_currencies_through_the_desk(funded: Ledger) -> None:
    """10.00 USD bring 9.21 EUR at 0.9215; the middle rate would bring 9.30, and 0.09 is the desk's spread."""
    assert (await funded.apply(SOLD.operation())).applied

    assert await balances(funded, "alice", "yves") == [90_00, 9_21]
    assert await balances(funded, *DESK) == [10_00, 100_00 - 9_30, 9]


async def test_a_quote_that_has_expired_is_a_rejection_for_ever(funded: Ledger) -> None:
    """The books look at their clock when they get to it, and remember what they said."""
    late = at_quote(Quote("Q2", "0.9", "0.9", 1, "fx"), "X2", "alice", "yves", 10_00, "USD", "EUR")

    first, again = await funded.apply(late.operation()), await funded.apply(late.operation())

    assert (first.code, again.code, again.replayed) == (Code.QUOTE_EXPIRED, Code.QUOTE_EXPIRED, True)
    assert await balances(funded, "alice", "yves") == [100_00, 0]


async def test_a_desk_cannot_sell_what_it_does_not_have(funded: Ledger) -> None:
    """Its accounts are guarded as anybody's; Alice keeps her dollars."""
    large = at_quote(Quote("Q3", "2", "2", NEVER, "fx"), "X3", "alice", "yves", 99_00, "USD", "EUR")

    refused = await funded.apply(large.operation())

    assert refused.code == Code.INSUFFICIENT_FUNDS
    assert await balances(funded, "alice", "yves", "fx:EUR") == [100_00, 0, 100_00]


async def test_a_quote_of_another_pair_is_a_rejection(funded: Ledger) -> None:
    """Yves's account is in euros: who sells into pounds for him is told so."""
    await funded.apply_all([OpenAccount("fx:GBP", "GBP"), deposit("D9", "fx:GBP", 100_00, "GBP")])
    other = at_quote(Quote("Q4", "0.8", "0.8", NEVER, "fx"), "X4", "alice", "yves", 10_00, "USD", "GBP")

    assert (await funded.apply(other.operation())).code == Code.CURRENCY_MISMATCH


@pytest.mark.parametrize(
    ("sold", "currency", "into", "rate", "bought"),
    [
        (1_00, "USD", "JPY", "149.999", 149),
        (150, "JPY", "USD", "0.0066", 99),
        (10_00, "USD", "KWD", "0.30715", 3_071),
        (1, "USD", "EUR", "1.999999", 1),
    ],
)
def test_what_is_bought_is_exact_and_rounded_down(sold: int, currency: str, into: str, rate: str, bought: int) -> None:
    """Also between currencies of different decimals; the fraction stays with the desk."""
    entry = at_quote(Quote("Q", rate, rate, NEVER, "fx"), "X", "a", "b", sold, currency, into)

    assert (entry.bought_minor, entry.spread_minor) == (bought, 0)


@pytest.mark.parametrize("rate", ["0", "-1", "1e3", "NaN", "", "0.1234567890123", "1,5", "٣"])
def test_a_rate_that_is_no_plain_decimal_is_refused(rate: str) -> None:
    """Rates are exact: no float, no exponent, and never zero."""
    with pytest.raises(MalformedRequest):
        at_quote(Quote("Q", rate, rate, NEVER, "fx"), "X", "a", "b", 1_00, "USD", "EUR")


def test_an_exchange_that_brings_nothing_or_needs_none_is_refused() -> None:
    """Less than a cent bought, one currency twice, or a middle rate below the rate."""
    for quote, into in ((Quote("Q", "0.001", "0.001", NEVER, "fx"), "EUR"), (QUOTE, "USD")):
        with pytest.raises(MalformedRequest):
            at_quote(quote, "X", "a", "b", 1, "USD", into)
    with pytest.raises(MalformedRequest, match="middle rate"):
        at_quote(Quote("Q", "0.93", "0.92", NEVER, "fx"), "X", "a", "b", 100_00, "USD", "EUR")
