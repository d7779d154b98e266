"""Sweeping: find what stands still in the books although nobody works on it, and start its workflow again.

    unfinished in the books, and its workflow
        is running                        left alone
        is gone, or closed in the middle  started again, from the books, with the same keys
        completed                         the books and Temporal disagree: left alone, and named

A workflow that is started again answers from the ledger or goes on from there, as for any caller who asks twice.
Nothing here writes to the books, so that two sweeps at once, or half a sweep, do no harm.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, TypeVar

from temporalio import activity

from activities.messages import NotificationRequest, SweepRequest, SweepSummary, TransferRequest
from activities.terms import asked_again
from ledger.keys import Leg, notified, operation_key
from ledger.reader import START, Place, Reader, Undelivered, Unfinished

LONGEST = 240.0
"""Seconds after which a sweep stops looking; the next one goes on. Half of them are for transfers, which could
otherwise keep it from the notifications for ever."""

RESTARTS = 1000
"""The most transfers, and the most notifications, that one sweep starts again. What is merely running does not count,
or a thousand transfers that wait for something would hide the orphan behind them."""

NAMED = 50
"""The most transfers that a summary names: it stays far below Temporal's limits."""

PAGE = 1000
_TOGETHER = 20


class Standing(StrEnum):
    """What Temporal knows of a workflow."""

    RUNNING = "running"
    COMPLETED = "completed"
    GONE = "gone"
    """Temporal does not know it, or it was closed without an outcome."""


class Workflows(Protocol):
    """What a sweep needs of Temporal; the engine has it. Raises when Temporal does not answer."""

    async def of_transfer(self, transfer_id: str) -> Standing:
        """How the workflow of a transfer stands."""

    async def of_entry(self, key: str) -> Standing:
        """How the workflow of the entry with this key stands."""

    async def of_notification(self, key: str) -> Standing:
        """How the workflow of a notification stands."""

    async def restart_transfer(self, request: TransferRequest) -> bool:
        """Submit a transfer as its caller did. False if somebody else was there first."""

    async def restart_notification(self, request: NotificationRequest) -> None:
        """Start the workflow that delivers a notification, unless it is running."""


class Found(StrEnum):
    """What became of one thing that a sweep looked at."""

    RESTARTED = "restarted"
    RUNNING = "running"
    FINISHED = "finished"
    DISAGREEING = "disagreeing"
    UNANSWERED = "unanswered"


class SweepActivities:
    """The books, and a way to Temporal."""

    def __init__(self, books: Reader, workflows: Workflows) -> None:
        self._books = books
        self._workflows = workflows

    @activity.defn
    async def sweep(self, request: SweepRequest) -> SweepSummary:
        """Look at everything that stands still, once, and start again what nobody works on.

        An attempt that died is made again from the start; what it had started again then counts as running.
        """
        before = time.time_ns() // 1000 - int(request.older_than_seconds * 1_000_000)
        began = time.monotonic()
        activity.heartbeat(0)
        transfers, notifications = Tally(), Tally()
        complete = await _each(self._books.unfinished, self._transfer, transfers, before, began + LONGEST / 2)
        complete &= await _each(self._books.undelivered, self._notification, notifications, before, began + LONGEST)
        if transfers.disagreeing_ids:
            named = ", ".join(transfers.disagreeing_ids)
            activity.logger.warning("unfinished in the books, but Temporal says completed: %s", named)
        return SweepSummary(
            looked_at=transfers.found.total(),
            restarted=transfers.found[Found.RESTARTED],
            running=transfers.found[Found.RUNNING],
            disagreeing=transfers.found[Found.DISAGREEING],
            disagreeing_ids=tuple(transfers.disagreeing_ids),
            notifications_looked_at=notifications.found.total(),
            notifications_restarted=notifications.found[Found.RESTARTED],
            unanswered=transfers.found[Found.UNANSWERED] + notifications.found[Found.UNANSWERED],
            more=not complete,
        )

    async def _transfer(self, unfinished: Unfinished) -> Found:
        transfer = unfinished.state.transfer
        standing = await self._workflows.of_transfer(transfer.id)
        if standing is Standing.RUNNING:
            return Found.RUNNING
        if standing is Standing.COMPLETED:
            return await self._disagreeing_or_finished(transfer.id)
        debit = await self._books.asked(operation_key(transfer.id, Leg.DEBIT))
        if not await self._workflows.restart_transfer(asked_again(transfer, debit)):
            return Found.RUNNING
        activity.logger.warning(
            "%s stood in %s and nobody worked on it: started again", transfer.id, unfinished.state.status
        )
        return Found.RESTARTED

    async def _disagreeing_or_finished(self, transfer_id: str) -> Found:
        """It may have ended between the look at the books and the look at Temporal."""
        state = await self._books.transfer(transfer_id)
        return Found.FINISHED if state is not None and state.status.terminal else Found.DISAGREEING

    async def _notification(self, undelivered: Undelivered) -> Found:
        """The transfer or the entry tells it while it ends; later it is left to a workflow of its own."""
        if await self._workflows.of_notification(undelivered.key) is Standing.RUNNING:
            return Found.RUNNING
        if undelivered.transfer_id is None:
            standing = await self._workflows.of_entry(notified(undelivered.key))
        else:
            standing = await self._workflows.of_transfer(undelivered.transfer_id)
        if standing is Standing.RUNNING:
            return Found.RUNNING
        await self._workflows.restart_notification(NotificationRequest(key=undelivered.key))
        activity.logger.warning("%s was not delivered and nobody worked on it: started again", undelivered.key)
        return Found.RESTARTED


@dataclass(slots=True)
class Tally:
    """How often each kind was found, and the first ids that the books and Temporal disagree about."""

    found: Counter[Found] = field(default_factory=Counter)
    disagreeing_ids: list[str] = field(default_factory=list)

    def count(self, id: str, found: Found) -> None:
        """Note one."""
        self.found[found] += 1
        if found is Found.DISAGREEING and len(self.disagreeing_ids) < NAMED:
            self.disagreeing_ids.append(id)


Standstill = TypeVar("Standstill", Unfinished, Undelivered)
Ask = Callable[[int, Place, int], Awaitable[Sequence[Standstill]]]


async def _each(
    ask: Ask[Standstill], look: Callable[[Standstill], Awaitable[Found]], tally: Tally, before: int, end: float
) -> bool:
    """Page through an answer of the books and look at each. False when it stopped before the last one."""
    place = START
    while page := await ask(before, place, PAGE):
        for first in range(0, len(page), _TOGETHER):
            over = time.monotonic() > end or activity.is_worker_shutdown()  # a deploy need not wait for a long line
            if over or tally.found[Found.RESTARTED] >= RESTARTS:
                return False
            some = page[first : first + _TOGETHER]
            for one, found in zip(some, await asyncio.gather(*(_look(look, one) for one in some)), strict=True):
                tally.count(one.place[1], found)
            activity.heartbeat(tally.found.total())
        if len(page) < PAGE:
            return True
        place = page[-1].place
    return True


async def _look(look: Callable[[Standstill], Awaitable[Found]], one: Standstill) -> Found:
    """One that cannot be looked at, for whatever reason, does not keep the others from it."""
    try:
        return await look(one)
    except Exception as error:
        activity.logger.warning("no answer about %s: %s", one.place[1], error)
        return Found.UNANSWERED
