"""Store: load the part of the books that a batch needs, and write what the batch changed. No rule lives here.

Both databases run the same statements. The guarantee rests on unique keys and row locks, not on an isolation
level: accounts are locked in sorted order (which on SQLite the write lock of the whole file does), and keys are
read after the locks. Should two workers still write the same key, the unique constraint refuses the second.
"""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Executable, RowMapping, Table, bindparam, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema
from ledger.account import Account, AccountStatus, Guard
from ledger.books import Books, Changes, Notification, Recorded
from ledger.database import among
from ledger.fingerprint import Fingerprint
from ledger.keys import cash_account, transit_account
from ledger.operation import OpenAccount, Operation, OutcomeKind, Request, SetAccountStatus
from ledger.transfer import Status, Transfer, TransferState


async def load(connection: AsyncConnection, batch: Iterable[Request]) -> Books:
    """The accounts (locked), keys and transfers that a batch names, as they are now."""
    accounts, keys, transfers = _names(batch)
    books = Books()
    if accounts:
        for row in await _rows(connection, schema.accounts, "id", accounts, lock=True):
            books.accounts[row["id"]] = read_account(row)
    if keys:
        for row in await _rows(connection, schema.operations, "key", keys):
            books.operations[row["key"]] = _read_operation(row)
    if transfers:
        for row in await _rows(connection, schema.transfers, "id", transfers):
            books.transfers[row["id"]] = read_transfer(row)
    return books


async def write(connection: AsyncConnection, changes: Changes) -> None:
    """Write a batch's changes. The caller's transaction makes them one."""
    now = time.time_ns() // 1000
    for statement, rows in _statements(changes, now):
        if rows:
            await connection.execute(statement, rows)


def read_account(row: RowMapping) -> Account:
    """An account from its row."""
    return Account(
        id=row["id"],
        currency=row["currency"],
        guard=Guard(row["guard"]),
        status=AccountStatus(row["status"]),
        version=row["version"],
        debits_posted=row["debits_posted"],
        credits_posted=row["credits_posted"],
    )


def read_transfer(row: RowMapping) -> TransferState:
    """A transfer's state from its row."""
    transfer = Transfer(
        row["id"], row["source_account_id"], row["destination_account_id"], row["amount_minor"], row["currency"]
    )
    return TransferState(transfer, Status(row["status"]), row["version"], row["reason"], row["detail"])


def _read_operation(row: RowMapping) -> Recorded:
    fingerprint = Fingerprint(row["fingerprint"], row["fingerprint_recipe"])
    return Recorded(
        row["key"], fingerprint, OutcomeKind(row["outcome"]), row["code"], row["detail"], row["transfer_id"]
    )


def _names(batch: Iterable[Request]) -> tuple[set[str], set[str], set[str]]:
    """The ids of the accounts, keys and transfers that a batch reads or writes."""
    accounts: set[str] = set()
    keys: set[str] = set()
    transfers: set[str] = set()
    for request in batch:
        match request:
            case Operation():
                accounts |= request.account_ids()
                keys.add(request.key)
                if request.fences:
                    keys.add(request.fences)
                if request.step:
                    transfers.add(request.step.transfer.id)
            case OpenAccount():
                accounts |= {request.account_id, transit_account(request.currency), cash_account(request.currency)}
            case SetAccountStatus():
                accounts.add(request.account_id)
    return accounts, keys, transfers


async def _rows(
    connection: AsyncConnection, table: Table, key: str, values: set[str], lock: bool = False
) -> Sequence[RowMapping]:
    statement = select(table).where(among(connection.dialect.name, table.c[key], values))
    if lock:
        statement = statement.order_by(table.c[key]).with_for_update()  # compiles to nothing on SQLite
    return (await connection.execute(statement)).mappings().all()


def _statements(changes: Changes, now: int) -> list[tuple[Executable, list[dict[str, Any]]]]:
    return [
        (insert(schema.accounts), [_account_row(account) | {"opened_at": now} for account in changes.opened.values()]),
        (_UPDATE_ACCOUNT, [_account_change(account) for account in changes.changed.values()]),
        (insert(schema.transfers), [_transfer_row(state, now) for state in changes.begun.values()]),
        (_UPDATE_TRANSFER, [_transfer_change(state, now) for state in changes.moved.values()]),
        (insert(schema.operations), [_operation_row(recorded, now) for recorded in changes.operations]),
        (insert(schema.postings), _posting_rows(changes, now)),
        (insert(schema.transfer_events), _event_rows(changes, now)),
        (insert(schema.notifications), [_notification_row(note, now) for note in changes.notifications]),
        (_MARK_DELIVERED, [{"id_": key, "now": now} for key in changes.delivered]),
    ]


