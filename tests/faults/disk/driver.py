"""Driver: the program on a failing disk. It opens the real ledger, plays the script, and notes each answer at once.

    python -m tests.faults.disk.driver

It imports everything once and then makes a child for each line of JSON on its standard input, because loops over
every write need hundreds of runs. A child says its pid, waits for SIGUSR1 (until a tracer holds it), and runs.
"""

import asyncio
import json
import os
import signal
import sys
from dataclasses import asdict, dataclass, field

import alembic.command  # here, so that no child imports it again
import sqlalchemy.dialects.sqlite.aiosqlite
from sqlalchemy.exc import SQLAlchemyError

from engine.embedded import dies_with_parent
from ledger import database
from ledger.book import Ledger
from ledger.errors import LedgerError, OutcomeUnknown
from tests.faults.disk.script import SCRIPT, Step

__all__ = ["Order", "alembic", "sqlalchemy"]

TRIES = 3
CANNOT_OPEN = 1


@dataclass(frozen=True)
class Order:
    """What a child shall do."""

    url: str
    notes: str
    """The file it writes down in what it was told."""
    dies: bool = False
    """Whether it dies at its first accident. Else it asks again with the same key, and goes on."""
    lines: int = len(SCRIPT)
    """How much of the script it plays. 0: it opens the books and closes them."""
    checkpoint_pages: int | None = None
    """Checkpoint when the write-ahead log has this many pages, so that it happens in between."""
    pragmas: dict[str, str] = field(default_factory=dict)
    """Settings to spoil. The check that would refuse them is switched off: it is what is being shown to matter."""
    leaves_abruptly: bool = False
    """Whether it dies at the end instead of closing the books."""


class Child:
    """One run."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._notes = os.open(order.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    async def run(self) -> int:
        """Open, play, close. Returns the exit status."""
        try:
            async with Ledger.open(self._order.url) as ledger:
                self._note("opened")
                if self._order.checkpoint_pages is not None:
                    await self._checkpoint_often(ledger, self._order.checkpoint_pages)
                for line in SCRIPT[: self._order.lines]:
                    if not all(await asyncio.gather(*(self._ask(ledger, step) for step in line))):
                        break  # as a transfer does, which never goes past a leg without an answer
                if self._order.leaves_abruptly:
                    os.kill(os.getpid(), signal.SIGKILL)
        except (LedgerError, SQLAlchemyError, OSError) as accident:  # as worker.py does
            self._note("the books", accident=f"{type(accident).__name__}: {accident}"[:300])
            if self._order.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            return CANNOT_OPEN
        self._note("closed")
        return 0

    async def _ask(self, ledger: Ledger, step: Step) -> bool:
        for _ in range(TRIES):
            try:
                outcome = await ledger.apply(step.request)
            except LedgerError as accident:
                self._note(step.name, accident=f"{type(accident).__name__}: {accident}"[:300])
                if self._order.dies:
                    os.kill(os.getpid(), signal.SIGKILL)
                if not isinstance(accident, OutcomeUnknown):
                    return False
            else:
                self._note(step.name, kind=outcome.kind.value, code=outcome.code, replayed=outcome.replayed)
                return True
        return False

    async def _checkpoint_often(self, ledger: Ledger, pages: int) -> None:
        async def at_once() -> None: ...

        statement = f"PRAGMA wal_autocheckpoint={pages}"
        await ledger.writer.transaction(lambda connection: connection.exec_driver_sql(statement).close(), at_once)

    def _note(self, name: str, **more: object) -> None:
        os.write(self._notes, json.dumps({"name": name, **more}).encode() + b"\n")


def spoil(pragmas: dict[str, str]) -> None:
    """Change settings of the ledger's connections in this process, and do not let it refuse them."""
    named = dict(pragma.split("=") for pragma in database._SQLITE_PRAGMAS)
    spoilt = tuple(f"{name}={value}" for name, value in (named | pragmas).items())
    database._SQLITE_PRAGMAS = spoilt  # type: ignore[assignment]  # as many as before
    database._SQLITE_SAFE.update({name: ("0", "1", "2", "3", pragmas[name]) for name in pragmas})


def _child(order: Order) -> None:
    if (bound := dies_with_parent(signal.SIGKILL)) is not None:
        bound()
    signal.sigwait([signal.SIGUSR1])
    if order.pragmas:
        spoil(order.pragmas)
    status = asyncio.run(Child(order).run())
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    """Make a child for each order, one at a time, and say its pid and then its exit status."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            _child(Order(**json.loads(line)))
        print(pid, flush=True)  # noqa: T201  # its pipe is the protocol
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)  # noqa: T201  # as above


def as_line(order: Order) -> bytes:
    """An order as the driver reads it."""
    return json.dumps(asdict(order)).encode() + b"\n"


if __name__ == "__main__":
    main()
