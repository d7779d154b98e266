"""Bring a database to the current schema. Run by the worker at start; safe to run from many at once.

On PostgreSQL one worker migrates and the others wait for it, however long it takes, and say so. A migration has
bounds of its own, but waits for the lock of a table no longer than a posting would: whoever waits for it would hold
up all that come after. It gives way and tries again, whole.
"""

import asyncio
import logging
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from ledger.database import MIGRATING, open_database

_HEAD = "head"
_MIGRATION_LOCK = 0x7472616E73666572  # "transfer": any constant that every worker agrees on
_PAUSE_SECONDS = 0.5
_SAY_EVERY = 60  # pauses
_LOCK_NOT_AVAILABLE = "55P03"
_ONE_AT_A_TIME = asyncio.Lock()  # Alembic keeps what it is doing in module globals, one migration per process
_log = logging.getLogger("durable_transfers.migrations")


async def migrate(engine: AsyncEngine, revision: str = _HEAD) -> None:
    """Run every migration up to a revision that the database has not seen, in one transaction, one worker at a time."""
    if engine.dialect.name != "postgresql":
        async with engine.begin() as connection:
            await _upgrade_alone(connection, revision)
        return
    patient = open_database(engine.url, bounds=MIGRATING)
    try:
        tries = 0
        while (obstacle := await _obstacle(patient, revision)) is not None:
            if tries % _SAY_EVERY == 0:
                _log.warning("the schema of the books is not migrated yet: waiting for %s", obstacle)
            tries += 1
            await asyncio.sleep(_PAUSE_SECONDS)
    finally:
        await patient.dispose()


async def is_current(engine: AsyncEngine) -> bool:
    """Whether the database has the schema this code was written for. Changes nothing."""
    async with engine.connect() as connection:
        return await connection.run_sync(_is_current)


async def _obstacle(engine: AsyncEngine, revision: str) -> str | None:
    """Migrate, and return None; or say who stands in the way, nothing having changed."""
    try:
        async with engine.begin() as connection:
            lock = text("SELECT pg_try_advisory_xact_lock(:lock)")
            if not (await connection.execute(lock, {"lock": _MIGRATION_LOCK})).scalar():
                return "another worker, which is migrating it"
            await _upgrade_alone(connection, revision)
            return None
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
            raise
        return f"whoever holds a lock that it needs ({error.orig})"


async def _upgrade_alone(connection: AsyncConnection, revision: str) -> None:
    async with _ONE_AT_A_TIME:
        await connection.run_sync(_upgrade, revision)


def _upgrade(connection: Connection, revision: str) -> None:
    if revision == _HEAD and _is_current(connection):
        return  # as at nearly every start: Alembic would load all migrations to find that out
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _is_current(connection: Connection) -> bool:
    if not inspect(connection).has_table("alembic_version"):
        return False
    version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return bool(version == _newest())


@cache
def _newest() -> str | None:
    """The last revision that this code knows. It is asked of the files once: finding out means to load them all."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
