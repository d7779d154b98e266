"""Target balance: an account is brought to a balance, and another gives or takes the difference.

This is "set", not "add": whoever asks twice under two ids moves money once, because there is nothing left to move. How
much it is, is decided with both accounts locked, so that no posting can come between the look and the movement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from ledger.entries.entry import Entry
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_account_id, check_id
from ledger.money import MAX_MINOR, decimals
from ledger.operation import Operation, Posting, Target


@dataclass(frozen=True, slots=True)
class TargetBalance(Entry):
    """`account` shall have `target_minor`; `counterpart` gives or takes the rest. Raises MalformedRequest."""

    leg: ClassVar[Leg] = Leg.TARGET
    recipe: ClassVar[str] = "target-v1"

    account: str
    target_minor: int
    counterpart: str
    currency: str

    def __post_init__(self) -> None:
        check_id(self.id, "id")
        check_account_id(self.account, "account")
        check_account_id(self.counterpart, "counterpart account")
        decimals(self.currency)
        if type(self.target_minor) is not int or not 0 <= self.target_minor <= MAX_MINOR:
            raise MalformedRequest(
                f"target_minor must be a whole number of 0 to {MAX_MINOR}, not {self.target_minor!r}"
            )
        if self.account == self.counterpart:
            raise MalformedRequest(f"account and counterpart are the same account, {self.account!r}")

    def is_moved_by(self, postings: Sequence[Posting]) -> bool:
        """None at all, or one between its two accounts."""
        between = {self.account, self.counterpart}
        return not postings or all(
            (len(postings), {p.debit_account_id, p.credit_account_id}, p.currency) == (1, between, self.currency)
            for p in postings
        )

    def operation(self) -> Operation:
        """One posting or none, under `<id>/target`."""
        return Operation(
            key=self.key,
            content=self.content(),
            recipe=self.recipe,
            tells=True,
            must_be_open={self.account: self.currency, self.counterpart: self.currency},
            brings=Target(self.account, self.target_minor, self.counterpart, self.currency),
        )
