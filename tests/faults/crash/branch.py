"""A branch of the bank: books, a task queue and a worker process of its own, which is replaced whenever it dies.

Cases are played in it one after the other, so that what a fault does is seen in its own case and in no other.
"""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from engine.results import Unanswered
from engine.submitting import Submitter
from ledger.book import Ledger
from tests.faults.crash import caller, instrumented_worker
from tests.faults.crash.instrumented_worker import Place
from tests.faults.crash.receiver import Receiver
from tests.faults.crash.said import Said
from tests.faults.crash.scenarios import Scenario, accounts_of, b_of, funds_of
from tests.faults.evidence import Answer, Rows, read_rows
from tests.support.forks import Fork

LEAST_PATIENCE = 120.0


@dataclass
class Surroundings:
    """What all branches share."""

    client: Client
    temporal: str
    receiver: Receiver
    folder: Path
    new_database: Callable[[], str]
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Migrations of one process must not overlap: alembic's context is the process's own."""


@dataclass
class Branch:
    """See the module. Make one with `open_branch`."""

    place: Place
    surroundings: Surroundings
    answers: list[Answer] = field(default_factory=list)
    deaths: list[int] = field(default_factory=list)
    worker: Fork | None = None
    _alive: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self) -> None:
        """Start a worker, and another whenever it dies."""
        while True:
            self.worker = Fork(instrumented_worker.main, self.place, "")
            with contextlib.suppress(EOFError):
                assert await self.worker.hear() == "ready"
                self._alive.set()
            self.deaths.append(await self.worker.ended())
            self._alive.clear()

    async def say(self, *message: Any) -> Any:
        """Tell the worker something, and hear what it answers."""
        while True:
            await self._alive.wait()
            assert self.worker is not None
            with contextlib.suppress(EOFError):
                self.worker.tell(*message)
                return await self.worker.hear()
            await asyncio.sleep(0.01)

    def fired(self) -> list[dict[str, Any]]:
        """What fired in this branch, from the file that was synced before it did."""
        path = Path(self.place.fired)
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    async def definite(self, scenario: Scenario, id: str) -> Said:
        """Ask again and again until there is an answer. Raises TimeoutError when there is none for very long."""
        submitter = Submitter(self.surroundings.client, self.place.task_queue)
        async with asyncio.timeout(LEAST_PATIENCE):
            while True:
                asked_at = time.monotonic()
                try:
                    said = await scenario.ask(submitter, id)
                except Unanswered as error:
                    self._note(scenario, id, asked_at, error=type(error).__name__)
                    continue
                self._note(scenario, id, asked_at, said)
                return said

    async def call(self, scenario: Scenario, id: str, armed: str) -> tuple[Any, int | None]:
        """Ask once, by a process of its own. Returns what it said, if anything, and the signal that killed it."""
        asked_at = time.monotonic()
        process = Fork(caller.main, self.place, scenario.name, id, armed)
        try:
            said = await process.hear()
        except EOFError:
            said = None
        exit = await process.ended()
        match said:
            case ("told", answer, _):
                self._note(scenario, id, asked_at, answer)
            case ("failed", error, _):
                accident = error.partition(":")[0]  # its own fault stands for any end of a caller in the middle
                self._note(scenario, id, asked_at, error="Interrupted" if accident == "FailpointError" else accident)
            case _:
                self._note(scenario, id, asked_at, error="Killed")
        return said, exit if exit < 0 else None

    async def wait(self, workflow_id: str) -> None:
        """Wait until a workflow that must be there has ended."""
        async with asyncio.timeout(LEAST_PATIENCE):
            await self.surroundings.client.get_workflow_handle(workflow_id).result()

    async def rows(self) -> Rows:
        """The books as they are."""
        return await read_rows(self.place.ledger_url)

    def _note(
        self, scenario: Scenario, id: str, asked_at: float, said: Said | None = None, error: str | None = None
    ) -> None:
        if not scenario.is_transfer:
            return
        status = said.status if said else None
        self.answers.append(
            Answer(
                "caller",
                id,
                (f"{id}-a", b_of(id), scenario.amount_minor, "USD"),
                asked_at,
                time.monotonic(),
                0 if status == "settled" else 3 if status else 5,
                status,
                said.reason if said else None,
                error=error,
            )
        )


@contextlib.asynccontextmanager
async def open_branch(surroundings: Surroundings, name: str, ids: Sequence[str]) -> AsyncIterator[Branch]:
    """A branch with the accounts of each id, and a worker that is ready."""
    async with surroundings.one_at_a_time:
        url = await asyncio.to_thread(surroundings.new_database)
        async with Ledger.open(url) as ledger:
            await ledger.apply_all([opening for id in ids for opening in accounts_of(id)])
            await ledger.apply_all([deposit for id in ids for deposit in funds_of(id)])
    fired = surroundings.folder / f"{name}.jsonl"
    place = Place(surroundings.temporal, name, url, surroundings.receiver.url, str(fired))
    branch = Branch(place, surroundings)
    keeping = asyncio.create_task(branch.keep(), name=f"keeping {name}")
    try:
        yield branch
    finally:
        keeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await keeping
        if branch.worker is not None:
            await branch.worker.end()


KILLED = -signal.SIGKILL
