"""Writer: one transaction that writes, for each of the two databases. The work in it is plain, blocking code.

    SQLite        a thread of its own with one connection: a batch is two visits to it, the work and the commit
    PostgreSQL    a connection of the pool: every statement is a round trip that the event loop waits for anyway

Through an asynchronous SQLite driver each statement would be several visits to a thread, and each visit costs more
than the statement does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger.database import BEGIN, open_blocking

T = TypeVar("T")
Work = Callable[[Connection], T]
BeforeCommit = Callable[[], Awaitable[None]]


class Writer(Protocol):
    """The way to write."""

    sync_engine: Engine

    async def transaction(self, work: Work[T], before_commit: BeforeCommit) -> T:
        """Run `work` in one transaction, then `before_commit`; committed whole, or not at all."""

    async def aclose(self) -> None:
        """Give back what it holds."""


class SqliteWriter:
    """See the module. Used by one task, the batcher's own, which nobody cancels but the end of the event loop."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.sync_engine = open_blocking(engine.url)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")

    async def transaction(self, work: Work[T], before_commit: BeforeCommit) -> T:
        """See Writer."""
        visit = asyncio.get_running_loop().run_in_executor
        connection, result = await visit(self._thread, self._begin, work)
        try:
            await before_commit()
        except BaseException:
            await visit(self._thread, connection.close)  # which rolls back
            raise
        await visit(self._thread, self._commit, connection)
        return result

    async def aclose(self) -> None:
        """See Writer."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self.sync_engine.dispose)
        self._thread.shutdown()

    def _begin(self, work: Work[T]) -> tuple[Connection, T]:
        connection = self.sync_engine.connect().execution_options(**{BEGIN: "BEGIN IMMEDIATE"})
        try:
            connection.begin()
            return connection, work(connection)
        except BaseException:
            connection.close()
            raise

    def _commit(self, connection: Connection) -> None:
        with connection:
            try:
                connection.commit()
            except BaseException:
                connection.invalidate()  # it may still be in its transaction: the next one gets a new connection
                raise


class PostgresqlWriter:
    """See the module."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self.sync_engine = engine.sync_engine

    async def transaction(self, work: Work[T], before_commit: BeforeCommit) -> T:
        """See Writer."""
        async with self._engine.begin() as connection:
            result = await connection.run_sync(work)
            await before_commit()
        return result

    async def aclose(self) -> None:
        """The engine is closed by whoever opened it."""


def writer(engine: AsyncEngine) -> Writer:
    """The way to write to an engine's database."""
    return SqliteWriter(engine) if engine.dialect.name == "sqlite" else PostgresqlWriter(engine)
