"""Opening the books: the schema, the safety settings, and who may write."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, Engine, Inspector, event, inspect
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import schema
from ledger.book import Ledger
from ledger.database import check_safety, open_blocking, open_database, parse_url
from ledger.errors import LedgerInUse, UnsafeDatabase
from ledger.migrations import is_current, migrate
from ledger.operations import deposit
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.examples import balance, open_with
from tests.support.invariants import check_books
from tests.support.postgres import Postgres, run

ROOT = Path(__file__).parents[2]


@pytest.fixture
async def engine(database_url: str) -> AsyncEngine:
    """An engine on a fresh database; the test disposes of it."""
    return open_database(parse_url(database_url))


# --- the schema -----------------------------------------------------------------------------------------------


async def test_the_tables_are_what_the_schema_says(ledger: Ledger) -> None:
    """Queries are built from schema.py and run against what the migrations made: every column is in both."""

    def columns(connection: Connection) -> dict[str, list[str]]:
        inspector: Inspector = inspect(connection)
        tables = [name for name in inspector.get_table_names() if name != "alembic_version"]
        return {name: [column["name"] for column in inspector.get_columns(name)] for name in tables}

    async with ledger.engine.connect() as connection:
        made = await connection.run_sync(columns)

    assert made == {table.name: list(table.c.keys()) for table in schema.metadata.sorted_tables}


async def test_the_columns_types_and_keys_are_what_the_schema_says(ledger: Ledger) -> None:
    """Bulk writes choose their arrays' types from schema.py: a wrong type there would be a wrong cast."""

    def described(connection: Connection) -> dict[str, tuple[str, bool]]:
        inspector, told = inspect(connection), {}
        for table in schema.metadata.tables:
            key = inspector.get_pk_constraint(table)["constrained_columns"]
            for column in inspector.get_columns(table):
                told[f"{table}.{column['name']}"] = (_kind(column["type"], connection), column["name"] in key)
        return told

    async with ledger.engine.connect() as connection:
        expected = {
            f"{table.name}.{column.name}": (_kind(column.type, connection.sync_connection), column.primary_key)
            for table in schema.metadata.sorted_tables
            for column in table.c
        }
        assert await connection.run_sync(described) == expected


def _kind(type: object, connection: Connection | None) -> str:
    assert connection is not None
    compiled: str = type.compile(connection.dialect)  # type: ignore[attr-defined]  # every SQL type has it
    return compiled.split()[0]


async def test_migrating_again_changes_nothing(ledger: Ledger) -> None:
    """Every worker migrates at every start."""
    await open_with(ledger, alice=100_00)
    before = await check_books(ledger.engine)

    await migrate(ledger.engine)

    assert await is_current(ledger.engine)
    assert await check_books(ledger.engine) == before


async def test_an_empty_database_is_not_current(tmp_path: Path) -> None:
    """Asking whether it is current does not make it so."""
    engine = open_database(parse_url(f"sqlite:///{tmp_path}/empty.db"))

    assert not await is_current(engine)
    assert not await is_current(engine)
    await migrate(engine)
    assert await is_current(engine)
    await engine.dispose()


def test_two_workers_may_start_on_an_empty_database_at_once(postgres: Postgres) -> None:
    """Both migrate: one does it, the other waits and finds it done."""
    url = postgres.create_empty()
    workers = [subprocess.Popen(_python(f"open_and_close({url!r})"), cwd=ROOT) for _ in range(2)]

    assert [worker.wait(timeout=60) for worker in workers] == [0, 0]
    assert run(_is_current(url))
    postgres.drop(url)


async def _is_current(url: str) -> bool:
    engine = open_database(parse_url(url))
    current = await is_current(engine)
    await engine.dispose()
    return current


# --- the safety settings --------------------------------------------------------------------------------------


@only_sqlite
@pytest.mark.parametrize("pragma", ["synchronous=NORMAL", "synchronous=OFF", "journal_mode=DELETE", "foreign_keys=OFF"])
async def test_sqlite_with_an_unsafe_setting_is_refused(engine: AsyncEngine, pragma: str) -> None:
    """Such a database would acknowledge a commit that a power cut takes back, or lose what holds the rows together."""

    def spoil(connection: Connection) -> None:
        cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's connection, which has one
        cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    event.listen(engine.sync_engine, "connect", lambda connection, _record: spoil(connection))

    with pytest.raises(UnsafeDatabase, match=f"{pragma.partition('=')[0]} = "):
        await _check(engine)
    await engine.dispose()


