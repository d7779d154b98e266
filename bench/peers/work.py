"""Work: what every contestant does, and the books that the others keep. Standard library only: all environments use it.

One transfer is three steps, each exactly once: a debit, a credit, and the record of a notification. This engine does it
in its own books. The others do it in the tables below, with one statement for each step, as somebody would who knows
PostgreSQL: a posting and the account's balance move together, and the database refuses to overdraw. Money on its way
has no row of its own there, which would be a lock that everybody waits for; here it has one.
"""

import re
from dataclasses import dataclass

ACCOUNTS = 1000
PAID_IN = 10**12
AWAY = 7
"""How far the account that is paid is from the one that pays."""

HOT = "A999"
"""The account that every transfer of a hot load pays to."""

STEPS = ("debit", "credit", "notify")


@dataclass(frozen=True, slots=True)
class Movement:
    """One transfer of 1 minor unit of US dollars."""

    id: str
    source: str
    destination: str

    def arguments(self) -> dict[str, str]:
        """What the statements of this module are told."""
        return {"id": self.id, "source": self.source, "destination": self.destination}


def movement(number: int, hot: bool) -> Movement:
    """Transfer number so many: each account pays in turn, to one that is some way off, or all to one."""
    source, destination = account(number), account(number + AWAY)
    return Movement(f"T{number}", source, HOT if hot and source != HOT else destination)


def account(index: int) -> str:
    """The id of an account."""
    return f"A{index % ACCOUNTS}"


TABLES = (
    """CREATE TABLE accounts (id text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0))
        WITH (fillfactor = 50)""",
    """CREATE TABLE postings (transfer_id text NOT NULL, step text NOT NULL, debit_account_id text NOT NULL,
        credit_account_id text NOT NULL, amount_minor bigint NOT NULL CHECK (amount_minor > 0),
        recorded_at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (transfer_id, step))""",
    """CREATE TABLE notifications (transfer_id text PRIMARY KEY, body text NOT NULL,
        recorded_at timestamptz NOT NULL DEFAULT now())""",
    "CREATE TABLE keys (key text PRIMARY KEY, recorded_at timestamptz NOT NULL DEFAULT now())",
    f"INSERT INTO accounts SELECT 'A' || n, {PAID_IN} FROM generate_series(0, {ACCOUNTS - 1}) AS n",
)
"""The books of the others. `keys` is for those who have no table of what is done: DBOS has one of its own."""

_MOVES = {
    "debit": """moved AS (UPDATE accounts SET balance = balance - 1 WHERE id = :source {once} RETURNING id)
        INSERT INTO postings (transfer_id, step, debit_account_id, credit_account_id, amount_minor)
        SELECT :id, 'debit', :source, 'transit', 1 FROM moved""",
    "credit": """moved AS (UPDATE accounts SET balance = balance + 1 WHERE id = :destination {once} RETURNING id)
        INSERT INTO postings (transfer_id, step, debit_account_id, credit_account_id, amount_minor)
        SELECT :id, 'credit', 'transit', :destination, 1 FROM moved""",
    "notify": """moved AS (SELECT 1 {once_alone})
        INSERT INTO notifications (transfer_id, body)
        SELECT :id, '{{"type":"transfer.settled","transfer_id":"' || :id || '"}}' FROM moved""",
}
_CLAIM = "claimed AS (INSERT INTO keys (key) VALUES (:id || '/{step}') ON CONFLICT DO NOTHING RETURNING key), "


def statement(step: str, keyed: bool) -> str:
    """The statement of a step, with named parameters. With `keyed`, it does nothing if its key was claimed before."""
    claim = _CLAIM.format(step=step) if keyed else ""
    once = "AND EXISTS (SELECT 1 FROM claimed)" if keyed else ""
    alone = "WHERE EXISTS (SELECT 1 FROM claimed)" if keyed else ""
    return f"WITH {claim}{_MOVES[step].format(once=once, once_alone=alone)}"


def numbered(named: str) -> tuple[str, list[str]]:
    """The same statement with $1, $2, ... for a driver that wants it so, and the names in that order."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        if found[1] not in names:
            names.append(found[1])
        return f"${names.index(found[1]) + 1}::text"

    return re.sub(r"(?<![:\w\"]):([a-z]+)\b", number, named), names
