"""Changes to the books behind the ledger's back, as a bug or an attacker would make them.

They are made in the database itself, with its triggers and foreign keys out of the way; the triggers are put back
afterwards.
"""

import sqlite3
from contextlib import closing

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import schema
from ledger.audit import AuditReport


def named(report: AuditReport) -> set[tuple[str, str]]:
    """Which rules a report says are broken, and by what."""
    return {(violation.check, violation.subject) for violation in report.violations}


async def tamper(engine: AsyncEngine, *statements: str) -> None:
    """Change the books behind the ledger's back: triggers, checks and foreign keys do not see it."""
    if engine.dialect.name == "postgresql":
        await _tamper_postgresql(engine, statements)
    else:
        _tamper_sqlite(engine, statements)


def _tamper_sqlite(engine: AsyncEngine, statements: tuple[str, ...]) -> None:
    assert engine.url.database is not None
    with closing(sqlite3.connect(engine.url.database, uri=True, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("BEGIN IMMEDIATE")
        triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
        dropped = [f"DROP TRIGGER {name}" for name, _ in triggers]
        for statement in (*dropped, *statements, *(sql for _, sql in triggers), "COMMIT"):
            connection.execute(statement)


async def _tamper_postgresql(engine: AsyncEngine, statements: tuple[str, ...]) -> None:
    tables = list(schema.metadata.tables)
    keys = "SELECT CAST(conrelid AS regclass), conname FROM pg_constraint WHERE contype = 'f'"
    async with engine.begin() as connection:
        foreign = [
            f"ALTER TABLE {table} DROP CONSTRAINT {name}" for table, name in await connection.execute(text(keys))
        ]
        disabled = [f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in tables]
        enabled = [f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in tables]
        for statement in (*foreign, *disabled, *statements, *enabled):
            await connection.exec_driver_sql(statement)


async def run_raw(engine: AsyncEngine, *statements: str) -> None:
    """Run statements as they are, on the database itself."""
    async with engine.begin() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)
