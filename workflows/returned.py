"""Returned: a rail gives a payout back, and the books take it back, once. A movement of its own, whenever it comes."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import LegOutcome
    from activities.payouts import PayoutActivities, ReturnRequest
    from ledger.operation import OutcomeKind
    from workflows.asking import Asking, key_reused
    from workflows.search_attributes import NEEDS_ATTENTION


@workflow.defn
class Returned:
    """A rail gives a payout back, perhaps days later. The workflow id is `return/<rail>/<return id>`.

    The books remember the return for ever, so that a repeat of the callback moves nothing.
    """

    @workflow.run
    async def run(self, request: ReturnRequest) -> LegOutcome:
        """Applied; or rejected, with NeedsAttention left on: the rail says it gave back what we cannot take."""
        asking = Asking()
        outcome = await asking.until_answered(PayoutActivities.take_return, request, request.reversal_id)
        asking.answered()
        if outcome.kind is OutcomeKind.KEY_REUSED:
            raise key_reused(outcome.detail)
        if not outcome.applied:
            workflow.set_current_details(f"**Needs attention.** It cannot be given back: {outcome.detail}")
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
        return outcome
