"""SQLite: an account's postings are indexed block by block, so that large books are written as fast as empty ones.

With the account first in the index, the postings of one batch belong all over it: in books of a million postings, a
batch of 250 operations rewrote 300 pages of the index, a fifth of its time. With the block first, 4,096 postings in the
order of the ledger, a batch writes to the index's last few pages. Whoever asks for an account asks for it in every
block: one look for each, which in books of a million postings takes less than a millisecond together.

PostgreSQL does not slow down and keeps its indexes.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SQLITE = (
    "DROP INDEX postings_by_debit_account",
    "DROP INDEX postings_by_credit_account",
    "CREATE INDEX postings_by_block_and_debit_account ON postings (sequence >> 12, debit_account_id)",
    "CREATE INDEX postings_by_block_and_credit_account ON postings (sequence >> 12, credit_account_id)",
)


def upgrade() -> None:
    """Replace the two indexes of SQLite. The caller's transaction makes it one step."""
    if op.get_bind().dialect.name == "sqlite":
        for statement in SQLITE:
            op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
