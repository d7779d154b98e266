"""Limits: the message that sets an account's limits, and the activities that do it."""

from typing import Literal

from pydantic import StrictInt, StrictStr, model_validator
from temporalio import activity

from activities.ledger import LedgerActivities
from activities.messages import Asked, LegOutcome
from ledger.limits import SetLimits

Limit = StrictInt | Literal["none"] | None


class LimitChange(Asked):
    """Set: this account has these limits, in minor units; "none" takes one away, and None leaves it as it is.

    `number` is filled in by the workflow: which change of the account's settings this is.
    """

    account_id: StrictStr
    currency: StrictStr
    per_transfer_minor: Limit = None
    per_day_minor: Limit = None
    approval_above_minor: Limit = None
    approvals: StrictInt | None = None
    number: StrictInt | None = None

    @model_validator(mode="after")
    def _could_be_done(self) -> "LimitChange":
        self.as_setting()
        return self

    def as_setting(self) -> SetLimits:
        """The same in the ledger's words. Raises MalformedRequest."""
        return SetLimits(**self.model_dump())


class LimitActivities(LedgerActivities):
    """Settings of limits, each under its own number. Idempotent."""

    @activity.defn
    async def set_limits(self, request: LimitChange) -> LegOutcome:
        """Set: the account has these limits, if the number is free."""
        return await self._apply(request.as_setting())

    @activity.defn
    async def next_limits(self, request: LimitChange) -> int:
        """Look: which number this change of the account's settings would have. Changes nothing."""
        return await self._ledger.next_setting(request.account_id)
