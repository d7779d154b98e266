"""Account: a line in the chart of accounts, as two totals that only grow.

A balance is derived, never stored: credits minus debits for what we owe (customers, transit), debits minus
credits for what we own (cash). The model is TigerBeetle's, and so are the names of the guards: a flag's
name is its rule.
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.limits import NO_LIMITS, Limits


class Guard(StrEnum):
    """The rule an account's totals must keep, in the database too."""

    DEBITS_MUST_NOT_EXCEED_CREDITS = "debits_must_not_exceed_credits"
    CREDITS_MUST_NOT_EXCEED_DEBITS = "credits_must_not_exceed_debits"
    NONE = "none"


class AccountStatus(StrEnum):
    """Only an open account can be posted to. Any status can be set from any other."""

    OPEN = "open"
    FROZEN = "frozen"
    CLOSED = "closed"


@dataclass(slots=True)
class Account:
    """One account's row. `version` grows with every posting and every setting that changes it."""

    id: str
    currency: str
    guard: Guard
    status: AccountStatus = AccountStatus.OPEN
    version: int = 1
    debits_posted: int = 0
    credits_posted: int = 0
    limits: Limits = NO_LIMITS

    @property
    def balance(self) -> int:
        """The balance in minor units, positive on the account's own side."""
        if self.guard is Guard.CREDITS_MUST_NOT_EXCEED_DEBITS:
            return self.debits_posted - self.credits_posted
        return self.credits_posted - self.debits_posted
