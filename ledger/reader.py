"""Reader: what anybody may ask of the books without changing them. The starter reads through it, read-only."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Row, RowMapping, Select, func, select, union_all
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger import schema, store
from ledger.account import Account
from ledger.database import READING, Bounds, open_database, parse_url, reading
from ledger.fingerprint import Fingerprint
from ledger.keys import SETTING
from ledger.transfer import TransferState


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting as one of its accounts sees it. `change` is signed; both are in minor units."""

    sequence: int
    operation_key: str
    other_account_id: str
    change: int
    balance_after: int
    recorded_at: int


@dataclass(frozen=True, slots=True)
class PendingNotification:
    """A row of the outbox: its key, the JSON text to deliver, and when it was (microseconds), if it was."""

    key: str
    body: str
    delivered_at: int | None


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

    async def notification(self, key: str) -> PendingNotification | None:
        """One notification of the outbox; None if nothing of that key has happened."""
        row = await self._row(select(schema.notifications).where(schema.notifications.c.key == key))
        return None if row is None else PendingNotification(row.key, row.body, row.delivered_at)

    async def statement(self, account_id: str) -> tuple[Account, list[StatementLine]] | None:
        """An account and every posting to it, oldest first, as of one instant; None if there is no account."""
        postings = schema.postings
        async with reading(self.engine) as connection:
            found = select(schema.accounts).where(schema.accounts.c.id == account_id)
            row = (await connection.execute(found)).first()
            if row is None:
                return None
            account = store.read_account(row)
            sides = union_all(
                _side(postings.c.debit_account_id, postings.c.credit_account_id, "debit", account_id),
                _side(postings.c.credit_account_id, postings.c.debit_account_id, "credit", account_id),
            ).order_by("sequence")
            lines = (await connection.execute(sides)).mappings().all()
        return account, _lines(account, lines)

    async def _row(self, statement: Select[Any]) -> Row[*tuple[Any, ...]] | None:
        async with reading(self.engine) as connection:
            row: Row[*tuple[Any, ...]] | None = (await connection.execute(statement)).first()
            return row


def _side(mine: Column[str], other: Column[str], side: str, account_id: str) -> Select[Any]:
    postings = schema.postings.c
    return select(
        postings.sequence,
        postings.operation_key,
        other.label("other_account_id"),
        postings.amount_minor,
        postings[f"{side}_balance_after"].label("balance_after"),
        postings.recorded_at,
    ).where(mine == account_id)


def _lines(account: Account, rows: Sequence[RowMapping]) -> list[StatementLine]:
    """The change of each line is the difference of two running balances, so a statement always adds up."""
    lines, before = [], 0
    for row in rows:
        change, before = row["balance_after"] - before, row["balance_after"]
        lines.append(
            StatementLine(
                row["sequence"], row["operation_key"], row["other_account_id"], change, before, row["recorded_at"]
            )
        )
    return lines
