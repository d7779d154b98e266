"""Scenes: the transfers (and the deposit) whose calls are disturbed, and what may come out of each.

settled      the ordinary one: the worker is given its activities together with its workflow tasks
polled       the same, with a worker that polls for its activities
rejected     Alice has too little
closed       Bob's account is closed between debit and credit: refunded
cancelled    somebody cancels between the debit and its answer: refunded, or too late
deposit      money comes in from outside
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

HELD_SECONDS = 3.0
"""How long the debit of a transfer that is to be cancelled waits for the cancel: less than an attempt may take."""


@dataclass(frozen=True)
class Scene:
    """What is played, and what may come out: how much has moved for each final status."""

    name: str
    moves: dict[str, int]
    """Final status -> minor units that moved from Alice to Bob (or, by a deposit, to Alice)."""
    amount_minor: int = 25_00
    is_eager: bool = True
    """Whether the server may give the worker an activity together with the answer to a workflow task."""
    closes_bob: bool = False
    is_cancelled: bool = False
    is_deposit: bool = False


SCENES = (
    Scene("settled", {"settled": 25_00}),
    Scene("polled", {"settled": 25_00}, is_eager=False),
    Scene("rejected", {"rejected": 0}, amount_minor=100_01),
    Scene("closed", {"refunded": 0}, closes_bob=True),
    Scene("cancelled", {"refunded": 0, "cancelled": 0, "settled": 25_00}, is_cancelled=True),
    Scene("deposit", {"applied": 25_00}, is_deposit=True),
)


@dataclass
class Stagehand(Interceptor):
    """Does what a scene needs at the right moment of the worker's activities, once."""

    before_credit: Callable[[], Awaitable[Any]] | None = None
    holds_debit: bool = False
    debited: asyncio.Event = field(default_factory=asyncio.Event)
    """The debit is in the books, and held back with its answer until `released`."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Inbound(next, self)


class _Inbound(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, stagehand: Stagehand) -> None:
        super().__init__(next)
        self._stagehand = stagehand

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        name, hand = activity.info().activity_type, self._stagehand
        if name == "credit" and hand.before_credit is not None:
            work, hand.before_credit = hand.before_credit, None
            await work()
        result = await super().execute_activity(input)
        if name == "debit" and hand.holds_debit:
            hand.holds_debit = False
            hand.debited.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(hand.released.wait(), HELD_SECONDS)
        return result
