"""Approving: how people's approvals and denials reach what waits for them. Asking again is always safe."""

import asyncio
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.approvals import Consent, Denial, Standing
from activities.messages import Message
from engine.results import Unanswered, has_no_such_workflow
from engine.submitting import Submitter

Answer = TypeVar("Answer", bound=BaseModel)

_ENDED = "AcceptedUpdateCompletedWorkflow"
"""The type of Temporal's own failure of an update that was under way when its workflow ended."""


class Denied(Message):
    """How what was denied has ended: a transfer's `status`, or the `kind` of an entry's outcome."""

    status: str | None = None
    kind: str | None = None
    reason: str | None = None
    detail: str | None = None


class Refused(Exception):
    """The workflow did not take it: the message says why. Nothing was done."""


class WaitsForNobody(Refused):
    """What runs there does not wait for people: it never did, or it has gone on as what it is."""


async def approve(submitter: Submitter, workflow_id: str, consent: Consent, timeout_seconds: float) -> Standing | None:
    """Approve of what a workflow waits with; None if nothing of this id is running. Raises Refused, or Unanswered.

    Raises WaitsForNobody also for a repeat, when the approval was the last one: the books know of it.
    """
    return await _said(submitter, workflow_id, "approve", consent, Standing, timeout_seconds)


async def deny(submitter: Submitter, workflow_id: str, denial: Denial, timeout_seconds: float) -> Denied | None:
    """Deny it, and say how it ended; None if nothing of this id is running. Raises Refused, or Unanswered."""
    return await _said(submitter, workflow_id, "deny", denial, Denied, timeout_seconds)


async def _said(
    submitter: Submitter, id: str, name: str, said: Consent | Denial, answer: type[Answer], timeout_seconds: float
) -> Answer | None:
    try:
        return await update(submitter, id, name, said, answer, timeout_seconds)
    except Refused as refused:
        if not str(refused).startswith(f"Update handler for '{name}' expected but not found"):
            raise
        raise WaitsForNobody(f"{said.approver} comes too late: it does not wait for people any more") from refused


async def update(
    submitter: Submitter, workflow_id: str, name: str, said: Any, answer: type[Answer], timeout_seconds: float
) -> Answer | None:
    """Send an update to a workflow; None if nothing of this id is running. Raises Refused, or Unanswered."""
    handle = submitter.client.get_workflow_handle(workflow_id)
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
