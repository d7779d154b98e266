"""Stage: actors who wait for their turn at every step, and every order in which they can be given it.

An actor pauses at a step; once it is given its turn it goes on to its next step, to its end, or until it waits for a
row that another has locked. A schedule is the letters of those whose turn it was, such as `ABBABA`. On SQLite one
writes for all: what `L`, the ledger, does between its steps is everybody's batch.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field

LEDGER = "L"
PATIENCE = 60.0

Words = tuple[str, ...]
Blocked = Callable[[], Awaitable[set[str]]]


@dataclass
class Played:
    """One schedule that was played to its end."""

    turns: list[tuple[str, list[str]]] = field(default_factory=list)
    """Whose turn it was, and who else could have had it."""
    told: dict[str, Words] = field(default_factory=dict)
    """What each actor was told, in its words."""

    @property
    def schedule(self) -> str:
        """Its letters."""
        return "".join(turn for turn, _ in self.turns)


class Stage:
    """Where the actors of one schedule stand."""

    def __init__(self, blocked: Blocked | None) -> None:
        self._blocked = blocked
        self.waiting: set[str] = set()
        """Who waits for the answer of a ledger that all share."""
        self._paused: dict[str, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()

    async def pause(self, name: str) -> None:
        """Wait for this actor's next turn."""
        turn = self._paused[name] = asyncio.get_running_loop().create_future()
        self._changed.set()
        await turn

    async def play(self, actors: Mapping[str, Coroutine[None, None, Words]], prefix: str) -> Played:
        """Play a schedule that begins like this; after that, whoever comes first in the alphabet."""
        tasks = {name: asyncio.create_task(work, name=name) for name, work in actors.items()}
        for task in tasks.values():
            task.add_done_callback(lambda _: self._changed.set())
        played = Played()
        async with asyncio.timeout(PATIENCE):
            while not await self._settled(tasks):
                able = sorted(self._paused)
                wanted = prefix[len(played.turns) : len(played.turns) + 1] or able[0]
                if wanted not in able:
                    raise NoSuchSchedule(f"after {played.schedule or 'nothing'} it cannot be {wanted}'s turn: {able}")
                played.turns.append((wanted, able))
                self._paused.pop(wanted).set_result(None)
        played.told = {name: task.result() for name, task in tasks.items()}
        return played

    async def _settled(self, tasks: Mapping[str, asyncio.Task[Words]]) -> bool:
        """Wait until nobody moves. Returns whether all have ended."""
        for _ in range(5):
            await asyncio.sleep(0)  # whoever was given the turn takes it
        blocked: set[str] = set()
        while self._moving(tasks, blocked):
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), 0.003)
                blocked = set()
            except TimeoutError:
                blocked = await self._blocked() if self._blocked else set()
                if self._changed.is_set():
                    blocked = set()  # somebody took a step meanwhile, and may have let go of what was waited for
        return all(task.done() for task in tasks.values()) and not self._paused

    def _moving(self, tasks: Mapping[str, asyncio.Task[Words]], blocked: set[str]) -> bool:
        still = {name for name, task in tasks.items() if not task.done() and name not in self._paused}
        if LEDGER in self._paused:
            return bool(still - self.waiting)  # the ledger stands, and whoever waits for it
        return bool(still - blocked) or (bool(still) and not self._paused)


class NoSuchSchedule(Exception):
    """A schedule that was asked for cannot be played: somebody whose turn it were waits for a lock, or has ended."""


async def every_schedule(play: Callable[[str], Awaitable[Played]]) -> AsyncIterator[Played]:
    """All of them, each once: at each turn everybody who could have it is given it."""
    prefix: str | None = ""
    while prefix is not None:
        played = await play(prefix)
        yield played
        prefix = _next(played.turns)


def _next(turns: list[tuple[str, list[str]]]) -> str | None:
    """The beginning of the next schedule in the order of the alphabet; None after the last."""
    for at in range(len(turns) - 1, -1, -1):
        turn, able = turns[at]
        if turn != able[-1]:
            return "".join(turn for turn, _ in turns[:at]) + able[able.index(turn) + 1]
    return None
