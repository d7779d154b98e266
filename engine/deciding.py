"""Deciding: tell a workflow that waits for somebody what is decided, and whether it was first."""

from datetime import timedelta

from pydantic import BaseModel
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.decisions import DecisionAnswer, PayoutDecision
from engine.approving import update
from engine.results import Unanswered, has_no_such_workflow
from engine.submitting import Submitter, workflow_id
from ledger.errors import MalformedRequest

MALFORMED = "MalformedRequest"


async def decide(submitter: Submitter, transfer_id: str, decision: BaseModel, timeout_seconds: float) -> bool:
    """Send a decision to a transfer that waits for one. Whether it is taken, now or earlier; False if it is too late.

    Raises MalformedRequest for what could never be decided, Unanswered when nobody answers in time.
    """
    handle = submitter.client.get_workflow_handle(workflow_id(transfer_id))
    try:
        await handle.execute_update("decide", decision, rpc_timeout=timedelta(seconds=timeout_seconds))
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == MALFORMED:
            raise MalformedRequest(cause.message) from error
        return False  # another decision was first, or it ended before it could look at this one
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise Unanswered("nobody took the decision in time; is a worker running?") from error
    except RPCError as error:
        if has_no_such_workflow(error):
            return False
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return True


async def decide_payout(
    submitter: Submitter, transfer_id: str, decision: PayoutDecision, timeout_seconds: float
) -> bool:
    """Record what a person says a silent rail has done about a payout; False if nothing of this id is running.

    Raises Refused (it says why), or Unanswered.
    """
    answer = await update(submitter, workflow_id(transfer_id), "decide", decision, DecisionAnswer, timeout_seconds)
    return answer is not None
