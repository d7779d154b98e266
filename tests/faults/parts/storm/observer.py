"""Observer: looks at the books every 20 ms, through everything, and checks what must hold at every instant.

It does not go through the engine or the storm's proxies; when the database is away, there is nothing to see.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import make_url

from tests.faults.evidence import Observation

PAUSE_SECONDS = 0.02

_TOTALS = "SELECT currency, sum(debits_posted), sum(credits_posted) FROM accounts GROUP BY currency"
_POSTED = "SELECT currency, sum(amount_minor) FROM postings GROUP BY currency"
_TRANSIT = "SELECT currency, credits_posted - debits_posted FROM accounts WHERE id LIKE 'transit:%'"
_ON_THE_WAY = "SELECT currency, sum(amount_minor) FROM transfers WHERE status = 'debited' GROUP BY currency"
_STATUSES = "SELECT status, count(*) FROM transfers GROUP BY status"
_QUESTIONS = (_TOTALS, _POSTED, _TRANSIT, _ON_THE_WAY, _STATUSES)
_SILENCE = (
    sqlite3.Error,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was lost in the middle of a question
)


class Observer:
    """What was seen, and what of it must not be."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self.observations: list[Observation] = []
        self.settled: list[tuple[float, int]] = []
        """How many transfers were settled at which time."""
        self.problems: list[str] = []

    @asynccontextmanager
    async def looking(self) -> AsyncIterator["Observer"]:
        """Look, for the length of the block."""
        task = asyncio.create_task(self._look())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _look(self) -> None:
        while True:
            with contextlib.suppress(*_SILENCE):
                await (self._sqlite() if self._url.get_backend_name() == "sqlite" else self._postgresql())
            await asyncio.sleep(PAUSE_SECONDS)

    async def _sqlite(self) -> None:
        with contextlib.closing(
            sqlite3.connect(f"file:{self._url.database}?mode=ro", uri=True, timeout=0.5, isolation_level=None)
        ) as connection:
            while True:
                connection.execute("BEGIN")
                answers = [connection.execute(question).fetchall() for question in _QUESTIONS]
                connection.execute("ROLLBACK")
                self._note(answers)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _postgresql(self) -> None:
        dsn = self._url.set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(dsn, timeout=2, command_timeout=2)
        try:
            while True:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    answers = [await connection.fetch(question) for question in _QUESTIONS]
                self._note([[tuple(row) for row in rows] for rows in answers])
                await asyncio.sleep(PAUSE_SECONDS)
        finally:
            connection.terminate()

    def _note(self, answers: list[list[tuple[Any, ...]]]) -> None:
        totals, posted, transit, on_the_way, statuses = answers
        seen = Observation(
            time.monotonic(),
            {currency: int(debits) for currency, debits, _ in totals},
            {currency: int(credits) for currency, _, credits in totals},
            _by_currency(posted),
            _by_currency(transit),
            _by_currency(on_the_way),
        )
        self.observations.append(seen)
        self.settled.append((seen.at, dict(statuses).get("settled", 0)))
        for currency, debits in seen.debits.items():
            if not debits == seen.credits[currency] == seen.posted.get(currency, 0):
                self.problems.append(f"I1: not conserved: {seen}")
            if seen.transit_balance.get(currency, 0) != seen.in_transit.get(currency, 0):
                self.problems.append(f"I2: transit is not what is on its way: {seen}")


def _by_currency(rows: Iterable[tuple[Any, ...]]) -> dict[str, int]:
    return {currency: int(amount) for currency, amount in rows}


async def ask(url: str, question: str) -> list[tuple[Any, ...]]:
    """One question to the books, past the engine."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        opened = sqlite3.connect(f"file:{parsed.database}?mode=ro", uri=True, timeout=10)
        with contextlib.closing(opened) as connection:
            return connection.execute(question).fetchall()
    dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(question)]
    finally:
        await connection.close()
