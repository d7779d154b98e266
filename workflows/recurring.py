"""Occurrence: one instant of a recurring transfer, which a Temporal Schedule has started. It is paid at most once.

    settled, rejected, ...    how the transfer of the occurrence ended, now or earlier
    KeyReused                 the occurrence was paid with other content, as before a change: needs attention
    NotAnOccurrence           nothing recurs at this time, as after a trigger in the Web UI: nothing is paid

The nominal time is the schedule's (`TemporalScheduledStartTime`): the same for a run that comes in time, one that is
made up for after an outage, a backfill and a reset. A trigger in the Web UI carries the time of the click.
"""

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.messages import TransferOutcome, TransferRequest
    from activities.recurring import OccurrenceAnswer, RecurringActivities, RecurringOrder
    from workflows.asking import Asking, key_reused
    from workflows.search_attributes import NEEDS_ATTENTION

NOMINAL_TIME = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
NOT_AN_OCCURRENCE = "NotAnOccurrence"
FIRST_LOOK = timedelta(seconds=1)
LONGEST_WAIT = timedelta(hours=1)
"""From one look at a transfer that has not ended to the next. Each leaves some events: five hundred looks, three weeks
of them, fit well into one history."""

LOOKS = 500


@workflow.defn
class Occurrence:
    """One occurrence. The workflow id is `recurring/<recurring id>-<nominal time>`, which Temporal makes."""

    @workflow.run
    async def run(self, order: RecurringOrder) -> TransferOutcome:
        """Submit the transfer of this nominal time, and wait for its end. Raises KeyReused or NotAnOccurrence."""
        request = order.occurrence(_nominal_time(order))
        workflow.set_current_details(f"Paid by `transfer/{request.transfer_id}`.")
        answer = await _ended(request)
        if answer.reused is not None:
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
            workflow.set_current_details(
                f"**Needs attention.** `{request.transfer_id}` was asked for with other content: {answer.reused}. "
                "Nothing was paid now."
            )
            raise key_reused(f"{request.transfer_id}: {answer.reused}")
        assert answer.status is not None
        return TransferOutcome(
            transfer_id=request.transfer_id, status=answer.status, reason=answer.reason, detail=answer.detail
        )


def _nominal_time(order: RecurringOrder) -> datetime:
    nominal = workflow.info().typed_search_attributes.get(NOMINAL_TIME)
    if nominal is not None and order.recurs_at(nominal):
        return nominal
    when = "no nominal time: no schedule has started it" if nominal is None else f"nothing recurs at {nominal:%FT%TZ}"
    advice = f"to pay an occurrence early: starter.py recurring trigger {order.recurring_id} --occurrence INSTANT"
    raise ApplicationError(f"{when}; {advice}", type=NOT_AN_OCCURRENCE, non_retryable=True)


async def _ended(request: TransferRequest) -> OccurrenceAnswer:
    """Look again and again, with the same request, until the books know how the transfer ended."""
    asking, wait = Asking(), FIRST_LOOK
    for _ in range(LOOKS):
        answer = await asking.until_answered(RecurringActivities.pay_occurrence, request, "pay the occurrence")
        asking.answered()
        if answer.status is not None or answer.reused is not None:
            return answer
        await workflow.sleep(wait, summary="until its transfer has ended")
        wait = min(wait * 1.5, LONGEST_WAIT)
    raise ApplicationError(f"{request.transfer_id} has not ended; it goes on by itself", non_retryable=True)
