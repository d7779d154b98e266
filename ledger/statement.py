"""Statements: what was posted to an account within a period, with the balance before and after every line.

Lines are in the order of the ledger's sequence, in which the account's postings were committed: each balance leads to
the next. `recorded_at` is the clock of the worker that wrote, and the clocks of two workers differ. So an instant does
not pick lines; it cuts the account's sequence in two, before the first line that was recorded at that instant or later:

    recorded_at     09:00   10:01   09:59   10:02          a statement to 10:00 ends after the first line,
    sequence          1   |   2       3       4            and one from 10:00 begins with the second

Two statements that adjoin therefore never lose or repeat a line, and what one closes with the other opens with. A cut
stands for good once a line after it is in the books. Until then a worker whose clock is behind may still add a line
before it: close a period when more time has passed since its end than clocks differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, RowMapping, Select, Subquery, func, select, text, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger import schema, store
from ledger.account import Account
from ledger.errors import MalformedRequest


@dataclass(frozen=True, slots=True)
class Period:
    """From `begin` on and until before `end` (microseconds); None is no bound. Raises MalformedRequest if reversed."""

    begin: int | None = None
    end: int | None = None

    def __post_init__(self) -> None:
        if self.begin is not None and self.end is not None and self.begin > self.end:
            raise MalformedRequest("a period cannot begin after its end")


ALWAYS = Period()
"""From the first posting to the last."""


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
class Statement:
    """An account as it is now, and its lines within a period. It adds up: opening, every change, closing."""

    account: Account
    opening_balance: int
    lines: Sequence[StatementLine]

    @property
    def closing_balance(self) -> int:
        """The balance after the last line, in minor units."""
        return self.lines[-1].balance_after if self.lines else self.opening_balance


async def read_statement(connection: AsyncConnection, account_id: str, period: Period) -> Statement | None:
    """The statement of an account, as of one instant; None if there is no account."""
    found = select(schema.accounts).where(schema.accounts.c.id == account_id)
    row = (await connection.execute(found)).first()
    if row is None:
        return None
    lines = _lines_of(account_id, connection.dialect.name)
    wanted, opening = select(lines).order_by(lines.c.sequence), 0
    if period.begin is not None:
        first = await _cut(connection, lines, period.begin)
        before = select(lines.c.balance_after).where(lines.c.sequence < first).order_by(lines.c.sequence.desc())
        opening = await connection.scalar(before.limit(1)) or 0
        wanted = wanted.where(lines.c.sequence >= first)
    if period.end is not None:
        wanted = wanted.where(lines.c.sequence < await _cut(connection, lines, period.end))
    rows = (await connection.execute(wanted)).mappings().all()
    return Statement(store.read_account(row), opening, _changes(opening, rows))


async def _cut(connection: AsyncConnection, lines: Subquery, instant: int) -> int:
    """The sequence of the first line at or after an instant; one that comes after every line if there is none."""
    first: int | None = await connection.scalar(
        select(func.min(lines.c.sequence)).where(lines.c.recorded_at >= instant)
    )
    return _AFTER_ALL if first is None else first


_AFTER_ALL = 2**63 - 1

# True of every posting; it lets SQLite use its indexes, which have the block first (migration 0002 says why).
_IN_ANY_BLOCK = text("""
    (postings.sequence >> 12) IN (
        WITH RECURSIVE blocks (block) AS (
            SELECT MIN(sequence) >> 12 FROM postings
            UNION ALL
            SELECT block + 1 FROM blocks WHERE block < (SELECT MAX(sequence) >> 12 FROM postings)
        )
        SELECT block FROM blocks
    )""")


def _lines_of(account_id: str, dialect: str) -> Subquery:
    postings = schema.postings.c
    sides = [
        _side(postings.debit_account_id, postings.credit_account_id, "debit", account_id),
        _side(postings.credit_account_id, postings.debit_account_id, "credit", account_id),
    ]
    if dialect == "sqlite":
        sides = [side.where(_IN_ANY_BLOCK) for side in sides]
    return union_all(*sides).subquery("lines")


def _side(mine: Column[str], other: Column[str], side: str, account_id: str) -> Select[Any]:
    postings = schema.postings.c
    return select(
        postings.sequence,
        postings.operation_key,
        other.label("other_account_id"),
        postings[f"{side}_balance_after"].label("balance_after"),
        postings.recorded_at,
    ).where(mine == account_id)


def _changes(before: int, rows: Sequence[RowMapping]) -> list[StatementLine]:
    """The change of each line is the difference of two running balances, so a statement always adds up."""
    lines = []
    for row in rows:
        change, before = row["balance_after"] - before, row["balance_after"]
        lines.append(
            StatementLine(
                row["sequence"], row["operation_key"], row["other_account_id"], change, before, row["recorded_at"]
            )
        )
    return lines
