"""Holds: a transfer may be debited on terms, and settle with a part of what was held.

`terms` is the recipe of its debit's fingerprint, and never changes; `captured_minor` comes with settling. What is given
back of a transfer is at most what its destination got.
"""

import re

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE transfers ADD COLUMN terms {text};
ALTER TABLE transfers ADD COLUMN captured_minor {integer} CHECK (captured_minor IS NULL
    OR captured_minor > 0 AND captured_minor <= amount_minor AND status = 'settled' AND terms IS NOT NULL);
CREATE INDEX transfers_on_terms ON transfers (source_account_id) WHERE terms IS NOT NULL;
"""

SQLITE = """
CREATE TRIGGER transfers_keep_their_terms BEFORE UPDATE ON transfers WHEN NEW.terms IS NOT OLD.terms
BEGIN SELECT RAISE(ABORT, 'the terms of a transfer never change'); END;
DROP TRIGGER reversals_within_the_transfer;
CREATE TRIGGER reversals_within_the_transfer BEFORE INSERT ON reversals
WHEN (SELECT t.status = 'settled' AND NEW.amount_minor <= COALESCE(t.captured_minor, t.amount_minor) - COALESCE(
        (SELECT SUM(r.amount_minor) FROM reversals r WHERE r.transfer_id = t.id), 0)
      FROM transfers t WHERE t.id = NEW.transfer_id) IS NOT TRUE
BEGIN SELECT RAISE(ABORT, 'more would be given back than was transferred'); END;
"""

POSTGRESQL = """
CREATE TRIGGER transfers_keep_their_terms BEFORE UPDATE ON transfers FOR EACH ROW
WHEN (NEW.terms IS DISTINCT FROM OLD.terms)
EXECUTE FUNCTION ledger_refuse('the terms of a transfer never change');
CREATE OR REPLACE FUNCTION ledger_within_the_transfer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM transfers WHERE id = NEW.transfer_id FOR UPDATE;
    IF (SELECT t.status = 'settled' AND NEW.amount_minor <= COALESCE(t.captured_minor, t.amount_minor) - COALESCE(
            (SELECT SUM(r.amount_minor) FROM reversals r WHERE r.transfer_id = t.id), 0)
        FROM transfers t WHERE t.id = NEW.transfer_id) IS NOT TRUE THEN
        RAISE EXCEPTION 'reversals: more would be given back than was transferred'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def upgrade() -> None:
    """Add the columns, and make the triggers look at them."""
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    words = {"text": "TEXT" if sqlite else 'TEXT COLLATE "C"', "integer": "INTEGER" if sqlite else "BIGINT"}
    script = COLUMNS.format(**words) + (SQLITE if sqlite else POSTGRESQL)
    for statement in re.split(r";\n(?=ALTER|CREATE|DROP|\n|$)", script):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
