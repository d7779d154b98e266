"""Batching: the lines of a bulk transfer, as Temporal activities. Translation only, as in `ledger.py`.

A chunk's transfers are settled first and announced afterwards, both for many at a time. What the receiver does not take
then is left to the sweep: the money's state does not depend on who knows it, nor does the batch wait for it.
"""

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.batch_messages import BatchRequest, ChunkOutcome, ChunkRequest, LineAnswer
from activities.messages import LegOutcome
from activities.notifiers import Deliverable, Notifier
from ledger.book import Ledger
from ledger.errors import MalformedRequest
from ledger.failpoints import passing
from ledger.keys import Leg, notification_key, operation_key
from ledger.notification import Notification
from ledger.operation import MarkDelivered, Outcome, Settle
from ledger.transfer import Status

HEARTBEAT_SECONDS = 1.0
DELIVERING_SECONDS = 10.0
"""How long a chunk's notifications may take. It is a bound on how long a batch waits for a slow receiver."""

REASON_LENGTH = 120
"""The longest reason in an answer, in characters: those of a whole chunk stay far below Temporal's limits."""


class BatchActivities:
    """The ledger and the way out, for many transfers at a time."""

    def __init__(self, ledger: Ledger, notifier: Notifier) -> None:
        self._ledger = ledger
        self._notifier = notifier

    @activity.defn
    async def register_batch(self, request: BatchRequest) -> LegOutcome:
        """The file belongs to the id from now on, under `<batch id>/batch`. Moves nothing."""
        return LegOutcome.of(await self._ledger.apply(request.as_operation()))

    @activity.defn
    async def settle(self, chunk: ChunkRequest) -> ChunkOutcome:
        """Every line of a chunk, each under its own keys. Idempotent, line by line."""
        try:
            requests = chunk.as_requests()
        except MalformedRequest as error:
            raise ApplicationError(str(error), type="MalformedRequest", non_retryable=True) from error
        keys = [operation_key(chunk.batch_id, Leg.BATCH)]
        async with _alive():
            await passing("activity.before_work", keys)
            outcomes = await self._ledger.apply_many(requests)
            await self._announce(outcomes)
            await passing("activity.before_completion", keys)
        gc.collect()  # finished workflows are cycles, each with its whole chunk: their few objects never get it going
        return ChunkOutcome(lines=len(requests), otherwise=_otherwise(requests, outcomes))

    async def _announce(self, outcomes: Sequence[Outcome]) -> None:
        """Deliver what is not known to be delivered, for a while, and note what has arrived."""
        pending = await self._pending(outcomes)
        arrived: list[str] = []
        try:
            async with asyncio.timeout(DELIVERING_SECONDS):
                await self._notifier.deliver_many(pending, arrived)
        except Exception as error:
            activity.logger.warning(
                "%s of %s notifications are left to the sweep: %s", len(pending) - len(arrived), len(pending), error
            )
        if arrived:
            await self._ledger.apply(MarkDelivered(tuple(arrived)))

    async def _pending(self, outcomes: Sequence[Outcome]) -> list[Deliverable]:
        """What these outcomes have put into the outbox. Only what may have left it since is looked for there."""
        fresh: dict[str, Deliverable] = {}
        earlier: set[str] = set()
        for outcome in outcomes:
            if (state := outcome.state) is None or not state.status.terminal:
                continue
            key = notification_key(state.transfer.id, state.status)
            if outcome.replayed or outcome.key_reused:
                earlier.add(key)
            else:
                fresh[key] = Notification(key, state)
        if looked_for := earlier - fresh.keys():
            return [*fresh.values(), *await self._ledger.undelivered_among(sorted(looked_for))]
        return list(fresh.values())


def _otherwise(requests: Sequence[Settle], outcomes: Sequence[Outcome]) -> list[LineAnswer]:
    """The lines that were not plainly settled by this batch."""
    return [
        answer
        for place, (request, outcome) in enumerate(zip(requests, outcomes, strict=True))
        if not _is_plainly_settled(request, outcome)
        and (answer := _line(place, request, outcome))[1:] != (Status.SETTLED, None, False)
    ]


def _is_plainly_settled(request: Settle, outcome: Outcome) -> bool:
    state = outcome.state  # the answer to nearly every line, so it is looked for first
    return state is not None and state.status is Status.SETTLED and state.detail == request.mark and outcome.applied


def _line(place: int, request: Settle, outcome: Outcome) -> LineAnswer:
    state = outcome.state
    if outcome.key_reused or state is None:
        return place, outcome.kind.value, (outcome.detail or "")[:REASON_LENGTH], False
    by_us = state.detail is not None and (state.detail == request.mark or state.detail.endswith(f"({request.mark})"))
    return place, state.status.value, state.reason, not by_us


@asynccontextmanager
async def _alive() -> AsyncIterator[None]:
    """Tell Temporal every second that this worker lives, for as long as the block takes."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
