"""Reader: what anybody may ask of the books without changing them. The starter reads through it, read-only."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Select, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import database, schema, store
from ledger.account import Account
from ledger.database import READING, Bounds, open_database, parse_url, reading
from ledger.entries import BY_RECIPE, LEGS, Entry
from ledger.fingerprint import Fingerprint
from ledger.keys import OCCURRENCE_LENGTH, SETTING, operation_key
from ledger.operation import Outcome, OutcomeKind
from ledger.statement import ALWAYS, Period, Statement, read_statement
from ledger.transfer import Status, TransferState

Place = tuple[int, str]
"""Where a page of a long answer ended: an instant (microseconds) and an id or key. `START` is before all of them."""

START: Place = (0, "")
_UNFINISHED = sorted(status.value for status in Status if not status.terminal)


@dataclass(frozen=True, slots=True)
class PendingNotification:
    """A row of the outbox: its key, the JSON text to deliver, and when it was (microseconds), if it was."""

    key: str
    body: str
    delivered_at: int | None


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A transfer that has not ended, and since when it stands where it is (microseconds)."""

    state: TransferState
    changed_at: int

    @property
    def place(self) -> Place:
        """Where the next page goes on."""
        return self.changed_at, self.state.transfer.id


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notification that nobody is known to have taken, and since when it is in the outbox (microseconds).

    Without a transfer, it is of the entry whose key its own begins with.
    """

    key: str
    transfer_id: str | None
    recorded_at: int

    @property
    def place(self) -> Place:
        """Where the next page goes on."""
        return self.recorded_at, self.key


class Reader:
    """The books, open for reading."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine

    @classmethod
    @asynccontextmanager
    async def open_read_only(cls, url: str, bounds: Bounds = READING) -> AsyncIterator["Reader"]:
        """Open the books so that the database itself refuses any write. Takes no lock and migrates nothing."""
        engine = open_database(parse_url(url), read_only=True, bounds=bounds)
        try:
            yield cls(engine)
        finally:
            await engine.dispose()

    async def account(self, account_id: str) -> Account | None:
        """One account with its totals; None if there is none."""
        row = await self._row(select(schema.accounts).where(schema.accounts.c.id == account_id))
        return None if row is None else store.read_account(row)

    async def asked(self, key: str) -> Fingerprint | None:
        """What was asked under a key; None if nothing was."""
        row = await self._row(select(schema.operations).where(schema.operations.c.key == key))
        return None if row is None else Fingerprint(row.fingerprint, row.fingerprint_recipe)

    async def recorded_at(self, key: str) -> int | None:
        """When the outcome under a key was recorded (microseconds since 1970); None if nothing was asked."""
        row = await self._row(select(schema.operations).where(schema.operations.c.key == key))
        return None if row is None else int(row.recorded_at)

    async def entries(self, id: str) -> list[tuple[Entry, Outcome]]:
        """The entries of an id, at most one of each leg, and how each ended."""
        found: list[tuple[Entry, Outcome]] = []
        for leg in LEGS:
            key = schema.operations.c.key
            row = await self._row(select(schema.operations).where(key == operation_key(id, leg)))
            if row is not None:
                recorded = Outcome(OutcomeKind(row.outcome), row.code, row.detail, replayed=True)
                found.append((BY_RECIPE[row.fingerprint_recipe].of(id, json.loads(row.fingerprint)), recorded))
        return found

    async def next_setting(self, account_id: str) -> int:
        """The number of an account's next change of its settings: one more than the last one in the books."""
        key, prefix = schema.operations.c.key, f"{account_id}{SETTING}"
        after = f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"  # the first text behind all that begin with the prefix
        last = select(key).where(key >= prefix, key < after).order_by(func.length(key).desc(), key.desc()).limit(1)
        row = await self._row(last)
        return 1 if row is None else int(row.key.removeprefix(prefix)) + 1

    async def transfer(self, transfer_id: str) -> TransferState | None:
        """Where a transfer is; None if the books have never heard of it."""
        row = await self._row(select(schema.transfers).where(schema.transfers.c.id == transfer_id))
        return None if row is None else store.read_transfer(row)

    async def occurrences(self, recurring_id: str, limit: int = 10) -> list[TransferState]:
        """The transfers that were made for a recurring one, the latest nominal time first."""
        id, prefix = schema.transfers.c.id, f"{recurring_id}."
        length = len(recurring_id) + OCCURRENCE_LENGTH  # or those of `rent.2` would be taken for occurrences of `rent`
        found = select(schema.transfers).where(id >= f"{prefix}0", id < f"{prefix}:", func.length(id) == length)
        return [store.read_transfer(row) for row in await self._rows(found.order_by(id.desc()).limit(limit))]

    async def held(self, account_id: str) -> int:
        """How much of an account's money is held: debited on terms, and not decided yet. In minor units."""
        t = schema.transfers.c
        on_terms = select(t.amount_minor).where(t.source_account_id == account_id, t.terms.is_not(None))
        return sum(row.amount_minor for row in await self._rows(on_terms.where(t.status == Status.DEBITED.value)))

    async def notification(self, key: str) -> PendingNotification | None:
        """One notification of the outbox; None if nothing of that key has happened."""
        row = await self._row(select(schema.notifications).where(schema.notifications.c.key == key))
        return None if row is None else PendingNotification(row.key, row.body, row.delivered_at)

    async def undelivered_among(self, keys: Sequence[str]) -> list[PendingNotification]:
        """Which of these notifications are in the outbox and not known to be delivered, in the order of their keys."""
        n, dialect = schema.notifications.c, self.engine.dialect.name
        these = select(n.key, n.body).where(database.among(dialect, n.key, "keys"), n.delivered_at.is_(None))
        async with reading(self.engine) as connection:
            rows = await connection.execute(these.order_by(n.key), {"keys": database.many(dialect, sorted(keys))})
            return [PendingNotification(row.key, row.body, None) for row in rows]

    async def unfinished(self, before: int, after: Place = START, limit: int = 1000) -> list[Unfinished]:
        """Transfers that have not ended and did not change since `before` (microseconds), the longest unchanged first.

        At most `limit` of them, beyond the place `after`. It reads the whole table: an index would cost
        every transfer something (on PostgreSQL, its updates in place), for a question that is asked once a minute.
        """
        t = schema.transfers.c
        old = select(schema.transfers).where(t.status.in_(_UNFINISHED), t.changed_at < before)
        rows = await self._rows(old.where(tuple_(t.changed_at, t.id) > after).order_by(t.changed_at, t.id).limit(limit))
        return [Unfinished(store.read_transfer(row), row.changed_at) for row in rows]

    async def undelivered(self, before: int, after: Place = START, limit: int = 1000) -> list[Undelivered]:
        """Notifications recorded before an instant (microseconds) and not known to be delivered, the oldest first."""
        n = schema.notifications.c
        old = select(n.key, n.transfer_id, n.recorded_at).where(n.delivered_at.is_(None), n.recorded_at < before)
        rows = await self._rows(
            old.where(tuple_(n.recorded_at, n.key) > after).order_by(n.recorded_at, n.key).limit(limit)
        )
        return [Undelivered(row.key, row.transfer_id, row.recorded_at) for row in rows]

    async def statement(self, account_id: str, period: Period = ALWAYS) -> Statement | None:
        """An account's postings within a period, with its balances around them; None if there is no account."""
        async with reading(self.engine) as connection:
            return await read_statement(connection, account_id, period)

    async def _row(self, statement: Select[Any]) -> Row[*tuple[Any, ...]] | None:
        async with reading(self.engine) as connection:
            row: Row[*tuple[Any, ...]] | None = (await connection.execute(statement)).first()
            return row

    async def _rows(self, statement: Select[Any]) -> Sequence[Row[*tuple[Any, ...]]]:
        async with reading(self.engine) as connection:
            rows: Sequence[Row[*tuple[Any, ...]]] = (await connection.execute(statement)).all()
            return rows
