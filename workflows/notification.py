"""Notification: tell the outside how a transfer ended, at least once, and never hold up the transfer for it.

A transfer tries for a few seconds itself. If the receiver does not take it by then, a Notification workflow of its
own goes on for as long as it takes, and the transfer ends: the money's state does not depend on who knows it.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.messages import NotificationRequest
    from activities.notify import NotifyActivities
    from ledger.keys import notification_key
    from ledger.transfer import Status
    from workflows.asking import EXPRESS_RETRIES, RETRIES, SILENCE, Asking

FIRST_TRY = timedelta(seconds=8)


@workflow.defn
class Notification:
    """One notification that did not arrive at once. The workflow id is `notification/<notification key>`."""

    @workflow.run
    async def run(self, request: NotificationRequest) -> None:
        """Deliver it, however long it takes; operators see NeedsAttention after the first half minute."""
        asking = Asking()
        await asking.until_answered(NotifyActivities.notify, request, request.key)
        asking.answered()


async def tell(transfer_id: str, status: Status, express: bool = False) -> None:
    """Deliver the notification of a transfer's ending, or leave it to a Notification workflow. Never fails.

    An express one is delivered within the workflow task.
    """
    await deliver(notification_key(transfer_id, status), express)


async def deliver(key: str, express: bool = False) -> None:
    """The same with any notification of the outbox."""
    request = NotificationRequest(key=key)
    notify = workflow.execute_local_activity_method if express else workflow.execute_activity_method
    retries = EXPRESS_RETRIES if express else RETRIES
    with suppress(SILENCE, asyncio.CancelledError):
        await notify(
            NotifyActivities.notify,
            request,
            summary=request.key,
            start_to_close_timeout=FIRST_TRY,
            schedule_to_close_timeout=FIRST_TRY,
            retry_policy=retries,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
        return
    # A cancel is raised once, and perhaps here; then it is left to a workflow all the same.
    with suppress(asyncio.CancelledError, ChildWorkflowError):
        await _leave_it_to_a_workflow(request)
        return
    await _leave_it_to_a_workflow(request)


async def _leave_it_to_a_workflow(request: NotificationRequest) -> None:
    with suppress(WorkflowAlreadyStartedError):  # an earlier run of this transfer may have done so already
        await workflow.start_child_workflow(
            Notification.run,
            request,
            id=f"notification/{request.key}",
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=request.key,
        )
