"""Split: one account pays many, all of them or none.

    split("100.00", [merchant: rest, platform: 2.5 %, tax: 1.00])   ->   merchant 96.50, platform 2.50, tax 1.00

Percents are of the whole amount. What they come to is rounded by largest remainder: everyone gets what is due rounded
down, and the units that are left go to those who lost most by that, the first of equals first. So not a minor unit is
lost, and nobody gets more than one unit more or less than is due. What is given back of a split is divided
in the same way.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, NamedTuple

from ledger.entries.reversible import Reversible
from ledger.errors import MalformedRequest
from ledger.fingerprint import Content
from ledger.keys import Leg, check_account_id, check_id
from ledger.money import check_amount, decimals, parse_amount, say
from ledger.operation import Operation, Posting

MOST_SHARES = 100
"""The most accounts that one split pays: it is one row for each, in one transaction."""

REST = "rest"
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,12})?", re.ASCII)


class Share(NamedTuple):
    """What one account gets, in minor units."""

    account_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Split(Reversible):
    """One account pays many. Raises MalformedRequest when it could never be done."""

    leg: ClassVar[Leg] = Leg.SPLIT
    recipe: ClassVar[str] = "split-v1"

    currency: str
    shares: tuple[Share, ...]

    def __post_init__(self) -> None:
        check_id(self.id, "split id")
        check_account_id(self.source, "source account")
        decimals(self.currency)
        if not 1 <= len(self.shares) <= MOST_SHARES:
            raise MalformedRequest(f"a split has 1 to {MOST_SHARES} shares, not {len(self.shares)}")
        for share in self.shares:
            check_account_id(share.account_id, "destination account")
            check_amount(share.amount_minor)
            if share.account_id == self.source:
                raise MalformedRequest(f"{self.source!r} cannot pay a share to itself")
        check_amount(self.amount_minor)

    @property
    def amount_minor(self) -> int:
        """What all shares come to."""
        return sum(share.amount_minor for share in self.shares)

    def content(self) -> Content:
        """What a retry must repeat exactly. No account id has a slash or a space in it."""
        return {
            "source": self.source,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
            "shares": " ".join(f"{share.account_id}/{share.amount_minor}" for share in self.shares),
        }

    @classmethod
    def of(cls, id: str, content: Mapping[str, Any]) -> "Split":
        """The split of an id and a content."""
        shares = (share.rpartition("/") for share in content["shares"].split(" "))
        return cls(
            id, content["source"], content["currency"], tuple(Share(account, int(n)) for account, _, n in shares)
        )

    def operation(self) -> Operation:
        """A posting from the source to each of the others, under `<id>/split`."""
        return Operation(
            key=self.key,
            content=self.content(),
            recipe=self.recipe,
            tells=True,
            postings=tuple(Posting(self.source, to, amount, self.currency) for to, amount in self.shares),
            must_be_open={self.source: self.currency, **{to: self.currency for to, _ in self.shares}},
        )

    def left(self, given_back: Sequence[int]) -> int:
        """What is left of all shares."""
        return self.amount_minor - sum(given_back)

    def parts(self, amount_minor: int, given_back: Sequence[int]) -> Sequence[int]:
        """In proportion to what is left of each share, by largest remainder."""
        rest = [share.amount_minor - before for share, before in zip(self.shares, given_back, strict=True)]
        return _largest_remainder([Fraction(amount_minor * each, sum(rest)) for each in rest])


def shares_of(amount_minor: int, currency: str, asked: Sequence[tuple[str, str]]) -> tuple[Share, ...]:
    """Divide an amount: each account with `25.00` (an amount), `2.5%` (of the whole) or `rest` (what is left).

    At most one has the rest; without one, the shares must come to the whole. An account that would get nothing is
    refused. Raises MalformedRequest.
    """
    check_amount(amount_minor)
    due = [_due(text, amount_minor, currency) for _, text in asked]
    missing = amount_minor - sum(part for part in due if part is not None)
    if due.count(None) > 1:
        raise MalformedRequest("only one account can have the rest")
    if missing < 0 or (missing > 0 and None not in due):
        which = "more" if missing < 0 else "less"
        raise MalformedRequest(f"the shares come to {which} than {say(amount_minor, currency)}; one may be {REST!r}")
    whole = _largest_remainder([missing if part is None else part for part in due])
    for (account_id, text), amount in zip(asked, whole, strict=True):
        if amount == 0:
            raise MalformedRequest(f"{account_id} would get nothing ({text} of {say(amount_minor, currency)})")
    return tuple(Share(account_id, amount) for (account_id, _), amount in zip(asked, whole, strict=True))


def _due(text: str, amount_minor: int, currency: str) -> Fraction | None:
    """What a share comes to before rounding; None for the rest."""
    if text == REST:
        return None
    if not text.endswith("%"):
        return Fraction(parse_amount(text, currency))
    number = text.removesuffix("%")
    if not _PERCENT.fullmatch(number):
        raise MalformedRequest(f"share {text!r} is not an amount such as 25.00, a percent such as 2.5%, or {REST!r}")
    return Fraction(number) / 100 * amount_minor


def _largest_remainder(due: Sequence[Fraction | int]) -> list[int]:
    """Whole numbers with the same (whole) sum, each less than one away from what is due."""
    whole = [int(part) for part in due]
    left = int(sum(due)) - sum(whole)
    by_loss = sorted(range(len(due)), key=lambda place: whole[place] - due[place])
    for place in by_loss[:left]:
        whole[place] += 1
    return whole
