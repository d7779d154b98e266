"""PostgreSQL: the same rules at half the cost. What rows refer to is asked once for each statement, not for each row.

A foreign key asks for every row by itself, and locks what it finds: fifteen questions for each transfer, which were
more than half of the time that PostgreSQL took to write it (57 of 103 µs). The lock guards against a parent that goes
or changes its key while its child is being written. Here none ever does: operations, transfers and accounts are never
deleted, and their keys never change, by triggers that stand. So it is enough to ask whether it is there, of all rows
of a statement at once. The functions set `enable_seqscan`, because their plans are kept, and a plan that was made
while the tables were small would read all of them for ever.

What an id may look like is said in other words: a pattern that counts to 128 took 6 microseconds for each row, one that
does not takes a quarter of one.

A notification's row is changed once, when it is delivered; half-full pages have room for that on the same page.

SQLite's foreign keys cost next to nothing and stay.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REFERENCES = {
    "operations": (("transfer_id", "transfers WHERE id = added.transfer_id"),),
    "postings": (
        ("operation_key", "operations WHERE key = added.operation_key"),
        ("debit_account_id, currency", "accounts WHERE id = added.debit_account_id AND currency = added.currency"),
        ("credit_account_id, currency", "accounts WHERE id = added.credit_account_id AND currency = added.currency"),
    ),
    "transfer_events": (
        ("transfer_id", "transfers WHERE id = added.transfer_id"),
        ("operation_key", "operations WHERE key = added.operation_key"),
    ),
    "notifications": (("transfer_id", "transfers WHERE id = added.transfer_id"),),
}
"""The columns of each table that refer to a row of another one, and that row. Each is looked for once."""

FOREIGN_KEYS = {
    "operations": ("operations_transfer_id_fkey",),
    "postings": ("postings_operation_key_fkey", "postings_debit_account", "postings_credit_account"),
    "transfer_events": ("transfer_events_transfer_id_fkey", "transfer_events_operation_key_fkey"),
    "notifications": ("notifications_transfer_id_fkey",),
}

IS_ID = "id ~ '^[A-Za-z0-9._:-]+$' AND length(id) <= 128"

TRIGGER = """
CREATE FUNCTION ledger_{table}_refer() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    IF {dangling} THEN
        RAISE EXCEPTION '{table}: a row refers to what is not there' USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END $$;
"""

DANGLING = """EXISTS (SELECT 1 FROM (SELECT DISTINCT {columns} FROM new_rows) AS added
        WHERE added.{first} IS NOT NULL AND (SELECT 1 FROM {row}) IS NULL)"""

FIRES = """
CREATE TRIGGER {table}_refer AFTER INSERT ON {table} REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION ledger_{table}_refer();
"""


def upgrade() -> None:
    """Put the triggers in the place of PostgreSQL's foreign keys. The caller's transaction makes it one step."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    for table, references in REFERENCES.items():
        asked = [DANGLING.format(columns=c, first=c.partition(",")[0], row=row) for c, row in references]
        connection.exec_driver_sql(TRIGGER.format(table=table, dangling=" OR ".join(asked)))
        connection.exec_driver_sql(FIRES.format(table=table))
        for name in FOREIGN_KEYS[table]:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    for table in ("accounts", "transfers"):
        connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT {table}_id_check")
        connection.exec_driver_sql(f"ALTER TABLE {table} ADD CONSTRAINT {table}_id_check CHECK ({IS_ID})")
    connection.exec_driver_sql("ALTER TABLE notifications SET (fillfactor = 50)")


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
