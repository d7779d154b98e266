"""What the database itself refuses, whoever writes to it: asked in raw SQL, on both databases."""

import itertools

import pytest
from sqlalchemy import Integer, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema
from ledger.transfer import LEGAL_CHANGES, Status
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.raw_sql import TABLES, Row, insert, is_refused, refuses, taken

# --- append-only ----------------------------------------------------------------------------------------------


async def test_good_rows_are_taken(connection: AsyncConnection) -> None:
    """The rows that the other tests spoil are good ones: what is refused is what was spoilt."""
    for table in TABLES:
        await insert(connection, table)


async def test_append_only_rows_are_never_changed(connection: AsyncConnection) -> None:
    """A correction is another entry: even setting a column to what it is already is refused."""
    for table in ("operations", "postings", "transfer_events"):
        await refuses(connection, f"UPDATE {table} SET recorded_at = recorded_at", "append-only")


async def test_no_row_is_ever_deleted(connection: AsyncConnection) -> None:
    """Not from any table, not even from one that nothing refers to."""
    for table in TABLES:
        await refuses(connection, f"DELETE FROM {table}", "never deleted")


@only_postgresql
async def test_no_table_is_ever_truncated(connection: AsyncConnection) -> None:
    """TRUNCATE fires no delete trigger, so it has its own."""
    for table in TABLES:
        await refuses(connection, f"TRUNCATE {table} CASCADE", "never deleted")


@only_sqlite
async def test_no_row_is_ever_replaced(connection: AsyncConnection) -> None:
    """INSERT OR REPLACE deletes the old row without firing its delete trigger, so it has its own."""
    for table in TABLES:
        await insert(connection, table)
        with pytest.raises(DBAPIError, match="already has this row"):
            await insert(connection, table, prefix="OR REPLACE")


@only_sqlite
async def test_no_row_is_replaced_by_an_update(connection: AsyncConnection) -> None:
    """UPDATE OR REPLACE would delete the row in its way."""
    for table in ("operations", "postings", "transfer_events"):
        await refuses(connection, f"UPDATE OR REPLACE {table} SET recorded_at = 5", "append-only")
    await refuses(connection, "UPDATE OR REPLACE accounts SET id = 'bob', version = 99 WHERE id = 'alice'", "only grow")


# --- accounts -------------------------------------------------------------------------------------------------


async def test_accounts_only_grow(connection: AsyncConnection) -> None:
    """Totals and versions never shrink; currency, guard, id and date are settled for ever."""
    for change in (
        "version = version + 1, debits_posted = debits_posted - 1",
        "version = version + 1, credits_posted = credits_posted - 1",
        "version = version + 1, currency = 'EUR'",
        "version = version + 1, guard = 'none'",
        "version = version + 1, id = 'alicia'",
        "version = version + 1, opened_at = 5",
        "version = version - 1",
        "status = 'frozen'",
    ):
        await refuses(connection, f"UPDATE accounts SET {change} WHERE id = 'alice'", "accounts only grow")


async def test_no_account_goes_below_its_guard(connection: AsyncConnection) -> None:
    """A customer cannot spend more than there is, nor cash give more than it has, whatever the program says."""
    for id, total in (("alice", "debits_posted"), ("cash:USD", "credits_posted")):
        change = f"UPDATE accounts SET {total} = {total} + 10000000, version = version + 1 WHERE id = '{id}'"
        await refuses(connection, change, "must_not_exceed|CHECK")


async def test_a_bad_account_is_refused(connection: AsyncConnection) -> None:
    """Only the words of the chart of accounts, and only totals that could have grown from nothing."""
    bad: list[Row] = [
        {"guard": "whatever"},
        {"guard": None},
        {"status": "asleep"},
        {"version": 0},
        {"debits_posted": -1},
        {"credits_posted": -1},
        {"guard": "debits_must_not_exceed_credits", "debits_posted": 1},
        {"guard": "credits_must_not_exceed_debits", "credits_posted": 1},
        {"id": "alice"},
        {"id": None},
        {"currency": None},
    ]
    assert await taken(connection, "accounts", bad) == []


# --- postings and keys ----------------------------------------------------------------------------------------


async def test_a_bad_posting_is_refused(connection: AsyncConnection) -> None:
    """Zero and negative amounts, one account twice, no operation, the wrong currency, the same position twice."""
    bad: list[Row] = [
        {"amount_minor": 0},
        {"amount_minor": -5},
        {"amount_minor": None},
        {"credit_account_id": "alice"},
        {"operation_key": "nothing/debit"},
        {"operation_key": None},
        {"currency": "EUR"},
        {"debit_account_id": "yves"},
        {"credit_account_id": "yves"},
        {"credit_account_id": "nobody"},
        {"position": 0},
        {"position": -1},
    ]
    assert await taken(connection, "postings", bad) == []


