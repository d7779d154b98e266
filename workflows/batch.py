"""Batch: a file of transfers. Its starter cuts it into chunks; each of them is a workflow, and so is the whole.

    Batch    the file belongs to the id; then it shows how far the starter is, until it is over or cancelled
    Chunk    its lines are settled, each once, and announced

The lines are in the starter's file and not here. Whoever is killed, the same command does what is missing: the chunks
that Temporal knows answer at once, and for every other line the ledger knows.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.batch_messages import BatchOutcome, BatchProgress, BatchRequest, ChunkOutcome, ChunkRequest
    from activities.batching import BatchActivities
    from ledger.keys import Leg, operation_key
    from ledger.operation import OutcomeKind
    from workflows.asking import Asking, key_reused

LAST_REPORT = timedelta(seconds=20)
"""How long a cancelled batch waits for its starter to say what was done. It may be gone."""

ATTEMPT = timedelta(minutes=5)
SILENCE = timedelta(seconds=10)
"""How long a chunk's attempt may say nothing before its worker is taken for dead."""

PROGRESS = "progress"
"""The name in the memo."""


@workflow.defn
class Batch:
    """One file, once per id. The workflow id is `batch/<batch id>`."""

    def __init__(self) -> None:
        self._answered = False
        self._stopping = False
        self._progress = BatchProgress()
        self._lines = 0

    @workflow.run
    async def run(self, request: BatchRequest) -> BatchOutcome:
        """Ends when the starter says so. Raises `KeyReused` for another file; a cancelled one ends as cancelled."""
        asking, self._lines = Asking(), request.lines
        outcome = await asking.until_answered(
            BatchActivities.register_batch, request, operation_key(request.batch_id, Leg.BATCH)
        )
        asking.answered()
        self._answered = True
        if outcome.kind is OutcomeKind.KEY_REUSED:
            self._stopping = True
            await workflow.wait_condition(workflow.all_handlers_finished)
            raise key_reused(outcome.detail)
        try:
            if not _cancelled():
                await workflow.wait_condition(lambda: self._progress.over)
        except asyncio.CancelledError:
            pass
        if not _cancelled():
            await workflow.wait_condition(workflow.all_handlers_finished)
            return BatchOutcome(progress=self._progress)
        self._stopping = True
        self._show("Cancelled; what has begun is being finished.")
        with suppress(asyncio.TimeoutError):
            await workflow.wait_condition(lambda: self._progress.over, timeout=LAST_REPORT)
        await workflow.wait_condition(workflow.all_handlers_finished)
        raise asyncio.CancelledError

    @workflow.update
    async def report(self, progress: BatchProgress) -> bool:
        """The starter says how far it is. Returns whether it shall go on."""
        await workflow.wait_condition(lambda: self._answered)
        self._progress = progress
        workflow.upsert_memo({PROGRESS: progress.model_dump()})
        self._show("Over." if progress.over else "Going on.")
        return not (self._stopping or _cancelled())

    def _show(self, what: str) -> None:
        p = self._progress
        counts = f"{p.settled:,} settled, {p.not_settled:,} not settled, {p.malformed:,} malformed"
        workflow.set_current_details(f"**{p.done:,} of {self._lines:,} lines**: {counts}. {what}")


@workflow.defn
class Chunk:
    """Some lines of a batch. The workflow id is `batch/<batch id>/<first line>-<last line>`."""

    @workflow.run
    async def run(self, chunk: ChunkRequest) -> ChunkOutcome:
        """Settle them, however long that takes. A cancel of the batch lets what has begun come to its end."""
        asking = Asking(attempt=ATTEMPT, silence=SILENCE)
        outcome = await asking.until_answered(BatchActivities.settle, chunk, f"{len(chunk.lines)} lines")
        asking.answered()
        return outcome


def _cancelled() -> bool:
    return workflow.cancellation_reason() is not None
