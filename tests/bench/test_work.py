"""The work of the race, on a real PostgreSQL: once is once, and books that are wrong are found."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from bench.databases import Databases
from bench.peers import books, race
from bench.peers.contestants import Contestant, Keeps, Way
from bench.peers.work import HOT, PAID_IN, STEPS, movement, numbered, statement
from tests.support.postgres import Postgres


@pytest.fixture
async def engine(postgres: Postgres) -> AsyncIterator[AsyncEngine]:
    """The books of the others, without any transfer."""
    url = postgres.create_empty()
    engine = create_async_engine(url)
    try:
        await books.create(engine)
        yield engine
    finally:
        await engine.dispose()
        postgres.drop(url)


async def do(engine: AsyncEngine, number: int, keyed: bool, hot: bool = False) -> None:
    for step in STEPS:
        async with engine.begin() as connection:
            await connection.execute(text(statement(step, keyed)), movement(number, hot).arguments())


async def balance(engine: AsyncEngine, account: str) -> int:
    async with engine.connect() as connection:
        asked = text("SELECT balance FROM accounts WHERE id = :id")
        return int((await connection.execute(asked, {"id": account})).scalar_one())


async def test_a_keyed_step_that_is_run_again_moves_nothing(engine: AsyncEngine) -> None:
    """Restate runs a step again whose answer it did not get to write down; the key's row is from the same commit."""
    for number in (0, 1, 0):
        await do(engine, number, keyed=True)

    assert await balance(engine, "A0") == PAID_IN - 1
    assert await balance(engine, "A7") == PAID_IN + 1
    assert await books.wrong_of_theirs(engine, 2, keyed=True) == []


async def test_a_step_without_a_key_is_refused_the_second_time(engine: AsyncEngine) -> None:
    """DBOS keeps its own table of what is done; should it fail at that, a posting is there once all the same."""
    await do(engine, 0, keyed=False)

    with pytest.raises(IntegrityError):
        await do(engine, 0, keyed=False)

    assert await balance(engine, "A0") == PAID_IN - 1
    assert await books.wrong_of_theirs(engine, 1, keyed=False) == []


async def test_a_hot_load_pays_one_account(engine: AsyncEngine) -> None:
    """Also from the account that would pay itself, which pays the one that is its turn."""
    for number in (0, 1, 999):
        await do(engine, number, keyed=True, hot=True)

    assert await balance(engine, HOT) == PAID_IN + 2 - 1
    assert await books.wrong_of_theirs(engine, 3, keyed=True) == []


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("DELETE FROM notifications WHERE transfer_id = 'T1'", "1 notifications of 2 transfers"),
        ("DELETE FROM postings WHERE transfer_id = 'T1' AND step = 'credit'", "1 credits of 2 transfers"),
        ("UPDATE accounts SET balance = balance + 5 WHERE id = 'A3'", "1 balances are not the sum of their postings"),
        ("DELETE FROM keys WHERE key = 'T1/debit'", "5 keys"),
    ],
)
async def test_books_that_are_wrong_are_shown_as_such(engine: AsyncEngine, damage: str, said: str) -> None:
    """A contestant that is fast because it loses something must not win."""
    for number in (0, 1):
        await do(engine, number, keyed=True)
    async with engine.begin() as connection:
        await connection.execute(text(damage))

    assert said in await books.wrong_of_theirs(engine, 2, keyed=True)


async def test_a_contestant_whose_books_are_wrong_is_out(postgres: Postgres, tmp_path: Path) -> None:
    """The race itself: two processes take turns, one of which forgets one notification."""
    command = (sys.executable, "-m", "tests.bench.careless")
    right = Contestant("right", command, (Way("plain"),), Keeps.THEIRS_WITH_KEYS)
    wrong = Contestant("wrong", command, (Way("plain"),), Keeps.THEIRS_WITH_KEYS, ("notify",))
    pace = race.Pace(rounds=2, in_flight=(1, 4), alone_seconds=0.1, seconds=0.1, lines=0)

    server = postgres.create_empty()
    results = await race.run([right, wrong], Databases(tmp_path, server), pace, lambda _: None)
    postgres.drop(server)

    assert list(results.wrong) == ["wrong"]
    assert "notifications of" in results.wrong["wrong"][0]
    assert [len(turns) for turns in results.cells.values()] == [3, 3, 3, 3]  # two rounds of the one, one of the other
    for turns in results.cells.values():
        assert all(turn.used.cpu_seconds >= 0 and turn.used.written_bytes > 0 for turn in turns)


def test_a_statement_is_numbered_for_drivers_that_want_it_so() -> None:
    """A name that occurs twice has one number; casts and the text of a body are no names."""
    assert numbered("SELECT :id, :amount, 'a\":b', :id, '1'::int") == (
        "SELECT $1::text, $2::text, 'a\":b', $1::text, '1'::int",
        ["id", "amount"],
    )
