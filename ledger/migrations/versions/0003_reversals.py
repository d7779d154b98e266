"""Reversals: which operation has given back how much of which transfer. The sum never exceeds what it was."""

import re

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SQLITE = """
CREATE TABLE reversals (
    operation_key  TEXT NOT NULL PRIMARY KEY REFERENCES operations (key),
    transfer_id    TEXT NOT NULL REFERENCES transfers (id),
    amount_minor   INTEGER NOT NULL CHECK (amount_minor > 0),
    recorded_at    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX reversals_by_transfer ON reversals (transfer_id);
CREATE TRIGGER reversals_within_the_transfer BEFORE INSERT ON reversals
WHEN (SELECT t.status = 'settled' AND NEW.amount_minor <= t.amount_minor - COALESCE(
        (SELECT SUM(r.amount_minor) FROM reversals r WHERE r.transfer_id = t.id), 0)
      FROM transfers t WHERE t.id = NEW.transfer_id) IS NOT TRUE
BEGIN SELECT RAISE(ABORT, 'more would be given back than was transferred'); END;
CREATE TRIGGER reversals_never_deleted BEFORE DELETE ON reversals
BEGIN SELECT RAISE(ABORT, 'reversals are never deleted'); END;
CREATE TRIGGER reversals_never_changed BEFORE UPDATE ON reversals
BEGIN SELECT RAISE(ABORT, 'reversals are append-only'); END;
CREATE TRIGGER reversals_never_replaced BEFORE INSERT ON reversals
WHEN EXISTS (SELECT 1 FROM reversals WHERE operation_key = NEW.operation_key)
BEGIN SELECT RAISE(ABORT, 'reversals already has this row'); END;
"""

POSTGRESQL = """
CREATE TABLE reversals (
    operation_key  TEXT COLLATE "C" NOT NULL PRIMARY KEY REFERENCES operations (key),
    transfer_id    TEXT COLLATE "C" NOT NULL REFERENCES transfers (id),
    amount_minor   BIGINT NOT NULL CHECK (amount_minor > 0),
    recorded_at    BIGINT NOT NULL
);
CREATE INDEX reversals_by_transfer ON reversals (transfer_id);
CREATE FUNCTION ledger_within_the_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM transfers WHERE id = NEW.transfer_id FOR UPDATE;
    IF (SELECT t.status = 'settled' AND NEW.amount_minor <= t.amount_minor - COALESCE(
            (SELECT SUM(r.amount_minor) FROM reversals r WHERE r.transfer_id = t.id), 0)
        FROM transfers t WHERE t.id = NEW.transfer_id) IS NOT TRUE THEN
        RAISE EXCEPTION 'reversals: more would be given back than was transferred'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER reversals_within_the_transfer BEFORE INSERT ON reversals
FOR EACH ROW EXECUTE FUNCTION ledger_within_the_transfer();
CREATE TRIGGER reversals_never_deleted BEFORE DELETE OR TRUNCATE ON reversals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('never deleted');
CREATE TRIGGER reversals_never_changed BEFORE UPDATE ON reversals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('append-only');
"""


def upgrade() -> None:
    """Create the table and its triggers."""
    connection = op.get_bind()
    script = SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL
    for statement in re.split(r";\n(?=CREATE|$)", script):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
