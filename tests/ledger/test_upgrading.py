"""Books that an earlier release filled are brought to the present schema: whole, or not at all."""

from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from sqlalchemy import event, inspect, select, text

from ledger import schema
from ledger.book import Ledger
from ledger.database import open_database, parse_url
from ledger.migrations import is_current, migrate
from ledger.operations import credit, debit, refund
from ledger.reader import Reader
from ledger.statement import ALWAYS, Period, StatementLine
from tests.support.databases import only_sqlite
from tests.support.examples import a_transfer, balances, open_with, transfers
from tests.support.invariants import check_books
from tests.support.postgres import Postgres

NAMES = ("alice", "bob", "transit:USD", "cash:USD")


@pytest.fixture
def empty_url(request: pytest.FixtureRequest, database_url: str) -> Iterator[str]:
    """The URL of a database without any schema."""
    if not database_url.startswith("postgresql"):
        yield f"{database_url}-old"  # no file yet
        return
    server: Postgres = request.getfixturevalue("postgres")
    url = server.create_empty()
    yield url
    server.drop(url)


@pytest.fixture
async def filled(ledger: Ledger) -> Ledger:
    """Books with rows in every table that the first release had."""
    await open_with(ledger, alice=1000_00, bob=50_00)
    settled, refunded = a_transfer("settled"), a_transfer("refunded")
    await ledger.apply_all([debit(settled), debit(refunded), debit(a_transfer("poor", amount_minor=10_000_00))])
    await ledger.apply_all([credit(settled), refund(refunded, "asked"), *map(debit, transfers(60, amount_minor=1))])
    return ledger


@pytest.fixture
async def old(filled: Ledger, empty_url: str) -> AsyncIterator[Reader]:
    """The same rows in the tables as the first release made them: migration 0001."""
    engine = open_database(parse_url(empty_url))
    await migrate(engine, "0001")
    tables = (schema.accounts, schema.transfers, schema.operations, schema.postings)
    for table in (*tables, schema.transfer_events, schema.notifications):
        async with filled.engine.connect() as connection:
            rows = (await connection.execute(select(table).order_by(*table.primary_key.columns))).mappings().all()
        async with engine.begin() as connection:
            old_columns = await connection.run_sync(lambda c, name: inspect(c).get_columns(name), table.name)
            names = [
                column["name"] for column in old_columns if (table.name, column["name"]) != ("postings", "sequence")
            ]
            insert = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES (:{', :'.join(names)})"
            await connection.execute(text(insert), [{name: row[name] for name in names} for row in rows])
    yield Reader(engine)
    await engine.dispose()


async def test_filled_books_are_upgraded_without_a_change(filled: Ledger, old: Reader, empty_url: str) -> None:
    """Every balance, every line of every statement and every recorded answer is what it was."""
    before = await check_books(filled.engine), [await filled.statement(name) for name in NAMES]
    assert not await is_current(old.engine)

    async with Ledger.open(empty_url) as ledger:
        assert await is_current(ledger.engine)
        assert (await check_books(ledger.engine), [await ledger.statement(name) for name in NAMES]) == before
        assert (await ledger.apply(debit(a_transfer("settled")))).replayed
        assert await balances(ledger, *NAMES) == [974_40, 75_00, 60, 1050_00]


async def test_upgraded_books_go_on(old: Reader, empty_url: str) -> None:
    """What the first release left on its way is credited, and the money arrives."""
    async with Ledger.open(empty_url) as ledger:
        credited = await ledger.apply_all([credit(transfer) for transfer in transfers(60, amount_minor=1)])

        assert all(outcome.applied for outcome in credited)
        assert await balances(ledger, "bob", "transit:USD") == [75_60, 0]
        await check_books(ledger.engine)


@only_sqlite
@pytest.mark.parametrize("at", range(1, 6))
async def test_an_upgrade_that_is_cut_short_leaves_the_old_books(old: Reader, empty_url: str, at: int) -> None:
    """Whichever of its statements is the last one: the books are as before, and the next start upgrades them."""
    engine = open_database(parse_url(empty_url))
    changes: list[str] = []

    def cut(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if statement.startswith(("DROP", "CREATE", "UPDATE alembic_version")):
            changes.append(statement)
            if len(changes) == at:
                raise OSError("cut short")

    event.listen(engine.sync_engine, "before_cursor_execute", cut)
    before = await _indexes(old)

    with pytest.raises(OSError, match="cut short"):
        await migrate(engine)

    await engine.dispose()
    assert (await is_current(old.engine), await _indexes(old)) == (False, before)

    async with Ledger.open(empty_url) as ledger:
        assert await balances(ledger, *NAMES) == [974_40, 75_00, 60, 1050_00]
        assert await _indexes(ledger) != before


async def _indexes(books: Reader) -> set[str]:
    async with books.engine.connect() as connection:
        return set(await connection.scalars(text("SELECT sql FROM sqlite_master WHERE tbl_name = 'postings'")))


@only_sqlite
@pytest.mark.parametrize("period", [ALWAYS, Period(1, 2**62)], ids=["always", "a period"])
async def test_a_statement_is_looked_up_and_never_searched_for(ledger: Ledger, period: Period) -> None:
    """Both sides of an account are found through their index, in every block; no statement reads all postings."""
    await open_with(ledger, alice=100_00)
    asked: list[tuple[str, object]] = []
    event.listen(
        ledger.engine.sync_engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, parameters, *_rest: asked.append((statement, parameters)),
    )
    await ledger.statement("alice", period)
    looks = [look for look in asked if "FROM postings" in look[0]]

    async with ledger.engine.connect() as connection:
        for statement, parameters in looks:
            explained = f"EXPLAIN QUERY PLAN {statement}"
            plan = (await connection.exec_driver_sql(explained, parameters)).all()  # type: ignore[arg-type]  # a plain tuple, as SQLite takes it
            steps = [step.detail for step in plan if "postings" in step.detail]
            for side in ("debit", "credit"):
                index = f"INDEX postings_by_block_and_{side}_account"
                used = f"SEARCH postings USING {index} (<expr>=? AND {side}_account_id=?"
                assert any(step.startswith(used) for step in steps), steps
            assert not [step for step in steps if step.startswith("SCAN postings")]
    assert len(looks) == (1 if period is ALWAYS else 4)


@only_sqlite
async def test_a_statement_finds_the_postings_of_every_block(ledger: Ledger) -> None:
    """The first and the last posting of a block, blocks without any, and what comes after such a gap."""
    await open_with(ledger, alice=100_00, bob=0)
    for number, last in enumerate((4094, 8191, 50_000)):
        async with ledger.engine.begin() as connection:
            await connection.execute(
                text("UPDATE sqlite_sequence SET seq = :last WHERE name = 'postings'"), {"last": last}
            )
        transfer = a_transfer(f"T{number}")
        await ledger.apply_all([debit(transfer), credit(transfer)])

    found = {name: [line.sequence for line in await _lines(ledger, name)] for name in ("alice", "bob")}

    assert found == {"alice": [1, 4095, 8192, 50_001], "bob": [4096, 8193, 50_002]}


async def _lines(books: Reader, account_id: str) -> Sequence[StatementLine]:
    statement = await books.statement(account_id)
    assert statement is not None
    return statement.lines
