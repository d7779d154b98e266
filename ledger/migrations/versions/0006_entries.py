"""Entries: how much of which posting was given back of a split or an exchange, and notifications of entries.

A row of `entry_reversals` gives back a part of one posting of the original, and the database keeps all of them within
it. A notification tells the ending of a transfer, or, without a transfer, of the entry whose key its own begins with.
"""

import re

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SQLITE = """
CREATE TABLE entry_reversals (
    operation_key  TEXT NOT NULL REFERENCES operations (key),
    position       INTEGER NOT NULL,
    original_key   TEXT NOT NULL,
    amount_minor   INTEGER NOT NULL CHECK (amount_minor > 0),
    recorded_at    INTEGER NOT NULL,
    PRIMARY KEY (operation_key, position),
    FOREIGN KEY (original_key, position) REFERENCES postings (operation_key, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX entry_reversals_by_original ON entry_reversals (original_key, position);
CREATE TRIGGER entry_reversals_within_the_original BEFORE INSERT ON entry_reversals
WHEN (SELECT NEW.amount_minor <= p.amount_minor - COALESCE(
        (SELECT SUM(r.amount_minor) FROM entry_reversals r
         WHERE r.original_key = NEW.original_key AND r.position = NEW.position), 0)
      FROM postings p WHERE p.operation_key = NEW.original_key AND p.position = NEW.position) IS NOT TRUE
BEGIN SELECT RAISE(ABORT, 'more would be given back than the entry has moved'); END;
CREATE TRIGGER entry_reversals_never_deleted BEFORE DELETE ON entry_reversals
BEGIN SELECT RAISE(ABORT, 'entry_reversals are never deleted'); END;
CREATE TRIGGER entry_reversals_never_changed BEFORE UPDATE ON entry_reversals
BEGIN SELECT RAISE(ABORT, 'entry_reversals are append-only'); END;
CREATE TRIGGER entry_reversals_never_replaced BEFORE INSERT ON entry_reversals
WHEN EXISTS (SELECT 1 FROM entry_reversals WHERE operation_key = NEW.operation_key AND position = NEW.position)
BEGIN SELECT RAISE(ABORT, 'entry_reversals already has this row'); END;
CREATE TABLE new_notifications (
    key           TEXT NOT NULL PRIMARY KEY,
    transfer_id   TEXT REFERENCES transfers (id),
    body          TEXT NOT NULL,
    recorded_at   INTEGER NOT NULL,
    delivered_at  INTEGER
) STRICT, WITHOUT ROWID;
INSERT INTO new_notifications SELECT key, transfer_id, body, recorded_at, delivered_at FROM notifications;
DROP TABLE notifications;
ALTER TABLE new_notifications RENAME TO notifications;
CREATE TRIGGER notifications_delivered_once BEFORE UPDATE ON notifications
WHEN NEW.key <> OLD.key OR NEW.transfer_id IS NOT OLD.transfer_id OR NEW.body <> OLD.body
  OR NEW.recorded_at <> OLD.recorded_at OR OLD.delivered_at IS NOT NULL OR NEW.delivered_at IS NULL
BEGIN SELECT RAISE(ABORT, 'a notification only becomes delivered'); END;
CREATE TRIGGER notifications_never_deleted BEFORE DELETE ON notifications
BEGIN SELECT RAISE(ABORT, 'notifications are never deleted'); END;
CREATE TRIGGER notifications_never_replaced BEFORE INSERT ON notifications
WHEN EXISTS (SELECT 1 FROM notifications WHERE key = NEW.key)
BEGIN SELECT RAISE(ABORT, 'notifications already has this row'); END;
"""

POSTGRESQL = """
CREATE TABLE entry_reversals (
    operation_key  TEXT COLLATE "C" NOT NULL REFERENCES operations (key),
    position       INTEGER NOT NULL,
    original_key   TEXT COLLATE "C" NOT NULL,
    amount_minor   BIGINT NOT NULL CHECK (amount_minor > 0),
    recorded_at    BIGINT NOT NULL,
    PRIMARY KEY (operation_key, position),
    FOREIGN KEY (original_key, position) REFERENCES postings (operation_key, position)
);
CREATE INDEX entry_reversals_by_original ON entry_reversals (original_key, position);
CREATE FUNCTION ledger_within_the_original() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.original_key, 0));
    IF (SELECT NEW.amount_minor <= p.amount_minor - COALESCE(
            (SELECT SUM(r.amount_minor) FROM entry_reversals r
             WHERE r.original_key = NEW.original_key AND r.position = NEW.position), 0)
        FROM postings p WHERE p.operation_key = NEW.original_key AND p.position = NEW.position) IS NOT TRUE THEN
        RAISE EXCEPTION 'entry_reversals: more would be given back than the entry has moved'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER entry_reversals_within_the_original BEFORE INSERT ON entry_reversals
FOR EACH ROW EXECUTE FUNCTION ledger_within_the_original();
CREATE TRIGGER entry_reversals_never_deleted BEFORE DELETE OR TRUNCATE ON entry_reversals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('never deleted');
CREATE TRIGGER entry_reversals_never_changed BEFORE UPDATE ON entry_reversals
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('append-only');
ALTER TABLE notifications ALTER COLUMN transfer_id DROP NOT NULL;
DROP TRIGGER notifications_delivered_once ON notifications;
CREATE TRIGGER notifications_delivered_once BEFORE UPDATE ON notifications FOR EACH ROW
WHEN (NEW.key <> OLD.key OR NEW.transfer_id IS DISTINCT FROM OLD.transfer_id OR NEW.body <> OLD.body
  OR NEW.recorded_at <> OLD.recorded_at OR OLD.delivered_at IS NOT NULL OR NEW.delivered_at IS NULL)
EXECUTE FUNCTION ledger_refuse('a notification only becomes delivered');
"""


def upgrade() -> None:
    """Create the table and its triggers, and let a notification be of no transfer."""
    connection = op.get_bind()
    script = SQLITE if connection.dialect.name == "sqlite" else POSTGRESQL
    for statement in re.split(r";\n(?=ALTER|CREATE|DROP|INSERT|$)", script):
        if statement.strip():
            connection.exec_driver_sql(statement)


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
