"""Batching: how the starter has a batch done, chunk by chunk, so that running it again does only what is missing.

    the batch    submitted as any other thing: another file under its id is `key_reused`
    a chunk      running: wait for it; closed: its outcome; unknown: started, and the ledger knows line by line

At most `IN_FLIGHT` chunks are on their way: enough for the ledger never to wait for the starter, and few enough for
memory to stay flat, whatever the length of the file.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import timedelta
from typing import Protocol, TypeVar

from temporalio.client import (
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.batch_messages import BatchOutcome, BatchProgress, BatchRequest, ChunkOutcome, ChunkRequest
from engine.results import Unanswered, has_no_such_workflow, result_of
from engine.submitting import Submitted, Submitter

IN_FLIGHT = 3
REPORT = timedelta(seconds=10)
"""How long a report of the progress may take."""

PROGRESS = "progress"
_NOT_HEARD = (RPCError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError)


class HasRequest(Protocol):
    """Some lines of a file; `request` is what is asked of them, None if none can be."""

    @property
    def request(self) -> ChunkRequest | None:
        """What is asked."""


Chunk = TypeVar("Chunk", bound=HasRequest)


class Batches:
    """Batches on a Temporal cluster. Every method may be called again with the same arguments."""

    def __init__(self, submitter: Submitter) -> None:
        self._submitter = submitter
        self._client = submitter.client

    async def submit(self, request: BatchRequest) -> Submitted:
        """Start a batch, or find it."""
        content = request.as_operation().content
        summary = f"{request.lines:,} lines"
        return await self._submitter.submit(
            "Batch", batch_workflow_id(request.batch_id), request, content, "batch-v1", static_summary=summary
        )

    async def begin(self, submitted: Submitted, timeout_seconds: float) -> None:
        """Wait until the file is known to belong to the id. Raises KeyReused or Unanswered."""
        try:
            async with asyncio.timeout(timeout_seconds):
                while await self._is_open(submitted.workflow_id):
                    with suppress(*_NOT_HEARD):
                        if await self._update(submitted.workflow_id, BatchProgress()):
                            return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise Unanswered(f"no answer within {timeout_seconds:g} s; is a worker running?") from None
        await self._submitter.outcome(submitted, BatchOutcome, timeout_seconds)  # it has ended, or is about to: why?

    async def report(self, batch_id: str, progress: BatchProgress) -> bool:
        """Say how far the batch is. Returns whether to go on: False once it was cancelled. Silence is no answer."""
        id = batch_workflow_id(batch_id)
        try:
            async with asyncio.timeout(REPORT.total_seconds()):
                return await self._update(id, progress)
        except (*_NOT_HEARD, TimeoutError):
            found = await self.find(batch_id)
        return found is None or found[0] in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)

    async def find(self, batch_id: str) -> tuple[WorkflowExecutionStatus, str | None, BatchProgress | None] | None:
        """A batch's status, run and last report as Temporal knows them; None if it does not (any more).

        Raises Unanswered when Temporal does not answer.
        """
        try:
            there = await self._client.get_workflow_handle(batch_workflow_id(batch_id)).describe()
        except RPCError as error:
            if has_no_such_workflow(error):
                return None
            raise Unanswered(f"Temporal did not answer: {error}") from error
        said = await there.memo_value(PROGRESS, None, type_hint=BatchProgress)
        assert there.status is not None
        return there.status, there.run_id, said

    async def cancel(self, batch_id: str, reason: str, timeout_seconds: float) -> None:
        """Ask for a batch to be stopped, and wait for its end. Raises Unanswered."""
        handle = self._client.get_workflow_handle(batch_workflow_id(batch_id))
        try:
            await handle.cancel(reason=reason)
        except RPCError as error:
            if not has_no_such_workflow(error):
                raise Unanswered(f"Temporal did not answer: {error}") from error
        try:
            async with asyncio.timeout(timeout_seconds):
                while (found := await self.find(batch_id)) and found[0] is WorkflowExecutionStatus.RUNNING:
                    await asyncio.sleep(0.2)
        except TimeoutError:
            raise Unanswered(f"no answer within {timeout_seconds:g} s; is a worker running?") from None

    async def in_order(
        self, chunks: Iterable[Chunk], timeout_seconds: float, going_on: Callable[[], bool]
    ) -> AsyncIterator[tuple[Chunk, ChunkOutcome | None]]:
        """Have chunks settled, some at a time, and yield each with its outcome in the order of the file.

        Ends after what has begun when `going_on` says no. Raises Unanswered when there is no outcome for so long.
        """
        flying: deque[tuple[Chunk, asyncio.Task[ChunkOutcome | None]]] = deque()
        waiting = iter(chunks)
        try:
            while True:
                while len(flying) < IN_FLIGHT and going_on() and (chunk := next(waiting, None)) is not None:
                    flying.append((chunk, asyncio.create_task(self._settled(chunk.request, timeout_seconds))))
                    await asyncio.sleep(0)  # let it be sent before the next one is read
                if not flying:
                    return
                chunk, outcome = flying.popleft()
                yield chunk, await outcome
        finally:
            for _, outcome in flying:
                outcome.cancel()

    async def _settled(self, chunk: ChunkRequest | None, timeout_seconds: float) -> ChunkOutcome | None:
        if chunk is None:
            return None
        id = f"{batch_workflow_id(chunk.batch_id)}/{chunk.lines[0]}-{chunk.lines[-1]}"
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._start(id, chunk)
        except TimeoutError:
            raise Unanswered(f"Temporal did not answer within {timeout_seconds:g} s") from None
        handle: WorkflowHandle[object, ChunkOutcome] = self._client.get_workflow_handle(id, result_type=ChunkOutcome)
        return await result_of(handle, timeout_seconds)

    async def _start(self, id: str, chunk: ChunkRequest) -> None:
        try:
            await self._client.start_workflow(
                "Chunk",
                chunk,
                id=id,
                task_queue=self._submitter.task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                static_summary=f"{len(chunk.lines):,} lines of {chunk.batch_id}",
            )
        except WorkflowAlreadyStartedError:
            return  # and completed: its outcome is there
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error

    async def _is_open(self, id: str) -> bool:
        """Whether a batch could still be begun, as far as anybody knows: silence is no answer."""
        try:
            return (await self._client.get_workflow_handle(id).describe()).status is WorkflowExecutionStatus.RUNNING
        except RPCError as error:
            return not has_no_such_workflow(error)

    async def _update(self, id: str, progress: BatchProgress) -> bool:
        handle, task = self._client.get_workflow_handle(id), asyncio.current_task()
        try:
            return bool(await handle.execute_update("report", progress, rpc_timeout=REPORT))
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            if task is not None and task.cancelling():  # the SDK says the same of a cancel of its caller
                raise asyncio.CancelledError from None
            raise


def batch_workflow_id(batch_id: str) -> str:
    """The workflow id of a batch: `batch/<batch id>`."""
    return f"batch/{batch_id}"
