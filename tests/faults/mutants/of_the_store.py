"""Mutants of the store: keys apart from their money, keys that are not unique, locks in any order, lost postings."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import book, bulk, database, migrations, schema, store
from ledger.books import Books, Changes
from ledger.named import named
from ledger.operation import Request


def key_in_a_second_transaction() -> None:
    """The key is committed first and its money afterwards: a crash in between leaves an answer without an effect."""
    write = store.write

    def in_two(connection: Connection, changes: Changes) -> None:
        keys_first = Changes(operations=changes.operations, opened=changes.opened, begun=changes.begun)
        write(connection, keys_first)
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.dialect.name == "sqlite" else "BEGIN")
        changes.operations, changes.opened, changes.begun = [], {}, {}
        write(connection, changes)

    store.write = in_two


def check_then_insert() -> None:
    """Keys are looked up before the locks are taken, and nothing in the database keeps them unique."""
    load, migrate = store.load, migrations.migrate
    unguarded = (
        "ALTER TABLE operations DROP CONSTRAINT IF EXISTS operations_pkey CASCADE",
        "ALTER TABLE postings DROP CONSTRAINT IF EXISTS postings_once",
    )

    async def without_constraints(engine: AsyncEngine) -> None:
        await migrate(engine)
        async with engine.begin() as connection:
            for statement in unguarded:
                await connection.execute(text(statement))

    def looked_up_first(connection: Connection, batch: Sequence[Request]) -> Books:
        batch = list(batch)
        _, keys, transfers = named(batch)
        known = [row.key for row in store._rows(connection, schema.operations, "key", keys)] if keys else []
        moved = [row.id for row in store._rows(connection, schema.transfers, "id", transfers)] if transfers else []
        books = load(connection, batch)
        books.operations = {key: recorded for key, recorded in books.operations.items() if key in known}
        books.transfers = {id: state for id, state in books.transfers.items() if id in moved}
        return books

    vars(book)["migrate"], store.load = without_constraints, looked_up_first


def synchronous_normal() -> None:
    """A commit is acknowledged before it is on the disk."""
    pragmas = database._SQLITE_PRAGMAS
    database._SQLITE_PRAGMAS = tuple(pragma.replace("FULL", "NORMAL") for pragma in pragmas)  # type: ignore[assignment]  # as long as before
    database._SQLITE_SAFE["synchronous"] = ("1", "2", "3")


def unsorted_locks() -> None:
    """Each transaction locks its accounts in an order of its own."""

    def in_any_order(dialect: str, table: Table, key: str, lock: bool) -> Select[Any]:
        statement = select(table).where(database.among(dialect, table.c[key], "values"))
        return statement.order_by(func.random()).with_for_update() if lock else statement

    store._select_among = in_any_order  # type: ignore[assignment]  # a cached function has more to it


def keys_that_expire() -> None:
    """The keys of a transfer are forgotten when it has ended."""
    load = store.load

    def forgetful(connection: Connection, batch: Sequence[Request]) -> Books:
        books = load(connection, batch)
        books.operations = {key: recorded for key, recorded in books.operations.items() if not _ended(key, books)}
        return books

    store.load = forgetful


def _ended(key: str, books: Books) -> bool:
    state = books.transfers.get(key.partition("/")[0])
    return state is not None and state.status.terminal


def a_posting_swallowed() -> None:
    """Of every batch that posts more than twice, the last posting is lost."""
    insert = bulk.insert

    def lossy(connection: Connection, table: Table, columns: tuple[str, ...], rows: Sequence[bulk.Row]) -> None:
        insert(connection, table, columns, rows[:-1] if table is schema.postings and len(rows) > 2 else rows)

    bulk.insert = lossy
