"""Scheduled: a transfer that is due later. It waits with a durable timer, and is then a transfer like any other.

A cancel that comes while it waits ends it like any before the debit. It is a workflow type of its own so that a worker
from before it existed, which knows nothing of due times, cannot take one for a transfer and move its money at once.
"""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import ScheduledRequest, TransferOutcome
    from ledger.transfer import Status
    from workflows.search_attributes import TRANSFER_STATUS
    from workflows.transfer import Transfer


@workflow.defn
class ScheduledTransfer:
    """One transfer, not before it is due. The workflow id is `transfer/<transfer id>`, as of any transfer."""

    @workflow.run
    async def run(self, request: ScheduledRequest) -> TransferOutcome:
        """Wait until it is due or cancelled, then be a `Transfer`. What is due already does not wait."""
        seconds = request.due_at / 1_000_000 - workflow.now().timestamp()
        if seconds > 0:
            due = datetime.fromtimestamp(request.due_at // 1_000_000, UTC)
            workflow.set_current_details(f"Scheduled for {due:%Y-%m-%d %H:%M:%S} UTC.")
            workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(Status.SCHEDULED)])
            with suppress(asyncio.CancelledError):
                await workflow.sleep(seconds, summary="until it is due")
            workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(Status.ACCEPTED)])
        return await Transfer().run(request.as_due())
