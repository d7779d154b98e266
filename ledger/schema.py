"""The tables, as queries see them. Auditors query them too, so their names are a public contract.

    accounts  <-  postings  ->  operations  <-  transfer_events  ->  transfers  <-  notifications
                                    ^  reversals  ->  transfers
                                    ^  entry_reversals  ->  postings
                                    ^  limit_uses  ->  accounts
                                    ^  approvals

The migrations create them, with every constraint, trigger and index (`migrations/versions/` is the place to read
those); a test holds the two to each other. Integers and text only: a SQLite file has no other
type that loses nothing. Instants are microseconds since 1970-01-01T00:00:00Z.
"""

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text

metadata = MetaData()
_Int64 = BigInteger().with_variant(Integer(), "sqlite")

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("currency", Text),
    Column("guard", Text),
    Column("status", Text),
    Column("version", _Int64),
    Column("debits_posted", _Int64),
    Column("credits_posted", _Int64),
    Column("opened_at", _Int64),
    Column("per_transfer_minor", _Int64),
    Column("per_day_minor", _Int64),
    Column("approval_above_minor", _Int64),
    Column("approvals", _Int64),
)

operations = Table(
    "operations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text),
    Column("fingerprint_recipe", Text),
    Column("outcome", Text),
    Column("code", Text),
    Column("detail", Text),
    Column("transfer_id", Text),
    Column("recorded_at", _Int64),
)

postings = Table(
    "postings",
    metadata,
    Column("sequence", _Int64, primary_key=True),
    Column("operation_key", Text),
    Column("position", Integer),
    Column("debit_account_id", Text),
    Column("credit_account_id", Text),
    Column("amount_minor", _Int64),
    Column("currency", Text),
    Column("debit_balance_after", _Int64),
    Column("credit_balance_after", _Int64),
    Column("recorded_at", _Int64),
)

transfers = Table(
    "transfers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source_account_id", Text),
    Column("destination_account_id", Text),
    Column("amount_minor", _Int64),
    Column("currency", Text),
    Column("status", Text),
    Column("reason", Text),
    Column("detail", Text),
    Column("version", _Int64),
    Column("accepted_at", _Int64),
    Column("changed_at", _Int64),
    Column("terms", Text),
    Column("captured_minor", _Int64),
)

transfer_events = Table(
    "transfer_events",
    metadata,
    Column("transfer_id", Text, primary_key=True),
    Column("sequence", _Int64, primary_key=True),
    Column("from_status", Text),
    Column("to_status", Text),
    Column("operation_key", Text),
    Column("reason", Text),
    Column("detail", Text),
    Column("recorded_at", _Int64),
)

notifications = Table(
    "notifications",
    metadata,
    Column("key", Text, primary_key=True),
    Column("transfer_id", Text),
    Column("body", Text),
    Column("recorded_at", _Int64),
    Column("delivered_at", _Int64),
)

reversals = Table(
    "reversals",
    metadata,
    Column("operation_key", Text, primary_key=True),
    Column("transfer_id", Text),
    Column("amount_minor", _Int64),
    Column("recorded_at", _Int64),
)

entry_reversals = Table(
    "entry_reversals",
    metadata,
    Column("operation_key", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("original_key", Text),
    Column("amount_minor", _Int64),
    Column("recorded_at", _Int64),
)

limit_uses = Table(
    "limit_uses",
    metadata,
    Column("operation_key", Text, primary_key=True),
    Column("account_id", Text, primary_key=True),
    Column("used_at", _Int64),
    Column("amount_minor", _Int64),
)

approvals = Table(
    "approvals",
    metadata,
    Column("operation_key", Text, primary_key=True),
    Column("transfer_id", Text),
    Column("approver", Text),
    Column("initiator", Text),
    Column("asked", Text),
)
