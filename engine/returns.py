"""Returns: hand what a rail has given back to a workflow, once for each return."""

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.payouts import ReturnRequest
from engine.results import Unanswered
from engine.settings import TASK_QUEUE


async def hand_in(client: Client, request: ReturnRequest, task_queue: str = TASK_QUEUE) -> bool:
    """Start the workflow of a return. False if it has been taken already. Raises Unanswered.

    What Temporal has forgotten runs again, and finds in the books that it has happened.
    """
    try:
        await client.start_workflow(
            "Returned",
            request,
            id=return_workflow_id(request),
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary=f"{request.rail} gives {request.transfer_id} back",
        )
    except WorkflowAlreadyStartedError:
        return False
    except RPCError as error:
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return True


def return_workflow_id(request: ReturnRequest) -> str:
    """The workflow id of a return: `return/<rail>/<return id>`."""
    return f"return/{request.rail}/{request.return_id}"
