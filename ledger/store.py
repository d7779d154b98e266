"""Store: load the part of the books that a batch needs, and write what the batch changed. No rule lives here.

Both databases run the same statements. The guarantee rests on unique keys and row locks, not on an isolation
level: accounts are locked in sorted order (which on SQLite the write lock of the whole file does), and keys are
read after the locks. Should two workers still write the same key, the unique constraint refuses the second.
"""

import time
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, Update, bindparam, func, select, update

from ledger import bulk, rows, schema, settled_rows
from ledger.account import Account, AccountStatus, Guard
from ledger.approval import Approved
from ledger.books import Books, Changes, GivenBack, Recorded, Use
from ledger.database import among, many
from ledger.fingerprint import Fingerprint
from ledger.keys import Leg, operation_key
from ledger.limits import DAY, NO_LIMITS, Limits, SetLimits
from ledger.named import named
from ledger.operation import Operation, OutcomeKind, Request, Settle
from ledger.settling import unfold
from ledger.transfer import Status, Transfer, TransferState


def load(connection: Connection, batch: Sequence[Request]) -> Books:
    """The accounts (locked), keys and transfers that a batch names, as they are now."""
    accounts, keys, transfers = named(batch)
    books = Books()
    if accounts:
        for row in _rows(connection, schema.accounts, "id", accounts, lock=True):
            books.accounts[row.id] = read_account(row)
    books.now = time.time_ns() // 1000  # after the locks, which may have had to be waited for
    if keys:
        for row in _rows(connection, schema.operations, "key", keys):
            books.operations[row.key] = _read_operation(row)
    if transfers:
        for row in _rows(connection, schema.transfers, "id", transfers):
            books.transfers[row.id] = read_transfer(row)
    if met := _met(batch, books):
        for row in _rows(connection, schema.operations, "key", met):
            books.operations[row.key] = _read_operation(row)
    if originals := {request.reverses for request in batch if isinstance(request, Operation) and request.reverses}:
        for row in _rows(connection, schema.reversals, "transfer_id", originals):
            books.reversed[row.transfer_id] = books.reversed.get(row.transfer_id, 0) + row.amount_minor
    if given := {r.gives_back.original.key for r in batch if isinstance(r, Operation) and r.gives_back}:
        for row in _rows(connection, schema.entry_reversals, "original_key", given):
            books.given_back[row.original_key, row.position] += row.amount_minor
    _load_uses(connection, batch, books)
    limiting = {request.account_id for request in batch if isinstance(request, SetLimits)}
    if awaiting := {id for request in batch if (id := _to_be_approved(request, books, limiting)) is not None}:
        for row in _rows(connection, schema.approvals, "transfer_id", awaiting):
            books.approvals.setdefault(row.transfer_id, []).append(Approved(*row))
    return books


def _to_be_approved(request: Request, books: Books, limiting: set[str]) -> str | None:
    """Whose approvals a request may need: of accounts with a threshold, and of those being limited."""
    if isinstance(request, Settle):
        owner, payers = request.transfer.id, [request.transfer.source]
    elif isinstance(request, Operation):
        owner, payers = request.intent.owner, [posting.debit_account_id for posting in request.postings]
    else:
        return None
    accounts = (books.accounts[id] for id in payers if id in books.accounts)
    needs = any(a.limits.approval_above_minor is not None or a.id in limiting for a in accounts)
    return owner if needs else None


def _load_uses(connection: Connection, batch: Sequence[Request], books: Books) -> None:
    """What is used up of daily limits, and what a refund would give back. No query where nobody has limits."""
    counted = {id for id, account in books.accounts.items() if account.limits.per_day_minor is not None}
    counted |= {request.account_id for request in batch if isinstance(request, SetLimits)}
    if counted:
        names = {"values": many(connection.dialect.name, sorted(counted)), "since": books.now - DAY}
        for row in connection.execute(_used(connection.dialect.name), names):
            books.used[row.account_id] = int(row.used)
    released = {request.releases for request in batch if isinstance(request, Operation) and request.releases}
    released |= {operation_key(id, Leg.DEBIT) for id in _known(batch, books)}
    if released:
        for row in _rows(connection, schema.limit_uses, "operation_key", released):
            books.uses.setdefault(row.operation_key, []).append(Use(*row))


@cache
def _used(dialect: str) -> Select[Any]:
    uses = schema.limit_uses.c
    in_a_day = among(dialect, uses.account_id, "values") & (uses.used_at > bindparam("since"))
    used = func.sum(uses.amount_minor).label("used")
    return select(uses.account_id, used).where(in_a_day).group_by(uses.account_id)


def _met(batch: Iterable[Request], books: Books) -> set[str]:
    """The keys of the transfers to be settled that the books have met. A transfer they have not has no keys either.

    Nor can it get any meanwhile: all but a cancel would have to wait for the transit account's lock, and whoever writes
    after a cancel is refused, because the transfer's row is there.
    """
    legs = (Leg.DEBIT, Leg.CREDIT, Leg.REFUND)
    return {operation_key(id, leg) for id in _known(batch, books) for leg in legs}


def _known(batch: Iterable[Request], books: Books) -> list[str]:
    """Of the transfers to be settled at once, those that the books have met."""
    return [r.transfer.id for r in batch if isinstance(r, Settle) and r.transfer.id in books.transfers]


