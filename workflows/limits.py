"""Limits: set what may be taken from an account. Numbered as any change of an account's settings is."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.limits import LimitActivities, LimitChange
    from activities.messages import LegOutcome
    from workflows.account import set_under_a_number


@workflow.defn
class ChangeOfLimits:
    """Set: an account has these limits. A late attempt finds its number taken, and undoes nothing."""

    @workflow.run
    async def run(self, request: LimitChange) -> LegOutcome:
        """Applied; or rejected with `account_not_found` or `currency_mismatch`."""
        summary = f"limits of {request.account_id}"
        return await set_under_a_number(LimitActivities.next_limits, LimitActivities.set_limits, request, summary)
