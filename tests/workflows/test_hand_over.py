"""The hand-over of a notification to a workflow of its own, and a cancel that comes in the middle of it."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.worker import (
    Interceptor,
    StartChildWorkflowInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from engine.submitting import workflow_id
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import only_sqlite


class SlowHandOver(Interceptor):
    """Lets the first hand-over of each workflow stand still until it is cancelled: a window of milliseconds, held."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See the SDK."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    _stood = False

    async def start_child_workflow(self, input: StartChildWorkflowInput) -> workflow.ChildWorkflowHandle[Any, Any]:
        if not self._stood:
            self._stood = True
            await workflow.wait_condition(lambda: False)
        return await super().start_child_workflow(input)


async def first_try_is_over(bank: Bank, id: str) -> None:
    """Wait until the transfer's own try to notify has failed for good."""
    over = (EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED, EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT)
    async with asyncio.timeout(PATIENCE):
        while True:
            history = await bank.client.get_workflow_handle(id).fetch_history()
            events = [event.event_type for event in history.events]
            # The task that takes it in is done too: the workflow has come to the hand-over.
            if any(event in over for event in events) and events[-1] == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                return
            await asyncio.sleep(0.05)


@only_sqlite
async def test_a_cancel_in_the_middle_of_the_hand_over_loses_no_notification(idle_bank: Bank) -> None:
    """
    The transfer ends as settled, and the workflow that goes on telling is started all the same.
    """
    bank, request = idle_bank, idle_bank.request()
    key = f"{request.transfer_id}/notify/settled"
    bank.notifier.refusals = 6

    async with bank.working(interceptors=[SlowHandOver()]):
        submitted = await bank.start(request)
        await first_try_is_over(bank, workflow_id(request.transfer_id))
        await bank.cancel(request)
        outcome = await bank.outcome(submitted)
        await bank.client.get_workflow_handle(f"notification/{key}").result()

    assert outcome.status == "settled"
    assert bank.notifier.keys(request.transfer_id) == [key]
    assert await bank.balances() == [75_00, 25_00, 0]
