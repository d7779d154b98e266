"""Exchange: money of one currency is sold for money of another, at the rate of a quote, through a desk's accounts.

    source          -> fx:USD            what is sold
    fx:EUR          -> destination       what is bought for it, at the quote's rate
    fx:EUR          -> fx-spread:EUR     what the middle rate would have brought beyond that, if the quote has one

Each posting balances in its own currency, and the desk's accounts hold the position that it takes. They are accounts
like any other: opened and funded before, and guarded. All amounts are rounded down to the minor unit of the bought
currency; the fraction stays with the desk. Rates are exact decimals, in units of the bought currency for one of the
sold. A quote that has expired when the books get to it is a rejection, and pinned like any other.

Given back, it is made again the other way at its own rate, whatever the rate is by now, the spread included: what was
sold goes back to its source, and for all that has gone back so far the destination has given up what that comes to at
the rate, rounded up, so that here, too, the fraction stays with the desk. Of the spread, the same proportion comes
back, rounded down. All of it comes to the amounts of the original, exactly.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import ClassVar

from ledger.entries.reversible import Reversible
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_account_id, check_id
from ledger.money import check_amount, decimals
from ledger.operation import Operation, Posting

_RATE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Exchange(Reversible):
    """`amount_minor` of `currency` is sold and `bought_minor` of `bought_currency` bought. Raises MalformedRequest."""

    leg: ClassVar[Leg] = Leg.EXCHANGE
    recipe: ClassVar[str] = "exchange-v1"

    destination: str
    amount_minor: int
    currency: str
    bought_minor: int
    bought_currency: str
    desk: str
    spread_minor: int
    quote: str
    rate: str
    expires_at: int
    """Microseconds since 1970."""

    def __post_init__(self) -> None:
        check_id(self.id, "exchange id")
        check_id(self.quote, "quote id")
        check_account_id(self.source, "source account")
        check_account_id(self.destination, "destination account")
        for account in self.accounts_of_the_desk():
            check_account_id(account, "the desk's account")
        check_amount(self.amount_minor)
        check_amount(self.bought_minor)
        if self.spread_minor != 0:
            check_amount(self.spread_minor)
        if self.currency == self.bought_currency:
            raise MalformedRequest(f"an exchange needs two currencies, not {self.currency} twice")
        if self.bought_minor != converted(self.amount_minor, self.currency, self.bought_currency, self.rate):
            raise MalformedRequest(f"{self.bought_minor} is not what {self.amount_minor} comes to at {self.rate}")
        if type(self.expires_at) is not int:
            raise MalformedRequest(f"expires_at must be microseconds since 1970, not {self.expires_at!r}")

    def accounts_of_the_desk(self) -> tuple[str, str, str]:
        """Where the sold currency goes, where the bought one comes from, and the spread's account."""
        sold, bought = f"{self.desk}:{self.currency}", f"{self.desk}:{self.bought_currency}"
        return sold, bought, f"{self.desk}-spread:{self.bought_currency}"

    def operation(self) -> Operation:
        """Two or three postings, under `<id>/exchange`."""
        sold, bought, spread = self.accounts_of_the_desk()
        postings = [
            Posting(self.source, sold, self.amount_minor, self.currency),
            Posting(bought, self.destination, self.bought_minor, self.bought_currency),
        ]
        if self.spread_minor:
            postings.append(Posting(bought, spread, self.spread_minor, self.bought_currency))
        must_be_open = {posting.debit_account_id: posting.currency for posting in postings}
        must_be_open |= {posting.credit_account_id: posting.currency for posting in postings}
        return Operation(
            key=self.key,
            content=self.content(),
            recipe=self.recipe,
            tells=True,
            postings=tuple(postings),
            must_be_open=must_be_open,
            valid_until=self.expires_at,
        )

    def left(self, given_back: Sequence[int]) -> int:
        """What is left of what was sold."""
        return self.amount_minor - given_back[0]

    def parts(self, amount_minor: int, given_back: Sequence[int]) -> Sequence[int]:
        """What is due for all that is then sold back, less what came back before: the number of parts is no matter."""
        sold_back = given_back[0] + amount_minor
        at_the_rate = ceil(exactly(sold_back, self.currency, self.bought_currency, self.rate))
        due = (sold_back, min(at_the_rate, self.bought_minor), self.spread_minor * sold_back // self.amount_minor)
        return [all - before for all, before in zip(due, given_back, strict=False)]  # without a spread, two postings


@dataclass(frozen=True, slots=True)
class Quote:
    """What a desk offers: a rate, the middle rate beside it, and until when (microseconds since 1970)."""

    id: str
    rate: str
    middle_rate: str
    expires_at: int
    desk: str


def at_quote(
    quote: Quote, id: str, source: str, destination: str, amount_minor: int, currency: str, bought_currency: str
) -> Exchange:
    """The exchange that a quote makes of an amount. The spread is what the middle rate brings beyond the rate.

    Raises MalformedRequest, also when the middle rate brings less than the rate.
    """
    bought = converted(amount_minor, currency, bought_currency, quote.rate)
    spread = converted(amount_minor, currency, bought_currency, quote.middle_rate) - bought
    if spread < 0:
        raise MalformedRequest(f"the middle rate {quote.middle_rate} brings less than the rate {quote.rate}")
    return Exchange(
        id=id,
        source=source,
        destination=destination,
        amount_minor=amount_minor,
        currency=currency,
        bought_minor=bought,
        bought_currency=bought_currency,
        desk=quote.desk,
        spread_minor=spread,
        quote=quote.id,
        rate=quote.rate,
        expires_at=quote.expires_at,
    )


def converted(amount_minor: int, currency: str, into: str, rate: str) -> int:
    """What an amount comes to at an exact rate, rounded down to a whole minor unit. Raises MalformedRequest."""
    return int(exactly(amount_minor, currency, into, rate))


def exactly(amount_minor: int, currency: str, into: str, rate: str) -> Fraction:
    """The same before it is rounded."""
    if not isinstance(rate, str) or not _RATE.fullmatch(rate) or Fraction(rate) == 0:
        raise MalformedRequest(f"rate {rate!r} is not a positive decimal such as 0.9215")
    return amount_minor * Fraction(rate) * Fraction(10) ** (decimals(into) - decimals(currency))
