"""Sweeping, on Temporal's side: how workflows stand, starting them again, and the schedule of the sweep.

The schedule is made by the first worker that starts and never changed by any: whoever pauses it, or gives it another
interval, is not overruled by the next deploy.
"""

from datetime import timedelta

from temporalio import activity
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.service import RPCError

from activities.messages import NotificationRequest, SweepRequest, SweepSummary, TransferRequest
from activities.sweeping import Standing
from engine.entry_ids import entry_workflow_id
from engine.results import Unanswered, has_no_such_workflow, result_of
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter, workflow_id

INTERVAL = timedelta(minutes=1)
CATCHUP = timedelta(seconds=10)
"""Sweeps that were missed because Temporal was down for longer are not made up for: the next one finds the same."""

_STANDINGS = {
    WorkflowExecutionStatus.RUNNING: Standing.RUNNING,
    WorkflowExecutionStatus.COMPLETED: Standing.COMPLETED,
    WorkflowExecutionStatus.CONTINUED_AS_NEW: Standing.RUNNING,
}
"""Every other status is that of a workflow which was closed without an outcome."""


class NotScheduled(Exception):
    """There is no schedule, and this client could not make one; the message says the command that does."""


class TemporalWorkflows:
    """`activities.sweeping.Workflows`, through the client of the worker whose activity asks."""

    async def of_transfer(self, transfer_id: str) -> Standing:
        """See the protocol."""
        return await _standing(activity.client(), workflow_id(transfer_id))

    async def of_entry(self, key: str) -> Standing:
        """See the protocol."""
        return await _standing(activity.client(), entry_workflow_id(key))

    async def of_notification(self, key: str) -> Standing:
        """See the protocol."""
        return await _standing(activity.client(), _notification_id(key))

    async def restart_transfer(self, request: TransferRequest) -> bool:
        """See the protocol."""
        submitted = await Submitter(activity.client(), activity.info().task_queue).transfer(request)
        return not submitted.replayed and not submitted.differences

    async def restart_notification(self, request: NotificationRequest) -> None:
        """See the protocol."""
        await activity.client().start_workflow(
            "Notification",
            request,
            id=_notification_id(request.key),
            task_queue=activity.info().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=request.key,
        )


async def sweep(
    client: Client, request: SweepRequest, timeout_seconds: float, task_queue: str = TASK_QUEUE
) -> SweepSummary:
    """Run a sweep now, or wait for the one that is running and asks the same. Raises Unanswered."""
    try:
        handle = await client.start_workflow(
            "Sweep",
            request,
            id=sweep_id(request, task_queue),
            task_queue=task_queue,
            result_type=SweepSummary,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
    except RPCError as error:
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return await result_of(handle, timeout_seconds)


async def schedule(client: Client, task_queue: str = TASK_QUEUE) -> bool:
    """Make the schedule of the sweep, if there is none. Returns whether it was made now. Raises NotScheduled."""
    action = ScheduleActionStartWorkflow("Sweep", SweepRequest(), id=schedule_id(task_queue), task_queue=task_queue)
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCHUP)
    every = ScheduleSpec(intervals=[ScheduleIntervalSpec(INTERVAL)])
    try:
        await client.create_schedule(schedule_id(task_queue), Schedule(action=action, spec=every, policy=policy))
    except ScheduleAlreadyRunningError:
        return False
    except RPCError as error:
        raise NotScheduled(
            f"there is no schedule for the sweep yet, and this client could not make one ({error.message}); "
            f"somebody who may runs:\n{command(client.namespace, task_queue)}"
        ) from error
    return True


def schedule_id(task_queue: str) -> str:
    """The id of the schedule: `sweep`; on a task queue other than the usual one, with its name."""
    return "sweep" if task_queue == TASK_QUEUE else f"sweep/{task_queue}"


def sweep_id(request: SweepRequest, task_queue: str = TASK_QUEUE) -> str:
    """The workflow id of a sweep that somebody asks for: it names the whole question."""
    return f"{schedule_id(task_queue)}/{request.older_than_seconds}"


def command(namespace: str, task_queue: str = TASK_QUEUE) -> str:
    """The command that makes the same schedule."""
    id = schedule_id(task_queue)
    return (
        f"  temporal schedule create --namespace {namespace} --schedule-id {id} --workflow-id {id} --type Sweep"
        f" --task-queue {task_queue} --input '{SweepRequest().model_dump_json()}'"
        f" --interval {INTERVAL.total_seconds():.0f}s --overlap-policy Skip"
        f" --catchup-window {CATCHUP.total_seconds():.0f}s"
    )


def _notification_id(key: str) -> str:
    return f"notification/{key}"


async def _standing(client: Client, id: str) -> Standing:
    try:
        status = (await client.get_workflow_handle(id).describe()).status
    except RPCError as error:
        if has_no_such_workflow(error):
            return Standing.GONE
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return _STANDINGS.get(status, Standing.GONE) if status is not None else Standing.RUNNING