@only_postgresql
@pytest.mark.parametrize("setting", ["synchronous_commit"])
async def test_postgresql_with_an_unsafe_setting_is_refused(
    postgres: Postgres, database_url: str, setting: str
) -> None:
    """`synchronous_commit=off` loses the last commits in a crash; the books do not open on it."""
    name = parse_url(database_url).database
    postgres.execute(f"ALTER DATABASE {name} SET {setting} = off")

    with pytest.raises(UnsafeDatabase, match=f"{setting} = off"):
        async with Ledger.open(database_url):
            pass


@only_sqlite
async def test_it_is_the_connection_that_writes_whose_settings_are_checked(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pragmas belong to a connection: another one that is safe says nothing about this one."""

    def unsafe(url: URL) -> Engine:
        engine = open_blocking(url)
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=NORMAL"))
        return engine

    monkeypatch.setattr("ledger.writer.open_blocking", unsafe)

    with pytest.raises(UnsafeDatabase, match="synchronous = 1"):
        async with Ledger.open(database_url):
            pass


async def test_the_ledgers_own_settings_are_safe(ledger: Ledger) -> None:
    """The tests run on what production runs on: every acknowledged commit is synced."""
    await _check(ledger.engine)


async def _check(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.run_sync(check_safety)


# --- one process writes a SQLite file -------------------------------------------------------------------------

CHILD = """
import asyncio, sys
from ledger.book import Ledger

async def open_and_close(url):
    async with Ledger.open(url):
        pass

async def hold(url):
    async with Ledger.open(url):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.read)

asyncio.run({what})
"""


def _python(what: str) -> list[str]:
    return [sys.executable, "-c", CHILD.replace("{what}", what)]


@contextmanager
def another_writer(url: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has these books open for writing."""
    command = _python(f"hold({url!r})")
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        try:
            yield child
        finally:
            child.kill()


@only_sqlite
async def test_a_second_process_is_told_who_writes_and_what_to_do(database_url: str) -> None:
    """The message names the process that holds the file, and PostgreSQL for those who want several workers."""
    with another_writer(database_url) as child, pytest.raises(LedgerInUse) as told:
        async with Ledger.open(database_url):
            pass

    assert f"process {child.pid} already writes" in str(told.value)
    assert "PostgreSQL" in str(told.value)


@only_sqlite
async def test_the_lock_goes_with_a_killed_holder(database_url: str) -> None:
    """A worker that was killed leaves a lock file behind, which locks nobody out."""
    with another_writer(database_url) as child:
        child.send_signal(signal.SIGKILL)
        child.wait()

    async with Ledger.open(database_url) as ledger:
        await open_with(ledger, alice=1_00)


@only_sqlite
async def test_a_file_has_one_lock_whatever_it_is_called(database_url: str, tmp_path: Path) -> None:
    """The same file reached through a link is the same books, and has the same writer."""
    async with Ledger.open(database_url):
        link = tmp_path / "link.db"
        link.symlink_to(Path(database_url.removeprefix("sqlite:///")))
        with pytest.raises(LedgerInUse):
            async with Ledger.open(f"sqlite:///{link}"):
                pass


@only_sqlite
async def test_the_same_process_cannot_open_a_file_twice(database_url: str) -> None:
    """Two ledgers would be two writers, wherever they live."""
    async with Ledger.open(database_url):
        with pytest.raises(LedgerInUse):
            async with Ledger.open(database_url):
                pass
    async with Ledger.open(database_url):
        pass


async def test_the_books_folder_is_made(tmp_path: Path) -> None:
    """A first start on a machine needs no preparation."""
    async with Ledger.open(f"sqlite:///{tmp_path}/var/lib/books.db") as ledger:
        await open_with(ledger, alice=1_00)

    assert (tmp_path / "var/lib/books.db").exists()


@pytest.mark.parametrize("form", ["sqlite:///{}", "sqlite+aiosqlite:///{}", "sqlite+pysqlite:///{}"])
async def test_a_url_may_name_any_driver_and_gets_ours(tmp_path: Path, form: str) -> None:
    """Which driver is used is the project's business, not the operator's."""
    async with Ledger.open(form.format(tmp_path / "books.db")) as ledger:
        await open_with(ledger, alice=1_00)
        assert await balance(ledger, "alice") == 1_00


@only_postgresql
async def test_a_short_postgresql_url_will_do(database_url: str) -> None:
    """`postgres://` is what many hosts hand out."""
    url = database_url.replace("postgresql+asyncpg://", "postgres://")
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=1_00)
        assert (await ledger.apply(deposit("D1", "alice", 1_00, "USD"))).applied


async def test_a_database_that_is_not_there_is_an_error(new_database: Callable[[], str]) -> None:
    """Opening for reading makes no file and no database."""
    missing = new_database().replace("books-0", "missing").replace("durable_transfers_test", "missing")
    with pytest.raises(Exception, match=r"unable to open|does not exist|missing"):
        async with Ledger.open_read_only(missing) as reader:
            await reader.account("alice")
