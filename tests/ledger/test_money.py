"""Money: text becomes minor units and back, in every currency, and nothing is ever rounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from ledger.errors import MalformedRequest
from ledger.money import MAX_MINOR, check_amount, decimals, format_amount, parse_amount, say

CURRENCIES = sorted(currency.code for currency in Currency if currency.exponent is not None)


@pytest.mark.parametrize(
    ("text", "currency", "amount_minor"),
    [
        ("25.00", "USD", 2500),
        ("25", "USD", 2500),
        ("25.5", "USD", 2550),
        ("0.01", "USD", 1),
        ("007.10", "USD", 710),
        ("1500", "JPY", 1500),
        ("1.234", "KWD", 1234),
        ("1.2", "KWD", 1200),
        ("92233720368547758.07", "USD", MAX_MINOR),
        ("9223372036854775807", "JPY", MAX_MINOR),
    ],
)
def test_an_amount_is_read_exactly(text: str, currency: str, amount_minor: int) -> None:
    """Each currency has its own number of decimals; missing ones are zeros."""
    assert parse_amount(text, currency) == amount_minor


@pytest.mark.parametrize(("currency", "places"), [("USD", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3), ("CLF", 4)])
def test_the_decimals_are_the_standards(currency: str, places: int) -> None:
    """ISO 4217 says how many; nobody keeps a table of their own."""
    assert decimals(currency) == places


@pytest.mark.parametrize(
    ("amount_minor", "currency", "text"),
    [
        (2500, "USD", "25.00"),
        (5, "USD", "0.05"),
        (0, "USD", "0.00"),
        (-5, "USD", "-0.05"),
        (-2500, "USD", "-25.00"),
        (1500, "JPY", "1500"),
        (-1, "JPY", "-1"),
        (1, "KWD", "0.001"),
    ],
)
def test_an_amount_is_written_with_its_currencys_decimals(amount_minor: int, currency: str, text: str) -> None:
    """Always all of the decimals, and a balance below zero with its sign."""
    assert format_amount(amount_minor, currency) == text


def test_an_amount_is_said_with_its_currency() -> None:
    """For people: a bare number is not an amount."""
    assert say(2500, "USD") == "25.00 USD"


@given(st.integers(1, MAX_MINOR), st.sampled_from(CURRENCIES))
def test_what_is_written_is_read_back(amount_minor: int, currency: str) -> None:
    """Every amount that the books can hold survives being written and read, in every currency of the standard."""
    assert parse_amount(format_amount(amount_minor, currency), currency) == amount_minor


@given(st.text(max_size=20), st.sampled_from(CURRENCIES))
def test_any_text_is_an_amount_or_malformed(text: str, currency: str) -> None:
    """No text whatever makes it fail in another way, and whatever it reads is an amount."""
    try:
        amount_minor = parse_amount(text, currency)
    except MalformedRequest:
        return
    assert check_amount(amount_minor) == amount_minor


@given(st.from_regex(r"\A[0-9]{1,20}(\.[0-9]{1,5})?\Z"), st.sampled_from(CURRENCIES))
def test_a_plain_decimal_is_read_exactly_or_refused(text: str, currency: str) -> None:
    """Compared with whole-number arithmetic: what is read is what was written, times ten to the decimals."""
    whole, _, fraction = text.partition(".")
    try:
        amount_minor = parse_amount(text, currency)
    except MalformedRequest:
        return
    assert amount_minor * 10 ** len(fraction) == int(whole + fraction) * 10 ** decimals(currency)


def test_the_largest_amount_is_what_both_databases_hold() -> None:
    """A signed 64-bit integer; one more is refused."""
    assert check_amount(MAX_MINOR) == 2**63 - 1
    with pytest.raises(MalformedRequest, match="between 1 and 9223372036854775807"):
        check_amount(MAX_MINOR + 1)