async def test_a_bad_operation_is_refused(connection: AsyncConnection) -> None:
    """A key once, a known outcome, and a code exactly when it did not apply."""
    bad: list[Row] = [
        {"key": "settled/debit"},
        {"key": ""},
        {"key": "x" * 201},
        {"key": None},
        {"fingerprint": None},
        {"outcome": "perhaps"},
        {"outcome": "applied", "code": "insufficient_funds"},
        {"outcome": "rejected", "code": None},
        {"outcome": "fenced", "code": None},
        {"transfer_id": "nothing"},
    ]
    assert await taken(connection, "operations", bad) == []


async def test_numbers_are_whole_and_fit(connection: AsyncConnection) -> None:
    """SQLite would take anything anywhere: STRICT tables take integers only, of 64 bits."""
    for table in TABLES:
        numbers = [column.name for column in schema.metadata.tables[table].c if isinstance(column.type, Integer)]
        spoilt = ["five", b"5", 2**63, -(2**63) - 1]
        if connection.dialect.name == "sqlite":
            spoilt.append(1.5)  # PostgreSQL's driver hands over its whole part, and the column takes no other
        bad = [{name: value} for name in numbers for value in spoilt]
        assert await taken(connection, table, bad) == [], table


# --- transfers and their lives --------------------------------------------------------------------------------

CHANGES = list(itertools.product(Status, Status))
LEGAL = {change for change in CHANGES if change in LEGAL_CHANGES}


async def test_a_transfer_changes_only_as_the_law_says(connection: AsyncConnection) -> None:
    """Of all 64 changes of status, the database takes exactly those of `LEGAL_CHANGES`."""
    changed = set()
    for before, after in CHANGES:
        id = f"{before}-{after}"
        await insert(connection, "transfers", {"id": id, "status": before.value})
        change = text(f"UPDATE transfers SET status = '{after}', version = 2 WHERE id = '{id}'")
        if not await is_refused(connection, connection.execute(change)):
            changed.add((before, after))

    assert changed == LEGAL


async def test_an_event_is_a_legal_change(connection: AsyncConnection) -> None:
    """Of all 64 changes of status, the history takes exactly those of `LEGAL_CHANGES`."""
    asked = {change: {"from_status": change[0].value, "to_status": change[1].value} for change in CHANGES}
    events = await taken(connection, "transfer_events", asked.values())

    assert {change for change in CHANGES if asked[change] in events} == LEGAL


async def test_a_history_begins_once(connection: AsyncConnection) -> None:
    """Only the first event comes from nowhere, each number is used once, and each event has its operation."""
    bad: list[Row] = [
        {"from_status": None},
        {"sequence": 1},
        {"sequence": 1, "from_status": None},
        {"sequence": 0},
        {"to_status": "lost", "from_status": None},
        {"to_status": None},
        {"operation_key": "nothing/debit"},
        {"transfer_id": "nothing"},
    ]
    assert await taken(connection, "transfer_events", bad) == []


async def test_a_transfers_facts_are_settled_when_it_is_accepted(connection: AsyncConnection) -> None:
    """Only its status, reason and detail move on; an ended transfer does not even change its reason."""
    debited = "status = 'settled', version = version + 1"
    for change in (
        "amount_minor = 1",
        "currency = 'EUR'",
        "source_account_id = 'carol'",
        "id = 'T2'",
        "accepted_at = 1",
    ):
        await refuses(connection, f"UPDATE transfers SET {debited}, {change} WHERE id = 'debited'", "illegal change")
    await refuses(connection, "UPDATE transfers SET status = 'settled' WHERE id = 'debited'", "illegal change")
    for change in ("reason = 'other'", "status = 'refunded'", "status = 'debited'"):
        ended = f"UPDATE transfers SET {change}, version = version + 1 WHERE id = 'settled'"
        await refuses(connection, ended, "illegal change")


async def test_a_bad_transfer_is_refused(connection: AsyncConnection) -> None:
    """One account twice, no amount, a status that is none, an id that is used."""
    bad: list[Row] = [
        {"destination_account_id": "alice"},
        {"amount_minor": 0},
        {"status": "lost"},
        {"version": 0},
        {"id": "settled"},
        {"id": None},
    ]
    assert await taken(connection, "transfers", bad) == []


async def test_a_notification_only_becomes_delivered(connection: AsyncConnection) -> None:
    """What the outside is told does not change, and is delivered once."""
    for change in ("body = '{}'", "body = '{}', delivered_at = 5", "delivered_at = NULL", "transfer_id = 'debited'"):
        await refuses(connection, f"UPDATE notifications SET {change}", "only becomes delivered")
    await connection.execute(text("UPDATE notifications SET delivered_at = 5"))
    await refuses(connection, "UPDATE notifications SET delivered_at = 6", "only becomes delivered")
