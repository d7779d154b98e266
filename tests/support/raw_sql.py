"""Raw SQL against the constraints: a good row of each table, spoilt in one column, must be refused."""

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema

TABLES = tuple(schema.metadata.tables)
Row = Mapping[str, Any]
EMPTY: Row = {}

ROWS: dict[str, dict[str, Any]] = {
    "accounts": {
        "id": "new", "currency": "USD", "guard": "none", "status": "open", "version": 1, "debits_posted": 0,
        "credits_posted": 0, "opened_at": 1,
    },
    "transfers": {
        "id": "new", "source_account_id": "alice", "destination_account_id": "bob", "amount_minor": 5,
        "currency": "USD", "status": "accepted", "reason": None, "detail": None, "version": 1, "accepted_at": 1,
        "changed_at": 1,
    },
    "operations": {
        "key": "new/debit", "fingerprint": "{}", "fingerprint_recipe": "v1", "outcome": "applied", "code": None,
        "detail": None, "transfer_id": "settled", "recorded_at": 1,
    },
    "postings": {
        "operation_key": "settled/debit", "position": 7, "debit_account_id": "alice", "credit_account_id": "bob",
        "amount_minor": 5, "currency": "USD", "debit_balance_after": 0, "credit_balance_after": 0, "recorded_at": 1,
    },
    "transfer_events": {
        "transfer_id": "settled", "sequence": 9, "from_status": "accepted", "to_status": "debited",
        "operation_key": "settled/debit", "reason": None, "detail": None, "recorded_at": 1,
    },
    "notifications": {
        "key": "new/notify/settled", "transfer_id": "settled", "body": "{}", "recorded_at": 1, "delivered_at": None,
    },
    "reversals": {
        "operation_key": "settled/credit", "transfer_id": "settled", "amount_minor": 5, "recorded_at": 1,
    },
    "entry_reversals": {
        "operation_key": "settled/credit", "position": 0, "original_key": "shared/split", "amount_minor": 5,
        "recorded_at": 1,
    },
    "limit_uses": {"operation_key": "settled/credit", "account_id": "alice", "used_at": 1, "amount_minor": 5},
    "approvals": {
        "operation_key": "settled/debit", "transfer_id": "T", "approver": "bob", "initiator": "ann", "asked": "{}",
    },
}  # fmt: skip  # a picture of one good row of each table
"""A row of each table that the database takes, given the accounts and transfers of `connection`."""


async def insert(connection: AsyncConnection, table: str, other: Row = EMPTY, prefix: str = "") -> None:
    """Insert the good row, with other values in some columns."""
    row = {**ROWS[table], **other}
    await connection.execute(schema.metadata.tables[table].insert().prefix_with(prefix).values(row))


async def is_refused(connection: AsyncConnection, attempt: Awaitable[object]) -> bool:
    """Whether the database (or its driver) refuses an attempt; the transaction goes on either way."""
    savepoint = await connection.begin_nested()
    try:
        await attempt
    except (DBAPIError, OverflowError, UnicodeError):
        return True
    finally:
        await savepoint.rollback()
    return False


async def taken(connection: AsyncConnection, table: str, bad: Iterable[Row]) -> list[Row]:
    """Which of these spoilt rows the database takes all the same."""
    return [other for other in bad if not await is_refused(connection, insert(connection, table, other))]


async def refuses(connection: AsyncConnection, statement: str, why: str) -> None:
    """The database must refuse a statement, saying why."""
    savepoint = await connection.begin_nested()
    with pytest.raises(DBAPIError, match=why):
        await connection.execute(text(statement))
    await savepoint.rollback()
