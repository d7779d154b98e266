"""Callers: each runs its command as the starter would, and runs the same one again as long as the answer is unknown."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities.messages import DepositRequest, LegOutcome, TransferOutcome, TransferRequest
from engine.connection import NotReachable, connect
from engine.plugin import ClientPlugin
from engine.results import Unanswered
from engine.settings import Settings
from engine.submitting import Submitter
from tests.faults.evidence import Answer
from tests.faults.parts.rpc_fates.branch import Branch

PATIENCE_SECONDS = 45.0
"""How long one command waits for an outcome before it says that it is unknown."""

Command = Callable[[Submitter], Awaitable[TransferOutcome]]


@dataclass(frozen=True)
class Callers:
    """Everybody who calls about the transfers of one case, all through the same proxy."""

    settings: Settings
    address: str
    task_queue: str
    branch: Branch

    async def transfer(self, request: TransferRequest, caller: str) -> Answer:
        """Submit a transfer until it is answered."""

        async def command(submitter: Submitter) -> TransferOutcome:
            submitted = await submitter.transfer(request)
            assert not submitted.differences, submitted.differences
            return await submitter.outcome(submitted, TransferOutcome, PATIENCE_SECONDS)

        return await self._until_answered(request, caller, command)

    async def cancel(self, request: TransferRequest, asked: asyncio.Event) -> Answer:
        """Ask for a cancel until it is answered. `asked` is set when Temporal has said that it knows of it."""

        async def command(submitter: Submitter) -> TransferOutcome:
            found = await submitter.find(request.transfer_id)
            assert found is not None, "Temporal does not know a transfer that it has begun"
            if not found.replayed:
                await submitter.cancel(request.transfer_id, "changed my mind")
            asked.set()
            return await submitter.outcome(found, TransferOutcome, PATIENCE_SECONDS)

        return await self._until_answered(request, "cancel", command)

    async def deposit(self, request: DepositRequest) -> LegOutcome:
        """Submit a deposit until it is answered."""
        while True:
            try:
                submitter = await self._submitter()
                submitted = await submitter.deposit(request)
                assert not submitted.differences, submitted.differences
                return await submitter.outcome(submitted, LegOutcome, PATIENCE_SECONDS)
            except (Unanswered, NotReachable):
                await asyncio.sleep(0.05)

    async def _until_answered(self, request: TransferRequest, caller: str, command: Command) -> Answer:
        while True:
            answer = await self._once(request, caller, command)
            self.branch.answers.append(answer)
            if answer.status is not None:
                return answer
            await asyncio.sleep(0.05)

    async def _once(self, request: TransferRequest, caller: str, command: Command) -> Answer:
        content = (request.source, request.destination, request.amount_minor, request.currency)
        asked_at = time.monotonic()
        try:
            outcome = await command(await self._submitter())
        except (Unanswered, NotReachable) as unknown:  # anything else is no accident, and fails the case
            error = type(unknown).__name__
            return Answer(caller, request.transfer_id, content, asked_at, time.monotonic(), 5, error=error)
        exit = 0 if outcome.status == "settled" else 3
        return Answer(
            caller,
            request.transfer_id,
            content,
            asked_at,
            time.monotonic(),
            exit,
            outcome.status,
            outcome.reason,
            outcome.replayed,
        )

    async def _submitter(self) -> Submitter:
        """A connection of its own for each command, as each is a process of its own."""
        return Submitter(await connect(self.settings, [ClientPlugin()], self.address), self.task_queue)
