"""Approving: how people's approvals and denials reach a transfer that waits for them. Asking again is always safe."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.approvals import Consent, Denial, Standing
from activities.messages import TransferOutcome
from engine.results import Unanswered, has_no_such_workflow
from engine.submitting import Submitter, workflow_id

Answer = TypeVar("Answer", bound=BaseModel)

_ENDED = "AcceptedUpdateCompletedWorkflow"
"""The type of Temporal's own failure of an update that was under way when its workflow ended."""


class Refused(Exception):
    """The transfer did not take it: the message says why. Nothing was done."""


async def approve(submitter: Submitter, consent: Consent, timeout_seconds: float) -> Standing | None:
    """Approve of a transfer; None if nothing of this id is running. Raises Refused, or Unanswered."""
    return await update(submitter, consent.transfer.transfer_id, "approve", consent, Standing, timeout_seconds)


async def deny(
    submitter: Submitter, transfer_id: str, denial: Denial, timeout_seconds: float
) -> TransferOutcome | None:
    """Deny a transfer, and say how it ended; None if nothing of this id is running. Raises Refused, or Unanswered."""
    return await update(submitter, transfer_id, "deny", denial, TransferOutcome, timeout_seconds)


async def update(
    submitter: Submitter, transfer_id: str, name: str, said: Any, answer: type[Answer], timeout_seconds: float
) -> Answer | None:
    """Send an update to a transfer; None if nothing of this id is running. Raises Refused, or Unanswered."""
    handle = submitter.client.get_workflow_handle(workflow_id(transfer_id))
    try:
        async with asyncio.timeout(timeout_seconds):
            answered: Answer = await handle.execute_update(name, said, result_type=answer)
            return answered
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == _ENDED:
            return None
        raise Refused(getattr(cause, "message", str(cause))) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise Unanswered(f"no answer within {timeout_seconds:g} s; is a worker running?") from error
    except RPCError as error:
        if has_no_such_workflow(error):
            return None
        raise Unanswered(f"Temporal did not answer: {error}") from error
