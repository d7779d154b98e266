"""Migrating on PostgreSQL: one worker does it, and whoever has to wait for something waits, and says so."""

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger import database, migrations
from ledger.database import Bounds, open_database, parse_url
from ledger.migrations import is_current, migrate
from tests.support.postgres import Postgres


async def _waits(url: str, caplog: pytest.LogCaptureFixture, holding: str) -> None:
    """Migrate while another session holds a lock, for longer than any posting may wait; then let go."""
    engine = open_database(parse_url(url))
    with caplog.at_level("WARNING", logger="durable_transfers.migrations"):
        async with engine.connect() as other:
            await other.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            await other.execute(text(holding))
            waiting = asyncio.create_task(migrate(engine))
            await asyncio.sleep(5)
            assert not waiting.done()
        await waiting
    assert await is_current(engine)
    await engine.dispose()


async def test_several_books_of_one_process_are_migrated_at_once(postgres: Postgres, tmp_path: Path) -> None:
    """Alembic holds one migration at a time in its globals; each of these gets its turn."""
    urls = [postgres.create_empty() for _ in range(4)]
    engines = [open_database(parse_url(url)) for url in (*urls, *(f"sqlite:///{tmp_path}/{n}.db" for n in range(4)))]

    await asyncio.gather(*(migrate(engine) for engine in engines))

    for engine in engines:
        assert await is_current(engine)
        await engine.dispose()
    for url in urls:
        postgres.drop(url)


async def test_a_worker_waits_for_anothers_migration_and_says_so(
    postgres: Postgres, caplog: pytest.LogCaptureFixture
) -> None:
    """Longer than `lock_timeout`: it does not die of it, and does it itself when the other has gone without."""
    url = postgres.create_empty()

    await _waits(url, caplog, f"SELECT pg_advisory_xact_lock({migrations._MIGRATION_LOCK})")

    assert "another worker" in caplog.text
    assert len(caplog.records) == 1
    postgres.drop(url)


async def test_a_migration_gives_way_to_who_holds_a_table(postgres: Postgres, caplog: pytest.LogCaptureFixture) -> None:
    """It waits no longer for a lock than a posting would, undoes itself, and tries again until it gets it."""
    url = postgres.create_empty()
    engine = open_database(parse_url(url))
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"))
    await engine.dispose()

    await _waits(url, caplog, "LOCK TABLE alembic_version IN ACCESS EXCLUSIVE MODE")

    assert "lock" in caplog.messages[0]
    postgres.drop(url)


async def test_a_migration_may_take_longer_than_a_posting(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has bounds of its own; here a migration of two seconds, and postings that may take one."""
    monkeypatch.setattr(database, "WRITING", Bounds(1, 1))
    monkeypatch.setattr(
        migrations, "_upgrade", lambda connection, _revision: connection.execute(text("SELECT pg_sleep(2)"))
    )
    url = postgres.create_empty()
    engine = open_database(parse_url(url))

    await migrate(engine)

    await engine.dispose()
    postgres.drop(url)
