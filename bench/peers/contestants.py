"""Contestants: who takes part, how each is started, in which ways it moves money, and whose books it keeps."""

import enum
import sys
from collections.abc import Callable
from dataclasses import dataclass

from bench.peers import environments
from bench.peers.environments import NotInstalled

EXPRESS, SINGLE, BULK, DBOS, RESTATE = "express", "single", "bulk", "DBOS", "Restate"


class Keeps(enum.Enum):
    """Whose books a contestant keeps, and so how they are counted."""

    OURS = "this engine's"
    THEIRS = "the tables of the others"
    THEIRS_WITH_KEYS = "the same, with a key for each step"
    NOTHING = "nothing that could be wrong"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to move money, to the 1,000 accounts (False), to one hot account (True) or both. `at_most` in flight."""

    name: str
    loads: tuple[bool, ...] = (False, True)
    takes_files: bool = False
    at_most: int = 200


@dataclass(frozen=True, slots=True)
class Contestant:
    """One process, with all that it starts."""

    name: str
    command: tuple[str, ...]
    ways: tuple[Way, ...]
    keeps: Keeps
    arguments: tuple[str, ...] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it runs in this project's own environment."""
        return self.command[0] == sys.executable

    def command_for(self, url: str) -> tuple[str, ...]:
        """The command that starts it on a database."""
        return (*self.command, url, *self.arguments)


def contestants(absent: dict[str, str]) -> list[Contestant]:
    """All of them, installed. Who cannot take part is put into `absent`, with the reason."""
    ways = [
        Way("floor", (False,), at_most=30),
        Way("express floor", (False,), at_most=30),
        Way("raw SQL", (False,), takes_files=True),
    ]
    if found := environments.pgbench():
        ways.append(Way("pgbench"))
    else:
        absent["pgbench"] = "neither the PATH nor PostgreSQL's wheel has it"
    floors = Contestant("the floors", _here("floor_peer"), tuple(ways), Keeps.NOTHING, (str(found),) if found else ())
    engine = (Way(SINGLE), Way(EXPRESS), Way(BULK, takes_files=True))
    everybody: list[Contestant | None] = [
        Contestant("this engine", _here("engine_peer"), engine, Keeps.OURS),
        _installed(DBOS, _dbos, absent),
        _installed(RESTATE, _restate, absent),
        floors,
    ]
    return [contestant for contestant in everybody if contestant is not None]


def _dbos() -> Contestant:
    command = (str(environments.python("dbos")), "-m", "bench.peers.dbos_peer")
    return Contestant(DBOS, command, (Way(DBOS),), Keeps.THEIRS)


def _restate() -> Contestant:
    command = (str(environments.python("restate")), "-m", "bench.peers.restate_peer")
    server = str(environments.restate_server())
    return Contestant(RESTATE, command, (Way(RESTATE),), Keeps.THEIRS_WITH_KEYS, (server,))


def _installed(name: str, make: Callable[[], Contestant], absent: dict[str, str]) -> Contestant | None:
    try:
        return make()
    except NotInstalled as reason:
        absent[name] = str(reason)
        return None


def _here(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"bench.peers.{module}")
