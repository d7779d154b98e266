"""History: what Temporal still has of a transfer's workflow. Reading only; `moments.py` says what it means."""

from collections.abc import Sequence
from dataclasses import dataclass

from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from engine.results import Unanswered, has_no_such_workflow
from workflows.search_attributes import TRANSFER_STATUS


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a workflow: its events, and what it is waiting for if it is running."""

    run_id: str
    running: bool
    events: Sequence[HistoryEvent]
    pending: Sequence[PendingActivityInfo] = ()
    status: str | None = None
    """What it shows as its status, if it is a transfer or waits for people."""


async def runs_of(client: Client, id: str) -> list[Run]:
    """Every run of a workflow that Temporal still has, the oldest first. Raises Unanswered."""
    try:
        started = {run.run_id: run.start_time async for run in client.list_workflows(f"WorkflowId = '{id}'")}
        if (last := await _described(client, id)) is not None:
            started[last.run_id] = last.start_time  # the index of all workflows may not have it yet
        runs = [await _run(client, id, run_id) for run_id in sorted(started, key=lambda run_id: started[run_id])]
    except RPCError as error:
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return [run for run in runs if run is not None]


async def _run(client: Client, id: str, run_id: str) -> Run | None:
    """One run; None if Temporal has forgotten it meanwhile."""
    there = await _described(client, id, run_id)
    if there is None:
        return None
    history = await client.get_workflow_handle(id, run_id=run_id).fetch_history()
    running = there.status is WorkflowExecutionStatus.RUNNING
    status = there.typed_search_attributes.get(TRANSFER_STATUS)
    return Run(run_id, running, history.events, there.raw_description.pending_activities, status)


async def _described(client: Client, id: str, run_id: str | None = None) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(id, run_id=run_id).describe()
    except RPCError as error:
        if has_no_such_workflow(error):
            return None
        raise
