"""Story: everything that the books have under one transfer's keys, as of one instant.

It is found by the keys `<transfer id>/...` and by nothing else, so that it holds for every kind of leg.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema, store
from ledger.database import reading
from ledger.keys import operation_keys
from ledger.operation import OutcomeKind, Posting
from ledger.reader import Reader
from ledger.transfer import TransferState


@dataclass(frozen=True, slots=True)
class Entry:
    """What is recorded under one key: its outcome, and the postings that came with it, in their order."""

    key: str
    outcome: OutcomeKind
    code: str | None
    detail: str | None
    recorded_at: int
    postings: tuple[Posting, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """One event of the transfer's life, and the key that brought it."""

    sequence: int
    before: str | None
    after: str
    operation_key: str
    reason: str | None
    detail: str | None
    recorded_at: int


@dataclass(frozen=True, slots=True)
class Telling:
    """One notification: since when it is in the outbox, and when it was delivered, if it was."""

    key: str
    recorded_at: int
    delivered_at: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """A transfer with all that belongs to it. Instants are microseconds; entries are in the order of their effects.

    Of an entry, which has no life of its own, there is no `state`, and there are no changes of it.
    """

    state: TransferState | None
    entries: tuple[Entry, ...]
    changes: tuple[Change, ...]
    tellings: tuple[Telling, ...]

    @property
    def postings(self) -> Iterator[Posting]:
        """Every posting of the transfer, in order."""
        return (posting for entry in self.entries for posting in entry.postings)


async def read_story(books: Reader, transfer_id: str) -> Story | None:
    """The story of a transfer; None if the books have never heard of it."""
    transfers, events = schema.transfers, schema.transfer_events
    async with reading(books.engine) as connection:
        row = (await connection.execute(select(transfers).where(transfers.c.id == transfer_id))).first()
        if row is None:
            return None
        life = select(events).where(events.c.transfer_id == transfer_id).order_by(events.c.sequence)
        changes = [
            Change(e.sequence, e.from_status, e.to_status, e.operation_key, e.reason, e.detail, e.recorded_at)
            for e in await connection.execute(life)
        ]
        first, behind = operation_keys(transfer_id)
        o, n, a = schema.operations.c, schema.notifications.c, schema.approvals.c
        told = (n.key >= first) & (n.key < behind) & (n.transfer_id == transfer_id)
        tellings = await _tellings(connection, told)
        # A deposit or an account may have the same id, and then keys that begin in the same way.
        approved = o.key.in_(select(a.operation_key).where(a.transfer_id == transfer_id))
        own = (o.key >= first) & (o.key < behind) & ((o.transfer_id == transfer_id) | approved)
        entries = await _entries(connection, own, changes)
    return Story(store.read_transfer(row), tuple(entries), tuple(changes), tuple(tellings))


async def read_entry_story(books: Reader, entry_key: str) -> Story | None:
    """The story of an entry: what is under its key and below it. None if the books have never heard of it."""
    o, n = schema.operations.c, schema.notifications.c
    first, behind = operation_keys(entry_key)
    async with reading(books.engine) as connection:
        entries = await _entries(connection, (o.key == entry_key) | ((o.key >= first) & (o.key < behind)), [])
        tellings = await _tellings(connection, (n.key >= first) & (n.key < behind))
    return Story(None, tuple(entries), (), tuple(tellings)) if entries else None


async def _tellings(connection: AsyncConnection, these: ColumnElement[bool]) -> list[Telling]:
    n = schema.notifications
    rows = await connection.execute(select(n).where(these).order_by(n.c.recorded_at, n.c.key))
    return [Telling(row.key, row.recorded_at, row.delivered_at) for row in rows]


async def _entries(connection: AsyncConnection, own: ColumnElement[bool], changes: list[Change]) -> list[Entry]:
    p, o = schema.postings.c, schema.operations.c
    moved = select(schema.postings).where(p.operation_key.in_(select(o.key).where(own)))
    postings = defaultdict(list)
    for row in await connection.execute(moved.order_by(p.operation_key, p.position)):
        posting = Posting(row.debit_account_id, row.credit_account_id, row.amount_minor, row.currency)
        postings[row.operation_key].append(posting)
    asked = select(schema.operations).where(own)
    entries = [
        Entry(row.key, OutcomeKind(row.outcome), row.code, row.detail, row.recorded_at, tuple(postings[row.key]))
        for row in await connection.execute(asked)
    ]
    brought = {change.operation_key: change.sequence for change in changes}

    def place(entry: Entry) -> tuple[int, int, str]:
        """By time; what one transaction wrote, in the order of the changes that it brought."""
        return entry.recorded_at, brought.get(entry.key, len(changes) + 1), entry.key

    return sorted(entries, key=place)
