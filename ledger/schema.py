"""The tables, as SQLAlchemy sees them. Auditors query them too, so their names are a public contract.

    accounts  <-  postings  ->  operations  <-  transfer_events  ->  transfers  <-  notifications

The migrations create them (`migrations/`), together with the triggers that make the rows append-only; a test
holds the two to each other. Integers and text only: a SQLite file has no other type that loses nothing.
Instants are microseconds since 1970-01-01T00:00:00Z.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
Int64 = BigInteger().with_variant(Integer(), "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("guard", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Int64, nullable=False),
    Column("debits_posted", Int64, nullable=False),
    Column("credits_posted", Int64, nullable=False),
    Column("opened_at", Int64, nullable=False),
    PrimaryKeyConstraint("id", name="accounts_pk"),
    UniqueConstraint("id", "currency", name="accounts_id_currency"),
)

operations = Table(
    "operations",
    metadata,
    Column("key", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("fingerprint_recipe", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text),
    Column("detail", Text),
    Column("transfer_id", Text),
    Column("recorded_at", Int64, nullable=False),
    PrimaryKeyConstraint("key", name="operations_pk"),
)

postings = Table(
    "postings",
    metadata,
    Column("sequence", Int64, nullable=False, autoincrement=True),
    Column("operation_key", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("debit_account_id", Text, nullable=False),
    Column("credit_account_id", Text, nullable=False),
    Column("amount_minor", Int64, nullable=False),
    Column("currency", Text, nullable=False),
    Column("debit_balance_after", Int64, nullable=False),
    Column("credit_balance_after", Int64, nullable=False),
    Column("recorded_at", Int64, nullable=False),
    PrimaryKeyConstraint("sequence", name="postings_pk"),
    UniqueConstraint("operation_key", "position", name="postings_once"),
    ForeignKeyConstraint(["operation_key"], ["operations.key"], name="postings_operation"),
    ForeignKeyConstraint(
        ["debit_account_id", "currency"], ["accounts.id", "accounts.currency"], name="postings_debit_account"
    ),
    ForeignKeyConstraint(
        ["credit_account_id", "currency"], ["accounts.id", "accounts.currency"], name="postings_credit_account"
    ),
    Index("postings_by_debit_account", "debit_account_id", "sequence"),
    Index("postings_by_credit_account", "credit_account_id", "sequence"),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", Text, nullable=False),
    Column("source_account_id", Text, nullable=False),
    Column("destination_account_id", Text, nullable=False),
    Column("amount_minor", Int64, nullable=False),
    Column("currency", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("version", Int64, nullable=False),
    Column("accepted_at", Int64, nullable=False),
    Column("changed_at", Int64, nullable=False),
    PrimaryKeyConstraint("id", name="transfers_pk"),
)

transfer_events = Table(
    "transfer_events",
    metadata,
    Column("transfer_id", Text, nullable=False),
    Column("sequence", Int64, nullable=False),
    Column("from_status", Text),
    Column("to_status", Text, nullable=False),
    Column("operation_key", Text, nullable=False),
    Column("reason", Text),
    Column("detail", Text),
    Column("recorded_at", Int64, nullable=False),
    PrimaryKeyConstraint("transfer_id", "sequence", name="transfer_events_pk"),
    ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name="transfer_events_transfer"),
    ForeignKeyConstraint(["operation_key"], ["operations.key"], name="transfer_events_operation"),
    CheckConstraint("(sequence = 1) = (from_status IS NULL)", name="transfer_events_first"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("key", Text, nullable=False),
    Column("transfer_id", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded_at", Int64, nullable=False),
    Column("delivered_at", Int64),
    PrimaryKeyConstraint("key", name="notifications_pk"),
    ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name="notifications_transfer"),
)
