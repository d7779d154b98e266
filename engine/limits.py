"""Limits: how callers set an account's limits, so that asking again is always safe."""

from activities.limits import LimitChange
from activities.messages import LegOutcome
from engine.submitting import Submitter


async def set_limits(submitter: Submitter, change: LimitChange, timeout_seconds: float) -> LegOutcome:
    """Make sure that an account has these limits, and wait for the answer. Raises Unanswered."""
    named = change.model_dump(exclude_none=True, exclude={"account_id"})
    id = f"account/{change.account_id}/limits/{','.join(f'{name}={value}' for name, value in named.items())}"
    return await submitter.set("ChangeOfLimits", id, change, timeout_seconds)
