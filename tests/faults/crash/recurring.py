"""Recurring: one occurrence of a schedule, whose nominal time is long past, so that a case need not wait for its day.

The schedule makes up for it (a backfill), starts the occurrence, and that one its transfer, as on any other day.
"""

import asyncio
from datetime import UTC, datetime

from temporalio.client import ScheduleBackfill
from temporalio.service import RPCError

from activities.messages import TransferOutcome
from activities.recurrence import occurrence_id
from activities.recurring import RecurringOrder
from engine.recurring import PREFIX, RecurringTransfers
from engine.results import Unanswered, result_of
from engine.submitting import Submitter, workflow_id

NOMINAL = datetime(2024, 2, 29, tzinfo=UTC)
EVERY_LEAP_DAY = "0 0 29 2 *"


async def paid_by_a_schedule(
    submitter: Submitter, id: str, amount_minor: int, patience_seconds: float
) -> TransferOutcome:
    """Order it, have what was due made up for, and wait until it is paid. Raises Unanswered."""
    order = RecurringOrder(
        recurring_id=id,
        source=f"{id}-a",
        destination=f"{id}-b",
        amount_minor=amount_minor,
        currency="USD",
        cron=EVERY_LEAP_DAY,
    )
    occurrence = f"{PREFIX}{id}-{NOMINAL:%Y-%m-%dT%H:%M:%SZ}"
    transfers = RecurringTransfers(submitter.client, submitter.task_queue)
    if await submitter.find_workflow(occurrence) is None:
        await transfers.create(order)
        schedule = submitter.client.get_schedule_handle(f"{PREFIX}{id}")
        try:
            await schedule.backfill(ScheduleBackfill(start_at=NOMINAL, end_at=NOMINAL))
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        while await submitter.find_workflow(occurrence) is None:
            await asyncio.sleep(0.05)
    handle = submitter.client.get_workflow_handle(occurrence, result_type=TransferOutcome)
    outcome: TransferOutcome = await result_of(handle, patience_seconds)
    await transfers.delete(id)
    return outcome


def transfer_of(recurring_id: str) -> str:
    """The workflow that moves the money."""
    return workflow_id(occurrence_id(recurring_id, NOMINAL))