def write(connection: Connection, changes: Changes) -> None:
    """Write a batch's changes. The caller's transaction makes them one."""
    now = time.time_ns() // 1000
    if changes.settled and not _can_be_written_at_once(changes):
        unfold(changes)
    opened = [rows.account_row(account, now) for account in changes.opened.values()]
    begun = [rows.transfer_row(state, now) for state in changes.begun.values()]
    moved = [rows.transfer_change(state, now) for state in changes.moved.values()]
    events = [rows.event_row(event, now) for event in changes.events]
    told = [rows.notification_row(notification, now) for notification in changes.notifications]
    bulk.insert(connection, schema.accounts, rows.ACCOUNT, opened)
    posted, limited = rows.account_changes(changes)
    bulk.update(connection, schema.accounts, "id", rows.ACCOUNT_CHANGE, posted)
    bulk.update(connection, schema.accounts, "id", (*rows.ACCOUNT_CHANGE, *rows.LIMITS), limited)
    bulk.insert(connection, schema.transfers, rows.TRANSFER, begun)
    bulk.update(connection, schema.transfers, "id", rows.TRANSFER_CHANGE, moved)
    bulk.insert(connection, schema.operations, rows.OPERATION, [rows.operation_row(r, now) for r in changes.operations])
    _post(connection, changes, now)
    bulk.insert(connection, schema.transfer_events, rows.EVENT, events)
    bulk.insert(connection, schema.notifications, rows.NOTIFICATION, told)
    bulk.insert(connection, schema.reversals, rows.REVERSAL, [(*row, now) for row in changes.reversals])
    given_back = [(*row, now) for row in changes.given_back]
    bulk.insert(connection, schema.entry_reversals, (*GivenBack._fields, "recorded_at"), given_back)
    bulk.insert(connection, schema.limit_uses, Use._fields, changes.uses)
    bulk.insert(connection, schema.approvals, Approved._fields, changes.approvals)
    if changes.delivered:
        dialect = connection.dialect.name
        connection.execute(_mark_delivered(dialect), {"keys": many(dialect, sorted(changes.delivered)), "now": now})


_RUNS = 4
"""Among so many groups of other postings, transfers that were settled at once are written at once; among more, row by
row. Each group is a few statements by itself."""


def _can_be_written_at_once(changes: Changes) -> bool:
    """Whether it stands together, and no other operation refers to it: those are written before."""
    groups = {one.postings_before for one in changes.settled.values()}
    return len(groups) <= _RUNS and not any(r.transfer_id in changes.settled for r in changes.operations)


def _post(connection: Connection, changes: Changes, now: int) -> None:
    """The postings, in the order in which they were decided, whichever way: their sequence is the ledger's."""
    written = 0
    for postings_before, run in groupby(changes.settled.values(), key=attrgetter("postings_before")):
        others = [rows.posting_row(posting, now) for posting in changes.postings[written:postings_before]]
        bulk.insert(connection, schema.postings, rows.POSTING, others)
        settled_rows.insert(connection, list(run), now)
        written = postings_before
    others = [rows.posting_row(posting, now) for posting in changes.postings[written:]]
    bulk.insert(connection, schema.postings, rows.POSTING, others)


# Enums by their value: to look one up is ten times as fast as to ask its class.
_GUARD = {str(guard): guard for guard in Guard}
_ACCOUNT_STATUS = {str(status): status for status in AccountStatus}
_STATUS = {str(status): status for status in Status}
_OUTCOME = {str(kind): kind for kind in OutcomeKind}


def read_account(row: Row[*tuple[Any, ...]]) -> Account:
    """An account from its row."""
    id, currency, guard, status, version, debits_posted, credits_posted, _opened_at, *limits = row
    totals = (debits_posted, credits_posted)
    kept = NO_LIMITS if limits == rows.UNLIMITED else Limits(*limits)
    return Account(id, currency, _GUARD[guard], _ACCOUNT_STATUS[status], version, *totals, kept)


def read_transfer(row: Row[*tuple[Any, ...]]) -> TransferState:
    """A transfer's state from its row."""
    id, source, destination, amount_minor, currency, status, reason, detail, version, *_instants, terms, captured = row
    transfer = Transfer(id, source, destination, amount_minor, currency)
    return TransferState(transfer, _STATUS[status], version, reason, detail, terms, captured)


def _read_operation(row: Row[*tuple[Any, ...]]) -> Recorded:
    key, fingerprint, recipe, outcome, code, detail, transfer_id, _recorded_at = row
    return Recorded(key, Fingerprint(fingerprint, recipe), _OUTCOME[outcome], code, detail, transfer_id)


def _rows(
    connection: Connection, table: Table, key: str, values: set[str], lock: bool = False
) -> Sequence[Row[*tuple[Any, ...]]]:
    statement = _select_among(connection.dialect.name, table, key, lock)
    wanted = many(connection.dialect.name, sorted(values))
    result = connection.execute(statement, {"values": wanted})
    rows: Sequence[Row[*tuple[Any, ...]]] = result.all()
    return rows


@cache
def _select_among(dialect: str, table: Table, key: str, lock: bool) -> Select[Any]:
    statement = select(table).where(among(dialect, table.c[key], "values"))
    return statement.order_by(table.c[key]).with_for_update() if lock else statement  # no FOR UPDATE on SQLite


@cache
def _mark_delivered(dialect: str) -> Update:
    n = schema.notifications
    these = n.c.delivered_at.is_(None), among(dialect, n.c.key, "keys")
    return update(n).where(*these).values(delivered_at=bindparam("now"))
