"""Evidence: what the outside saw of a run, as plain values: rows, answers, deliveries, observations, executions.

The invariants judge by this alone. It is read without the engine's code: rows by raw SQL in one snapshot, executions
by Temporal's own API; answers, deliveries and observations are written down by those who got or made them.
All times are seconds on this machine's monotonic clock.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from sqlalchemy import make_url

TABLES = ("accounts", "operations", "postings", "transfers", "transfer_events", "notifications")
_ORDER = {
    "accounts": "id",
    "operations": "key",
    "postings": "sequence",
    "transfers": "id",
    "transfer_events": "transfer_id, sequence",
    "notifications": "key",
}
Row = dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """The books at one instant: every row of every table, each a dict by column."""

    accounts: Sequence[Row] = ()
    operations: Sequence[Row] = ()
    postings: Sequence[Row] = ()
    """In the order of `sequence`."""
    transfers: Sequence[Row] = ()
    transfer_events: Sequence[Row] = ()
    notifications: Sequence[Row] = ()


@dataclass(frozen=True)
class Answer:
    """What one caller was told when it submitted a transfer (or asked for its cancel, or its status)."""

    caller: str
    transfer_id: str
    content: tuple[str, str, int, str]
    """What it asked for: source, destination, amount in minor units, currency."""
    asked_at: float
    answered_at: float
    exit_status: int
    """Of `semantics.md` §10: 0 settled, 2 malformed, 3 rejected/refunded/cancelled, 4 key reused, 5 unknown."""
    status: str | None = None
    """`settled`, `rejected`, `refunded`, `cancelled`; None where there was no definite answer."""
    reason: str | None = None
    replayed: bool = False
    error: str | None = None
    """The class of the error behind an unknown."""


@dataclass(frozen=True)
class Delivery:
    """A notification as the receiver got it. `accepted`: it kept it, whatever it then answered."""

    key: str
    body: str
    at: float
    accepted: bool = True


@dataclass(frozen=True)
class Observation:
    """What an observer read in one snapshot while the faults were on; currency -> minor units."""

    at: float
    debits: dict[str, int]
    """Sum of `debits_posted` over all accounts."""
    credits: dict[str, int]
    posted: dict[str, int]
    """Sum of the postings' amounts."""
    transit_balance: dict[str, int]
    in_transit: dict[str, int]
    """Sum of the amounts of transfers whose status is `debited`."""


@dataclass(frozen=True)
class Execution:
    """One closed or running workflow as Temporal knows it."""

    workflow_id: str
    run_id: str
    workflow_type: str
    status: str
    """RUNNING, COMPLETED, FAILED, CANCELED, TERMINATED, CONTINUED_AS_NEW or TIMED_OUT."""
    result: Any = None
    """The decoded result of a completed one."""
    failure_type: str | None = None


@dataclass
class Evidence:
    """Everything that is known about one run."""

    rows: Rows
    answers: Sequence[Answer] = ()
    deliveries: Sequence[Delivery] = ()
    observations: Sequence[Observation] = ()
    executions: Sequence[Execution] = ()
    """All executions of the run's namespace, if histories are to agree with the books (I11)."""
    healed_at: float | None = None
    """When the faults stopped, and when every accepted transfer was terminal (I8)."""
    terminal_at: float | None = None
    wrecked: frozenset[str] = field(default_factory=frozenset)
    """Transfers whose execution an operator terminated or deleted: Temporal cannot agree about them."""


async def read_rows(url: str) -> Rows:
    """Every row of the books at one instant. Reads only."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _read_sqlite(str(parsed.database))
    dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            read = {name: [dict(row) for row in await connection.fetch(_select(name))] for name in TABLES}
    finally:
        await connection.close()
    return Rows(**read)


def _read_sqlite(path: str) -> Rows:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        read = {name: [dict(row) for row in connection.execute(_select(name))] for name in TABLES}
    finally:
        connection.close()
    return Rows(**read)


def _select(table: str) -> str:
    return f"SELECT * FROM {table} ORDER BY {_ORDER[table]}"
