"""One database for the books: SQLite in a file, or PostgreSQL. Everything in which they differ is here.

SQLite needs two hooks, without which it silently loses updates (of concurrent debits, all but one): the driver must
not open transactions by itself, and a transaction that writes must begin as `BEGIN IMMEDIATE`. PostgreSQL needs bounds,
so that a frozen worker cannot hold a hot row for ever.
"""

import contextlib
import json
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import (
    URL,
    ColumnElement,
    Connection,
    Engine,
    StaticPool,
    Text,
    any_,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from ledger.errors import MalformedRequest, UnsafeDatabase

_SQLITE_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged commit survives a power cut; NORMAL acknowledges without syncing
    "foreign_keys=ON",
    "busy_timeout=10000",
    "cache_size=-65536",  # KiB; the default of 2 MiB does not hold the index pages of a large ledger
    "wal_autocheckpoint=16384",  # 64 MiB; by default large books checkpoint at every large batch
    "temp_store=MEMORY",
)
_SQLITE_SAFE = {"journal_mode": ("wal",), "synchronous": ("2", "3"), "foreign_keys": ("1",)}
BEGIN = "ledger_begin"
"""An execution option: how a transaction on SQLite begins. Plain `BEGIN`, if it only reads."""

_POSTGRESQL_SETTINGS = {
    "application_name": "durable-transfers",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "5s",  # a frozen worker lets go of the hot rows
}
_POSTGRESQL_SAFE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "local", "remote_write", "remote_apply"),
}


@dataclass(frozen=True, slots=True)
class Bounds:
    """How long PostgreSQL may take for a statement, in seconds: the server's own bound, and the client's.

    The server's is of no use against a network that swallows everything; then the client gives up by itself.
    """

    server_seconds: int
    client_seconds: int


WRITING = Bounds(60, 15)
"""Postings, one batch at a time: all others wait for it. What a client gives up, the server ends soon after."""

READING = Bounds(60, 65)
"""A question somebody waits for."""

AUDITING = Bounds(0, 24 * 3600)
"""Everything at once, of books of any size; 0 is no bound."""

MIGRATING = Bounds(3600, 3660)
"""A change of the schema may have to look at every row."""

_CONNECT_SECONDS = 5
_GOODBYE_SECONDS = 1


def parse_url(url: str) -> URL:
    """A database URL with the driver this project uses. Raises MalformedRequest for any other database."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise MalformedRequest(f"LEDGER_DATABASE_URL is not a database URL: {error}") from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database and parsed.database != ":memory:":
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            return parsed.set(drivername="postgresql+asyncpg")
    raise MalformedRequest(
        f"LEDGER_DATABASE_URL must name a SQLite file or a PostgreSQL database, not {parsed.drivername}://"
    )


def sqlite_path(url: URL) -> Path | None:
    """The file of a SQLite database; None for PostgreSQL."""
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def open_database(url: URL, *, read_only: bool = False, bounds: Bounds | None = None) -> AsyncEngine:
    """An engine on the books, within these bounds on PostgreSQL (by default WRITING, or READING).

    Read-only engines cannot write, by the database's own enforcement.
    """
    path = sqlite_path(url)
    if path is None:
        return _open_postgresql(url, read_only, bounds or (READING if read_only else WRITING))
    mode = "ro" if read_only else "rwc"
    target = url.set(database=path.absolute().as_uri(), query={"mode": mode, "uri": "true"})
    engine = create_async_engine(target, pool_size=4, max_overflow=8)
    event.listen(engine.sync_engine, "connect", _configure_sqlite_reader if read_only else _configure_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _open_postgresql(url: URL, read_only: bool, bounds: Bounds) -> AsyncEngine:
    import asyncpg  # a starter on SQLite need not wait for it

    class ClosedSoon(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
        """A connection that says goodbye and does not wait long for an answer: nothing depends on it."""

        async def close(self, *, timeout: float | None = None) -> None:
            with contextlib.suppress(TimeoutError):  # then it is aborted
                await super().close(timeout=timeout or _GOODBYE_SECONDS)

    settings = _POSTGRESQL_SETTINGS | {"statement_timeout": f"{bounds.server_seconds}s"}
    arguments = {
        "server_settings": settings | ({"default_transaction_read_only": "on"} if read_only else {}),
        "timeout": _CONNECT_SECONDS,
        "command_timeout": bounds.client_seconds,
        "connection_class": ClosedSoon,
    }
    return create_async_engine(url, pool_size=4, max_overflow=8, connect_args=arguments)


def open_blocking(url: URL) -> Engine:
    """A blocking engine with one connection, on the SQLite file that an engine of `open_database` is on."""
    one = {"check_same_thread": False}  # it is made on one thread and may be closed on another
    engine = create_engine(url.set(drivername="sqlite"), poolclass=StaticPool, connect_args=one)
    event.listen(engine, "connect", _configure_sqlite)
    event.listen(engine, "connect", _sync_what_was_left)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction that sees the books at one instant, and changes nothing."""
    async with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        async with connection.begin():
            yield connection


def check_safety(connection: Connection) -> None:
    """Raise UnsafeDatabase if a setting would let a power cut take back a commit acknowledged on this connection."""
    sqlite = connection.dialect.name == "sqlite"
    asked, must_be = ("PRAGMA {}", _SQLITE_SAFE) if sqlite else ("SHOW {}", _POSTGRESQL_SAFE)
    for name, safe in must_be.items():
        value = str(connection.execute(text(asked.format(name))).scalar())
        if value not in safe:
            raise UnsafeDatabase(
                f"the ledger's database has {name} = {value}, which can lose money that was acknowledged; "
                f"set it to {safe[0]}"
            )


def among(dialect: str, column: ColumnElement[str], parameter: str) -> ColumnElement[bool]:
    """`column IN (...)` with one parameter for any number of values: the statement is compiled once."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import ARRAY  # a starter on SQLite need not wait for it

        return column == any_(bindparam(parameter, type_=ARRAY(Text)))
    return column.in_(select(func.json_each(bindparam(parameter)).table_valued("value").c.value))


def many(dialect: str, values: Sequence[str]) -> Sequence[str] | str:
    """What to bind to the parameter of `among`."""
    return values if dialect == "postgresql" else json.dumps(values)


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN, "BEGIN"))


def _configure_sqlite(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver opens no transactions: `_begin_sqlite` does
    _pragmas(connection, _SQLITE_PRAGMAS)


def _sync_what_was_left(connection: DBAPIConnection, _record: object) -> None:
    """Sync the write-ahead log before anything is answered from it.

    A process that dies in its commit's sync leaves a commit that SQLite finds and the disk may not have yet. Told to
    a caller as a replay, and then taken back by a power cut, it would be acknowledged money that is lost.
    """
    cursor = connection.cursor()
    cursor.execute("PRAGMA database_list")
    database = Path(cursor.fetchall()[0][2])
    cursor.close()
    for path in (Path(f"{database}-wal"), database.parent):  # its bytes, and its name
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _configure_sqlite_reader(connection: DBAPIConnection, _record: object) -> None:
    connection.isolation_level = None
    _pragmas(connection, ("query_only=ON", "busy_timeout=10000", "cache_size=-65536"))


def _pragmas(connection: DBAPIConnection, pragmas: Iterable[str]) -> None:
    cursor = connection.cursor()
    for pragma in pragmas:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
