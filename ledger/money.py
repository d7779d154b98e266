"""Money: whole minor units of one ISO 4217 currency, and how people write them.

The books hold integers only. This module is the one place where text such as `25.00` becomes `2500` and
back; the number of decimals of each currency comes from the `iso4217` package's copy of the standard.
"""

import re
from functools import lru_cache

from iso4217 import Currency

from ledger.errors import MalformedRequest

MAX_MINOR = 2**63 - 1
"""The largest amount or total, in minor units: both databases store signed 64-bit integers."""

_AMOUNT = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?", re.ASCII)


def decimals(currency: str) -> int:
    """How many decimals an ISO 4217 currency has: USD 2, JPY 0, KWD 3.

    Raises MalformedRequest for anything that is not an upper-case code of the standard, and for its codes
    without a minor unit (XAU, XXX): an amount of those cannot be a whole number of minor units.
    """
    if isinstance(currency, str) and (exponent := _exponent(currency)) is not None:
        return exponent
    raise MalformedRequest(f"currency {currency!r} is not an ISO 4217 code with a minor unit, such as USD, EUR or JPY")


@lru_cache(maxsize=1024)  # as many as there may be codes, and no more of what callers make up
def _exponent(code: str) -> int | None:
    if not re.fullmatch(r"[A-Z]{3}", code, re.ASCII):
        return None
    try:
        exponent = Currency(code).exponent
    except ValueError:
        return None
    return None if exponent is None else int(exponent)


def check_amount(amount_minor: object) -> int:
    """The amount itself, if it is an int of 1 to 2^63-1 minor units; else MalformedRequest. bool is not an int."""
    if type(amount_minor) is not int:
        raise MalformedRequest(f"amount_minor must be a whole number of minor units, not {amount_minor!r}")
    if not 1 <= amount_minor <= MAX_MINOR:
        raise MalformedRequest(f"amount_minor must be between 1 and {MAX_MINOR}, not {amount_minor}")
    return amount_minor


def parse_amount(text: str, currency: str, or_zero: bool = False) -> int:
    """`25.00` in USD is 2500 minor units. Raises MalformedRequest for anything that is not a plain decimal.

    No sign, no exponent, no separators, and no more decimals than the currency has: `25.001 USD` and
    `1.5 JPY` are refused, never rounded. Nor is zero an amount, unless it is asked for `or_zero`.
    """
    places = decimals(currency)
    if not _AMOUNT.fullmatch(text):
        raise MalformedRequest(f"amount {text!r} is not a plain positive decimal such as 25.00")
    whole, _, fraction = text.partition(".")
    if len(fraction) > places:
        raise MalformedRequest(f"amount {text} has {len(fraction)} decimals; {currency} has {places}")
    amount_minor = int(whole + fraction.ljust(places, "0"))
    if amount_minor == 0 and not or_zero:
        raise MalformedRequest("amount must be more than zero")
    if amount_minor > MAX_MINOR:
        raise MalformedRequest(f"amount {text} {currency} is more than the books can hold")
    return amount_minor


def format_amount(amount_minor: int, currency: str) -> str:
    """2500 in USD is `25.00`; -5 is `-0.05`; 1500 in JPY is `1500`."""
    places = decimals(currency)
    sign, digits = ("-" if amount_minor < 0 else ""), str(abs(amount_minor)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"


def say(amount_minor: int, currency: str) -> str:
    """An amount with its currency, for people: `25.00 USD`."""
    return f"{format_amount(amount_minor, currency)} {currency}"
