"""Interleavings: two actors on the real database, in every order in which they can take their steps.

    PostgreSQL    two ledgers; before a transaction, before each read and the first write in it, before and after
                  its commit. Who waits for a row lock has no turn until the other lets go of it
    SQLite        one ledger, which is one process; when each asks, and each step of the ledger's commits

A case is a schedule, such as `late credit/refund: ABBABA`, and `--case` plays exactly that one.
"""

import re
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

from activities.messages import NotificationRequest
from activities.notify import NotifyActivities
from ledger import database
from ledger.audit import audit
from ledger.book import Ledger
from ledger.operation import Outcome
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.run import Run
from tests.faults.schedules.pairs import PAIRS, Pair, World
from tests.faults.schedules.stage import Blocked, Played, Stage, Words, every_schedule
from tests.faults.schedules.steps import Backends, actor, probe, stepping
from tests.support.examples import balances
from tests.support.receiver import RememberingNotifier

QUICK = 12
"""Schedules of each pair in a quick run."""


async def run(run: Run) -> None:
    """See the module."""
    with _patient():
        for pair in PAIRS:
            async with _theatre(run, pair) as theatre:
                await theatre.all()


@asynccontextmanager
async def _theatre(run: Run, pair: Pair) -> AsyncIterator["_Theatre"]:
    url = run.new_database()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(Ledger.open(url))
        two = one if run.database == "sqlite" else await stack.enter_async_context(Ledger.open(url))
        backends: Backends = {}
        blocked = None if two is one else await stack.enter_async_context(probe(url, backends))
        yield _Theatre(run, pair, url, {"A": one, "B": two}, backends, blocked)


class _Theatre:
    """One pair on a database of its own."""

    def __init__(
        self, run: Run, pair: Pair, url: str, ledgers: dict[str, Ledger], backends: Backends, blocked: Blocked | None
    ) -> None:
        self._run, self._pair, self._url, self._ledgers = run, pair, url, ledgers
        self._backends, self._blocked = backends, blocked
        self._shared = blocked is None
        self._played = 0

    async def all(self) -> None:
        """Every schedule, or the one that was asked for."""
        name = f"{self._pair.name}: "
        if exact := re.fullmatch(re.escape(name) + "([A-Z]+)", self._run.only):
            await self._play(exact[1])
        elif self._run.wants(name + "*") or self._run.only.startswith(name) or self._run.only == "*":
            async for _ in every_schedule(self._play):
                if self._run.quick and self._played >= QUICK:
                    break
        if self._played:
            self._run.record.figure(f"schedules of {self._pair.name}", self._played)
            await self._books()

    async def _play(self, prefix: str) -> Played:
        """One schedule from a fresh state, judged."""
        self._played += 1
        world, notifier = World(str(self._played)), RememberingNotifier()
        ledger = self._ledgers["A"]
        await ledger.apply_all(world.opening())
        for request in self._pair.before(world):
            assert (await ledger.apply(request)).applied
        stage = Stage(self._blocked)
        with stepping(stage, self._ledgers, self._backends, fine=self._pair.fine):
            played = await stage.play({name: self._actor(stage, name, world, notifier) for name in "AB"}, prefix)
        has = await balances(ledger, world.alice, world.bob)
        case = f"{self._pair.name}: {played.schedule}"
        if self._run.wants(case):
            with self._run.record.case(case) as trial:
                result = (played.told["A"], played.told["B"], (has[0], has[1]))
                trial.expect(result in self._pair.allowed, f"no order of the two gives {result}")
                trial.expect(len(set(notifier.seen)) <= 1, f"one key, and several bodies: {notifier.seen}")
                self._run.record.effects(1, 0, int(result not in self._pair.allowed), 0, 0)
        return played

    def _actor(
        self, stage: Stage, name: str, world: World, notifier: RememberingNotifier
    ) -> Coroutine[None, None, Words]:
        ledger = self._ledgers[name]
        requests = (self._pair.first if name == "A" else self._pair.second)(world)

        async def act() -> Words:
            actor.set(name)
            words = []
            for request in requests:
                if self._shared:
                    await stage.pause(name)
                try:
                    words.append(_say(await ledger.apply(request)))
                except Exception as accident:
                    words.append(f"{type(accident).__name__}: {accident}")
            if self._pair.notifies:
                await stage.pause(name)
                delivered = await NotifyActivities(ledger, notifier).notify(NotificationRequest(key=world.notification))
                words.append("delivered" if delivered else "was delivered")
            return tuple(words)

        return act()

    async def _books(self) -> None:
        """The books of all schedules of the pair together."""
        with self._run.record.case(f"{self._pair.name}: the books") as trial:
            report = await audit(self._ledgers["A"])
            trial.expect(report.ok, f"the audit found {report.violations}")
            for violation in violations(Evidence(await read_rows(self._url))):
                trial.expect(False, str(violation))


def _say(outcome: Outcome) -> str:
    if outcome.applied:
        return "again" if outcome.replayed else "applied"
    if outcome.fenced:
        return "fenced again" if outcome.replayed else "fenced"
    return " ".join(filter(None, (outcome.kind.value, outcome.code)))


@contextmanager
def _patient() -> Iterator[None]:
    """PostgreSQL's bounds are for production; here an actor stands in its transaction for as long as it takes."""
    before = dict(database._POSTGRESQL_SETTINGS)
    database._POSTGRESQL_SETTINGS.update(lock_timeout="60s", idle_in_transaction_session_timeout="60s")
    try:
        yield
    finally:
        database._POSTGRESQL_SETTINGS.update(before)