_UPDATE_ACCOUNT = (
    update(schema.accounts)
    .where(schema.accounts.c.id == bindparam("id_"))
    .values({name: bindparam(f"{name}_") for name in ("status", "version", "debits_posted", "credits_posted")})
)
_UPDATE_TRANSFER = (
    update(schema.transfers)
    .where(schema.transfers.c.id == bindparam("id_"))
    .values({name: bindparam(f"{name}_") for name in ("status", "version", "reason", "detail", "changed_at")})
)
_MARK_DELIVERED = (
    update(schema.notifications)
    .where(schema.notifications.c.key == bindparam("id_"), schema.notifications.c.delivered_at.is_(None))
    .values(delivered_at=bindparam("now"))
)


def _account_row(account: Account) -> dict[str, Any]:
    return {
        "id": account.id,
        "currency": account.currency,
        "guard": account.guard,
        "status": account.status,
        "version": account.version,
        "debits_posted": account.debits_posted,
        "credits_posted": account.credits_posted,
    }


def _account_change(account: Account) -> dict[str, Any]:
    return {
        "id_": account.id,
        "status_": account.status,
        "version_": account.version,
        "debits_posted_": account.debits_posted,
        "credits_posted_": account.credits_posted,
    }


def _transfer_row(state: TransferState, now: int) -> dict[str, Any]:
    transfer = state.transfer
    return {
        "id": transfer.id,
        "source_account_id": transfer.source,
        "destination_account_id": transfer.destination,
        "amount_minor": transfer.amount_minor,
        "currency": transfer.currency,
        "status": state.status,
        "reason": state.reason,
        "detail": state.detail,
        "version": state.version,
        "accepted_at": now,
        "changed_at": now,
    }


def _transfer_change(state: TransferState, now: int) -> dict[str, Any]:
    return {
        "id_": state.transfer.id,
        "status_": state.status,
        "version_": state.version,
        "reason_": state.reason,
        "detail_": state.detail,
        "changed_at_": now,
    }


def _operation_row(recorded: Recorded, now: int) -> dict[str, Any]:
    return {
        "key": recorded.key,
        "fingerprint": recorded.fingerprint.text,
        "fingerprint_recipe": recorded.fingerprint.recipe,
        "outcome": recorded.kind,
        "code": recorded.code,
        "detail": recorded.detail,
        "transfer_id": recorded.transfer_id,
        "recorded_at": now,
    }


def _posting_rows(changes: Changes, now: int) -> list[dict[str, Any]]:
    return [
        {
            "operation_key": row.operation_key,
            "position": row.position,
            "debit_account_id": row.posting.debit_account_id,
            "credit_account_id": row.posting.credit_account_id,
            "amount_minor": row.posting.amount_minor,
            "currency": row.posting.currency,
            "debit_balance_after": row.debit_balance_after,
            "credit_balance_after": row.credit_balance_after,
            "recorded_at": now,
        }
        for row in changes.postings
    ]


def _event_rows(changes: Changes, now: int) -> list[dict[str, Any]]:
    return [
        {
            "transfer_id": event.transfer_id,
            "sequence": event.sequence,
            "from_status": event.before,
            "to_status": event.after,
            "operation_key": event.operation_key,
            "reason": event.reason,
            "detail": event.detail,
            "recorded_at": now,
        }
        for event in changes.events
    ]


def _notification_row(notification: Notification, now: int) -> dict[str, Any]:
    state = notification.state
    body = {
        "type": f"transfer.{state.status}",
        "transfer_id": state.transfer.id,
        "status": state.status,
        "iso20022_status": state.status.iso20022,
        "reason": state.reason,
        "detail": state.detail,
        **state.transfer.content(),
    }
    return {
        "key": notification.key,
        "transfer_id": state.transfer.id,
        "body": json.dumps(body, sort_keys=True, separators=(",", ":")),
        "recorded_at": now,
        "delivered_at": None,
    }
