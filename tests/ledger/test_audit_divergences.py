"""The audit names what is wrong with books that diverge: the rule, and the row. It also misses no trigger."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from ledger import schema
from ledger.audit import CHECKS, audit
from ledger.audit.triggers import expected
from ledger.book import Ledger
from ledger.database import reading
from tests.ledger.divergences import DIVERGENCES, Divergence
from tests.ledger.histories import a_story_with_entries
from tests.ledger.tampering import named, run_raw, tamper
from tests.support.databases import DATABASES, only_postgresql, only_sqlite
from tests.support.postgres import Postgres

TABLES = tuple(schema.metadata.tables)


@pytest.fixture(scope="module", params=DATABASES)
async def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Ledger]:
    """Open books with the story in them, and beside every table a copy of it: a database for each divergence of its
    own would take most of the time of these tests.
    """
    postgres: Postgres | None = request.getfixturevalue("postgres") if request.param == "postgresql" else None
    url = postgres.create() if postgres else f"sqlite:///{tmp_path_factory.mktemp('kept')}/books.db"
    async with Ledger.open(url) as ledger:
        await a_story_with_entries(ledger)
        await run_raw(ledger.engine, *(f"CREATE TABLE kept_{table} AS SELECT * FROM {table}" for table in TABLES))
        yield ledger
    if postgres:
        postgres.drop(url)


@pytest.fixture
async def story(kept: Ledger) -> Ledger:
    """The story as it was told, whatever the test before this one did to its rows."""
    numbered = " OVERRIDING SYSTEM VALUE" if kept.engine.dialect.name == "postgresql" else ""  # sequences as they were
    emptied = [f"DELETE FROM {table}" for table in TABLES]
    filled = [f"INSERT INTO {table}{numbered} SELECT * FROM kept_{table}" for table in TABLES]
    await tamper(kept.engine, *emptied, *filled)
    return kept


@pytest.mark.parametrize("divergence", DIVERGENCES, ids=lambda divergence: divergence.sentence.replace(" ", "_"))
async def test_the_audit_names_a_divergence(story: Ledger, divergence: Divergence) -> None:
    """Each divergence is named by the rule that it breaks, with the account, key or transfer it is about."""
    assert (await audit(story)).violations == ()
    await tamper(story.engine, *divergence.statements)

    report = await audit(story)

    assert not report.ok
    assert (divergence.check, divergence.subject) in named(report)
    assert "triggers" not in {violation.check for violation in report.violations}


def test_every_rule_of_the_audit_has_a_divergence_that_it_names() -> None:
    """A rule that nothing here breaks would be a rule that nobody knows to work."""
    rules = {check.name for check in CHECKS} | {"conservation", "transit"}

    assert {divergence.check for divergence in DIVERGENCES} | {"triggers"} == rules
    assert len(CHECKS) == len({check.name for check in CHECKS})


# --- the triggers themselves ------------------------------------------------------------------------------------


async def test_the_audit_expects_exactly_the_triggers_that_the_migrations_make(ledger: Ledger) -> None:
    """A migration that adds a trigger fails here until the audit asks for it."""
    dialect = ledger.engine.dialect.name
    asked = {
        "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
        "postgresql": "SELECT tgname, CAST(CAST(tgrelid AS regclass) AS text) FROM pg_trigger WHERE NOT tgisinternal",
    }
    async with reading(ledger.engine) as connection:
        made = {row[0]: row[1] for row in await connection.execute(text(asked[dialect]))}

    assert made == expected(dialect)


async def test_a_dropped_trigger_is_named(database_url: str) -> None:
    """The rows are still right; nothing keeps them so."""
    async with Ledger.open(database_url) as ledger:
        on_table = " ON postings" if ledger.engine.dialect.name == "postgresql" else ""
        await run_raw(ledger.engine, f"DROP TRIGGER postings_never_deleted{on_table}")
        report = await audit(ledger)

    assert named(report) == {("triggers", "postings_never_deleted")}


@only_postgresql
async def test_a_disabled_trigger_is_named(database_url: str) -> None:
    """A trigger that is there and does not fire is no trigger."""
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, "ALTER TABLE operations DISABLE TRIGGER operations_never_changed")
        report = await audit(ledger)

    assert named(report) == {("triggers", "operations_never_changed")}


@only_postgresql
async def test_a_trigger_function_that_refuses_nothing_is_named(database_url: str) -> None:
    """Most triggers share one function: without its exception none of them stands."""
    hollow = "CREATE OR REPLACE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, hollow)
        report = await audit(ledger)

    own = {name for name in expected("postgresql") if name.endswith("_refer")}
    own |= {"reversals_within_the_transfer", "entry_reversals_within_the_original"}
    hollowed = expected("postgresql").keys() - own
    assert named(report) == {("triggers", name) for name in hollowed}


@only_sqlite
async def test_a_trigger_that_refuses_nothing_is_named(database_url: str) -> None:
    """A trigger of the right name that does something else is no trigger."""
    hollow = "CREATE TRIGGER postings_never_changed BEFORE UPDATE ON postings BEGIN SELECT 1; END"
    async with Ledger.open(database_url) as ledger:
        await run_raw(ledger.engine, "DROP TRIGGER postings_never_changed", hollow)
        report = await audit(ledger)

    assert named(report) == {("triggers", "postings_never_changed")}
