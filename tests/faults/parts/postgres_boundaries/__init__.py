"""C. Database boundaries on PostgreSQL: the conversation is cut at each of its messages, before it and after it.

    every message    N = 1, 2, 3 ... of either side, until a run completes without reaching the nth
    every COMMIT     before it is forwarded; after; and after it was carried out, its answer swallowed
    backend killed   by pg_terminate_backend, around the commit
    Temporal         the same at every COMMIT of a whole transfer with a real worker

After each, the same key has been asked until there was an answer, and must have been applied exactly once.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.audit import audit
from ledger.book import Ledger
from ledger.database import open_database, parse_url
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.kinds import Kind
from tests.faults.parts.postgres_boundaries.backend_kill import kill_backends
from tests.faults.parts.postgres_boundaries.conversations import CONVERSATIONS, Conversation, Talk
from tests.faults.parts.postgres_boundaries.whole_transfers import whole_transfers
from tests.faults.proxies.postgres import Cut, Plan, PostgresProxy, Seen, Side, at_commit, at_message, undisturbed
from tests.faults.record import Trial
from tests.faults.run import Run

CASE_SECONDS = 60.0
LINES = 4
"""How many conversations are held at the same time, each through a proxy of its own."""
QUICK_CASES = 8

KINDS = {
    Cut.BEFORE: Kind.POSTGRES_CUT_BEFORE,
    Cut.AFTER: Kind.POSTGRES_CUT_AFTER,
    Cut.UNANSWERED: Kind.POSTGRES_CUT_AFTER,
}


@dataclass(frozen=True)
class Boundary:
    """Where conversations of one kind are cut: `plan` makes the plan for the nth."""

    conversation: Conversation
    counted: str
    """What is counted: a side's messages, or COMMIT."""
    cut: Cut
    plan: Callable[[int], Plan]
    first: int = 1
    step: int = 1

    @property
    def name(self) -> str:
        """What is counted, and where it is cut."""
        return f"{self.conversation.name}/{self.counted}/{self.cut}"

    def case(self, nth: int) -> str:
        """The name of the nth case."""
        return f"{self.name}#{nth}"


async def run(run: Run) -> None:
    """Every boundary of every conversation, then the backends, then whole transfers."""
    if not run.every_case:
        run.record.gap(
            "Messages of PostgreSQL's conversation: each place between two is cut once, before the later or after the "
            "earlier, as the seed says; both with --every-case"
        )
    url = run.new_database()
    async with Ledger.open(url) as books:
        await _cut_everywhere(run, url, books)
        await kill_backends(run, url, books)
        with run.record.case("ledger/books") as trial:
            trial.problems += map(str, violations(Evidence(await read_rows(url))))
            trial.problems += map(str, (await audit(books)).violations)
    await whole_transfers(run)


def _boundaries(run: Run, conversation: Conversation) -> list[Boundary]:
    """Before one message of a side is after the one before it: a run tries before every second one, and after the rest.

    Which, the seed chooses; with --every-case, both at each.
    """
    step = 1 if run.every_case or run.only != "*" else 2

    def messages(side: Side, cut: Cut) -> Boundary:
        first = 1 + (run.seed + (cut is Cut.AFTER)) % step
        return Boundary(conversation, side, cut, lambda nth: at_message(side, nth, cut), first, step)

    def commits(cut: Cut) -> Boundary:
        return Boundary(conversation, "COMMIT", cut, lambda nth: at_commit(nth, cut))

    every = [messages(side, cut) for side in Side for cut in (Cut.BEFORE, Cut.AFTER)]
    return [*every, *(commits(cut) for cut in Cut)]


async def _cut_everywhere(run: Run, url: str, books: Ledger) -> None:
    boundaries = [boundary for conversation in CONVERSATIONS for boundary in _boundaries(run, conversation)]
    waiting: asyncio.Queue[Boundary] = asyncio.Queue()
    for boundary in run.random.sample(boundaries, QUICK_CASES) if run.quick else boundaries:
        waiting.put_nowait(boundary)

    async def in_turn() -> None:
        async with PostgresProxy.running(url) as proxy:
            line = _Line(run, proxy, open_database(parse_url(proxy.url)), books)
            while not waiting.empty():
                await line.cut_at_each(waiting.get_nowait())

    await asyncio.gather(*(in_turn() for _ in range(LINES)))


@dataclass
class _Line:
    """A proxy and an engine behind it, for one conversation after another, each over a connection of its own."""

    run: Run
    proxy: PostgresProxy
    engine: AsyncEngine
    books: Ledger

    async def cut_at_each(self, boundary: Boundary) -> None:
        """N = 1, 2, 3 ... until a run completes without reaching the nth. A quick run tries one N of them."""
        there_are = await self._undisturbed(boundary)
        for nth in (
            [self.run.random.randint(1, there_are)]
            if self.run.quick
            else itertools.count(boundary.first, boundary.step)
        ):
            reached = not self.run.wants(boundary.case(nth)) or await self._cut_at(boundary, nth, there_are)
            if not reached or nth > there_are:
                break

    async def _undisturbed(self, boundary: Boundary) -> int:
        """How many there are of what a boundary counts."""
        with self.run.record.case(f"{boundary.name}/undisturbed") as trial:
            for _ in range(2):  # an engine's very first connection asks more than every later one does
                talk = await self._prepared(boundary)
                self.proxy.count_anew(undisturbed)
                await self._talk(talk, trial)
        return self.proxy.count[boundary.counted]

    async def _cut_at(self, boundary: Boundary, nth: int, there_are: int) -> bool:
        """One case. False if the conversation was over before the nth, as it must be after the last."""
        talk = await self._prepared(boundary)

        def before(seen: Seen, cut: Cut) -> None:
            self.run.record.fault(KINDS[cut], f"{boundary.conversation.name}: {seen} {cut}")

        self.proxy.before = before
        self.proxy.count_anew(boundary.plan(nth))
        name = boundary.case(nth) if nth <= there_are else f"{boundary.name}/complete without the next"
        with self.run.record.case(name) as trial:
            async with asyncio.timeout(CASE_SECONDS):
                await self._talk(talk, trial)
            trial.expect(bool(self.proxy.fired) == (nth <= there_are), f"cut {self.proxy.fired} of {there_are}")
        self.run.record.effects(1, 0, int(bool(trial.problems)), 0, 0)
        return bool(self.proxy.fired)

    async def _prepared(self, boundary: Boundary) -> Talk:
        talk = Talk(boundary.conversation, self.books)
        await talk.prepare()
        return talk

    async def _talk(self, talk: Talk, trial: Trial) -> None:
        """Hold a conversation from its first message on: with no connection from before."""
        await self.engine.dispose()
        trial.problems += await talk.hold(Ledger(self.engine))
        await self.engine.dispose()
        trial.problems += await talk.wrong()
