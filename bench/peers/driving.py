"""Driving: a contestant is a process that is told, line by line, to move money, and answers how long it took.

Standard library only: every contestant uses it in its own environment. A line in: how many to keep under way, for how
long, to which accounts, and with which number to begin. A line out: the seconds of each transfer and of all. For that
long new ones are begun; those under way are waited for, and count. Ends when its input ends.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass

from bench.peers.work import Movement, movement


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: `way` is the contestant's own word for how it does it. At most `limit` transfers, if there is one."""

    way: str
    in_flight: int
    seconds: float
    hot: bool
    first: int
    limit: int | None = None

    def line(self) -> bytes:
        """The turn as the contestant reads it."""
        return json.dumps(asdict(self)).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a turn took: the seconds of it all, how many transfers it was, and the seconds of each if that is known."""

    seconds: float
    transfers: int
    each: list[float]

    @classmethod
    def read(cls, line: bytes) -> "Taken":
        """The answer to a turn. Raises RuntimeError if there is none, as of a contestant that ended."""
        if not line:
            raise RuntimeError("the contestant ended in the middle of a turn; what it said is above")
        return cls(**json.loads(line))


Way = Callable[[Turn], Awaitable[Taken]]


async def drive(transfer: Callable[[Movement], Awaitable[None]], turn: Turn) -> Taken:
    """Keep so many transfers under way, each run to its end as a user would. Raises what it raises."""
    each: list[float] = []
    begun = 0
    began = time.perf_counter()

    async def caller() -> None:
        nonlocal begun
        while time.perf_counter() - began < turn.seconds and (turn.limit is None or begun < turn.limit):
            number, begun = turn.first + begun, begun + 1
            asked = time.perf_counter()
            await transfer(movement(number, turn.hot))
            each.append(time.perf_counter() - asked)

    await asyncio.gather(*(caller() for _ in range(turn.in_flight)))
    return Taken(time.perf_counter() - began, len(each), each)


async def serve(ways: Mapping[str, Way]) -> None:
    """Say `ready`, and take one turn for each line, until there are no more."""
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        turn = Turn(**json.loads(line))
        print(json.dumps(asdict(await ways[turn.way](turn))), flush=True)
