"""Results: waiting for a workflow's end, and what can be said where there is none."""

import asyncio
from typing import Any, TypeVar

from pydantic import ValidationError
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import KEY_REUSED
from engine.converter import MALFORMED
from ledger.errors import MalformedRequest

Answer = TypeVar("Answer")

_PASSING = (RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED, RPCStatusCode.UNKNOWN)


class Unanswered(Exception):
    """No outcome yet: too slow, not reachable, interrupted. Run the same request again; it cannot do harm."""


class KeyReused(Exception):
    """The ledger knows this id with other content; the message names what differs. Nothing was done."""


def has_no_such_workflow(error: RPCError) -> bool:
    """Whether Temporal has looked for a workflow and knows none.

    That it does not find the namespace is no such answer: a server short of time says so of one with transfers in it.
    """
    if error.status != RPCStatusCode.NOT_FOUND:
        return False
    return not any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)


async def result_of(handle: WorkflowHandle[Any, Answer], timeout_seconds: float) -> Answer:
    """Wait for a workflow's result, through restarts of the server.

    Raises Unanswered, KeyReused or MalformedRequest.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    return await handle.result()
                except RPCError as error:
                    if error.status not in _PASSING:
                        raise Unanswered(f"Temporal did not answer: {error}") from error
                    await asyncio.sleep(0.2)
    except TimeoutError:
        raise Unanswered(f"no outcome within {timeout_seconds:g} s; is a worker running?") from None
    except WorkflowFailureError as error:
        cause = error.cause
        if isinstance(cause, ApplicationError) and cause.type == MALFORMED:
            raise MalformedRequest(cause.message) from error
        if isinstance(cause, ApplicationError) and cause.type == KEY_REUSED:
            raise KeyReused(cause.message) from error
        advice = "submit it again with the same id, which finishes it"
        raise Unanswered(f"{handle.id} was closed without an outcome ({cause}); {advice}") from error
    except ValidationError as error:
        raise Unanswered("the answer cannot be read: the worker is newer than this program") from error
