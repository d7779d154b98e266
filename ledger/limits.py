"""Limits: how much may be taken from an account at once and in a day, and above which amount people must approve.

Pure. An account keeps the limits that it has now; `obstacles.py` holds what is asked against them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Literal

from ledger.errors import MalformedRequest
from ledger.keys import check_account_id, setting_key
from ledger.money import check_amount, decimals

DAY = 24 * 3600 * 1_000_000
"""How long a use of a daily limit counts, in microseconds."""

MOST_APPROVALS = 9
"""The most people who can be asked to approve."""

NONE: Literal["none"] = "none"
"""What is said instead of an amount to take a limit away."""

Change = int | Literal["none"] | None
"""A limit's new value, NONE to take it away, or None to leave it as it is."""


@dataclass(frozen=True, slots=True)
class Limits:
    """An account's limits, in minor units; None for those that it does not have.

    `approval_above_minor` and `approvals` (of how many people) are there together, or not at all.
    """

    per_transfer_minor: int | None = None
    per_day_minor: int | None = None
    approval_above_minor: int | None = None
    approvals: int | None = None

    def approvals_for(self, amount_minor: int) -> int:
        """How many people must approve of an amount before it is taken."""
        if self.approval_above_minor is None or amount_minor <= self.approval_above_minor:
            return 0
        return self.approvals or 0


NO_LIMITS = Limits()
"""Of most accounts."""


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Set: the account has these limits; those that are not named stay as they are.

    A number as in `SetAccountStatus`. Raises MalformedRequest when it could never be done, or names nothing.
    """

    account_id: str
    currency: str
    per_transfer_minor: Change = None
    per_day_minor: Change = None
    approval_above_minor: Change = None
    approvals: int | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        check_account_id(self.account_id)
        decimals(self.currency)
        for amount in (self.per_transfer_minor, self.per_day_minor, self.number):
            if amount is not None and amount != NONE:
                check_amount(amount)
        above, approvals = self.approval_above_minor, self.approvals
        if above is not None and above != NONE and above != 0:
            check_amount(above)
        if (above is None or above == NONE) != (approvals is None):
            raise MalformedRequest("an amount above which people must approve, and how many, are set together")
        if approvals is not None and not (type(approvals) is int and 1 <= approvals <= MOST_APPROVALS):
            raise MalformedRequest(f"there can be 1 to {MOST_APPROVALS} approvals, not {approvals!r}")
        if not self._named():
            raise MalformedRequest("no limit is named")

    @property
    def key(self) -> str | None:
        """The key it is remembered under, if it has a number."""
        return None if self.number is None else setting_key(self.account_id, self.number)

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly: the limits that are named, and no others."""
        return {"account": self.account_id, "currency": self.currency, **self._named()}

    def on(self, limits: Limits) -> Limits:
        """An account's limits once this is set."""
        changes = {name: None if value == NONE else value for name, value in self._named().items()}
        if self.approval_above_minor == NONE:
            changes["approvals"] = None
        return replace(limits, **changes)

    def _named(self) -> Mapping[str, int | Literal["none"]]:
        values = {field.name: getattr(self, field.name) for field in fields(Limits)}
        return {name: value for name, value in values.items() if value is not None}
