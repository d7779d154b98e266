"""Limits: what may be taken from an account, how much of its daily limit was used and given back, and who approved.

A use is one row; what is given back is another one, negative, of the same instant. So the sum of an account's rows of
the last day is what it has used of its limit, and no row is ever changed. An approval may be there before its transfer.
"""

import re

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

COLUMNS = (
    "per_transfer_minor {integer} CHECK (per_transfer_minor > 0)",
    "per_day_minor {integer} CHECK (per_day_minor > 0)",
    "approval_above_minor {integer} CHECK (approval_above_minor >= 0)",
    "approvals {integer} CHECK (approvals BETWEEN 1 AND 9)"
    " CHECK ((approvals IS NULL) = (approval_above_minor IS NULL))",
)

SQLITE = """
CREATE TABLE limit_uses (
    operation_key  TEXT NOT NULL REFERENCES operations (key),
    account_id     TEXT NOT NULL REFERENCES accounts (id),
    used_at        INTEGER NOT NULL,
    amount_minor   INTEGER NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (operation_key, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX limit_uses_by_account ON limit_uses (account_id, used_at, amount_minor);
CREATE TRIGGER limit_uses_never_deleted BEFORE DELETE ON limit_uses
BEGIN SELECT RAISE(ABORT, 'limit_uses are never deleted'); END;
CREATE TRIGGER limit_uses_never_changed BEFORE UPDATE ON limit_uses
BEGIN SELECT RAISE(ABORT, 'limit_uses are append-only'); END;
CREATE TRIGGER limit_uses_never_replaced BEFORE INSERT ON limit_uses
WHEN EXISTS (SELECT 1 FROM limit_uses WHERE operation_key = NEW.operation_key AND account_id = NEW.account_id)
BEGIN SELECT RAISE(ABORT, 'limit_uses already has this row'); END;
CREATE TABLE approvals (
    operation_key  TEXT NOT NULL PRIMARY KEY REFERENCES operations (key),
    transfer_id    TEXT NOT NULL,
    approver       TEXT NOT NULL,
    initiator      TEXT NOT NULL CHECK (initiator <> approver),
    asked          TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_by_transfer ON approvals (transfer_id);
CREATE TRIGGER approvals_never_deleted BEFORE DELETE ON approvals
BEGIN SELECT RAISE(ABORT, 'approvals are never deleted'); END;
CREATE TRIGGER approvals_never_changed BEFORE UPDATE ON approvals
BEGIN SELECT RAISE(ABORT, 'approvals are append-only'); END;
CREATE TRIGGER approvals_never_replaced BEFORE INSERT ON approvals
WHEN EXISTS (SELECT 1 FROM approvals WHERE operation_key = NEW.operation_key)
BEGIN SELECT RAISE(ABORT, 'approvals already has this row'); END;
"""

POSTGRESQL = """
CREATE TABLE limit_uses (
    operation_key  TEXT COLLATE "C" NOT NULL REFERENCES operations (key),
    account_id     TEXT COLLATE "C" NOT NULL REFERENCES accounts (id),
    used_at        BIGINT NOT NULL,
    amount_minor   BIGINT NOT NULL CHECK (amount_minor <> 0),
    PRIMARY KEY (operation_key, account_id)
);
CREATE INDEX limit_uses_by_account ON limit_uses (account_id, used_at, amount_minor);
CREATE TRIGGER limit_uses_never_deleted BEFORE DELETE OR TRUNCATE ON limit_uses
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('never deleted');
CREATE TRIGGER limit_uses_never_changed BEFORE UPDATE ON limit_uses
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('append-only');
CREATE TABLE approvals (
    operation_key  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES operations (key),
    transfer_id    TEXT COLLATE "C" NOT NULL,
    approver       TEXT COLLATE "C" NOT NULL,
    initiator      TEXT COLLATE "C" NOT NULL CHECK (initiator <> approver),
    asked          TEXT COLLATE "C" NOT NULL
);
CREATE INDEX approvals_by_transfer ON approvals (transfer_id);
CREATE TRIGGER approvals_never_deleted BEFORE DELETE OR TRUNCATE ON approvals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('never deleted');
CREATE TRIGGER approvals_never_changed BEFORE UPDATE ON approvals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('append-only');
"""


def upgrade() -> None:
    """Add the columns, create the tables and their triggers."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    for column in COLUMNS:
        added = column.format(integer="INTEGER" if sqlite else "BIGINT")
        connection.exec_driver_sql(f"ALTER TABLE accounts ADD COLUMN {added}")
    for statement in re.split(r";\n(?=CREATE|$)", SQLITE if sqlite else POSTGRESQL):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
