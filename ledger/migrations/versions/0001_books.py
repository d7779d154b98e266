"""The books: six tables, and the rules that the database itself keeps whoever writes to it.

Written out in SQL, so that an auditor can read the whole ledger in one sitting. The few words in which the
two databases differ are filled in; their triggers stand apart. A migration is frozen: it is never edited
after its release, and imports nothing of the ledger.
"""

import re

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

APPEND_ONLY = ("operations", "postings", "transfer_events")
STATUSES = ("accepted", "awaiting_approval", "scheduled", "debited", "settled", "rejected", "refunded", "cancelled")
LEGAL_CHANGES = (  # the frequent ones first
    "accepted > debited", "debited > settled", "debited > refunded",
    *(f"accepted > {status}" for status in ("awaiting_approval", "scheduled", "rejected", "cancelled")),
    *(f"awaiting_approval > {status}" for status in ("scheduled", "debited", "rejected", "cancelled")),
    *(f"scheduled > {status}" for status in ("debited", "rejected", "cancelled")),
)  # fmt: skip  # one line for what can follow
GUARDS = ("debits_must_not_exceed_credits", "credits_must_not_exceed_debits", "none")
SQLITE_WORDS = {
    "text": "TEXT",
    "integer": "INTEGER",
    "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "end": ") STRICT",
    "end_by_key": ") STRICT, WITHOUT ROWID",
    "end_of_updated": ") STRICT, WITHOUT ROWID",
    "is_id": "{0} NOT GLOB '*[^A-Za-z0-9._:-]*' AND length({0}) BETWEEN 1 AND 128 AND instr({0}, char(0)) = 0",
    "is_currency": "{0} GLOB '[A-Z][A-Z][A-Z]' AND instr({0}, char(0)) = 0",
}
POSTGRESQL_WORDS = {
    "text": 'TEXT COLLATE "C"',
    "integer": "BIGINT",
    "sequence": "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
    "end": ")",
    "end_by_key": ")",
    "end_of_updated": ") WITH (fillfactor = 50)",  # a row's next version fits on its page, and no index is touched
    "is_id": "{0} ~ '^[A-Za-z0-9._:-]{{1,128}}$'",
    "is_currency": "{0} ~ '^[A-Z]{{3}}$'",
}

TABLES = """
CREATE TABLE accounts (
    id              {text} NOT NULL PRIMARY KEY CHECK ({account_id}),
    currency        {text} NOT NULL CHECK ({currency}),
    guard           {text} NOT NULL CHECK ({is_guard}),
    status          {text} NOT NULL CHECK ({is_account_status}),
    version         {integer} NOT NULL CHECK (version >= 1),
    debits_posted   {integer} NOT NULL CHECK (debits_posted >= 0),
    credits_posted  {integer} NOT NULL CHECK (credits_posted >= 0),
    opened_at       {integer} NOT NULL,
    CONSTRAINT accounts_currency UNIQUE (id, currency),
    CONSTRAINT accounts_debits_must_not_exceed_credits
        CHECK (guard <> 'debits_must_not_exceed_credits' OR debits_posted <= credits_posted),
    CONSTRAINT accounts_credits_must_not_exceed_debits
        CHECK (guard <> 'credits_must_not_exceed_debits' OR credits_posted <= debits_posted)
{end_of_updated};

CREATE TABLE transfers (
    id                      {text} NOT NULL PRIMARY KEY CHECK ({account_id}),
    source_account_id       {text} NOT NULL,
    destination_account_id  {text} NOT NULL,
    amount_minor            {integer} NOT NULL CHECK (amount_minor > 0),
    currency                {text} NOT NULL CHECK ({currency}),
    status                  {text} NOT NULL CHECK ({is_status}),
    reason                  {text},
    detail                  {text},
    version                 {integer} NOT NULL CHECK (version >= 1),
    accepted_at             {integer} NOT NULL,
    changed_at              {integer} NOT NULL,
    CONSTRAINT transfers_two_accounts CHECK (source_account_id <> destination_account_id)
{end_of_updated};

CREATE TABLE operations (
    key                 {text} NOT NULL PRIMARY KEY CHECK (length(key) BETWEEN 3 AND 200),
    fingerprint         {text} NOT NULL,
    fingerprint_recipe  {text} NOT NULL,
    outcome             {text} NOT NULL CHECK ({is_outcome}),
    code                {text},
    detail              {text},
    transfer_id         {text} REFERENCES transfers (id),
    recorded_at         {integer} NOT NULL,
    CONSTRAINT operations_say_why CHECK ((outcome = 'applied') = (code IS NULL))
{end_by_key};

CREATE TABLE postings (
    sequence              {sequence},
    operation_key         {text} NOT NULL REFERENCES operations (key),
    position              INTEGER NOT NULL CHECK (position >= 0),
    debit_account_id      {text} NOT NULL,
    credit_account_id     {text} NOT NULL,
    amount_minor          {integer} NOT NULL CHECK (amount_minor > 0),
    currency              {text} NOT NULL,
    debit_balance_after   {integer} NOT NULL,
    credit_balance_after  {integer} NOT NULL,
    recorded_at           {integer} NOT NULL,
    CONSTRAINT postings_once UNIQUE (operation_key, position),
    CONSTRAINT postings_two_accounts CHECK (debit_account_id <> credit_account_id),
    CONSTRAINT postings_debit_account
        FOREIGN KEY (debit_account_id, currency) REFERENCES accounts (id, currency),
    CONSTRAINT postings_credit_account
        FOREIGN KEY (credit_account_id, currency) REFERENCES accounts (id, currency)
{end};
CREATE INDEX postings_by_debit_account ON postings (debit_account_id, sequence);
CREATE INDEX postings_by_credit_account ON postings (credit_account_id, sequence);

CREATE TABLE transfer_events (
    transfer_id    {text} NOT NULL REFERENCES transfers (id),
    sequence       {integer} NOT NULL CHECK (sequence >= 1),
    from_status    {text},
    to_status      {text} NOT NULL CHECK ({is_to_status}),
    operation_key  {text} NOT NULL REFERENCES operations (key),
    reason         {text},
    detail         {text},
    recorded_at    {integer} NOT NULL,
    PRIMARY KEY (transfer_id, sequence),
    CONSTRAINT transfer_events_begin CHECK ((sequence = 1) = (from_status IS NULL)),
    CONSTRAINT transfer_events_legal CHECK (from_status IS NULL OR {is_legal_event})
{end_by_key};

CREATE TABLE notifications (
    key           {text} NOT NULL PRIMARY KEY,
    transfer_id   {text} NOT NULL REFERENCES transfers (id),
    body          {text} NOT NULL,
    recorded_at   {integer} NOT NULL,
    delivered_at  {integer}
{end_by_key};
"""

SQLITE_TRIGGERS = """
CREATE TRIGGER accounts_only_grow BEFORE UPDATE ON accounts
WHEN NEW.id <> OLD.id OR NEW.currency <> OLD.currency OR NEW.guard <> OLD.guard OR NEW.opened_at <> OLD.opened_at
  OR NEW.version <= OLD.version OR NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted
BEGIN SELECT RAISE(ABORT, 'accounts only grow'); END;

CREATE TRIGGER transfers_live_once BEFORE UPDATE ON transfers
WHEN NEW.id <> OLD.id OR NEW.source_account_id <> OLD.source_account_id
  OR NEW.destination_account_id <> OLD.destination_account_id OR NEW.amount_minor <> OLD.amount_minor
  OR NEW.currency <> OLD.currency OR NEW.accepted_at <> OLD.accepted_at OR NEW.version <= OLD.version
  OR NOT ({is_legal_change})
BEGIN SELECT RAISE(ABORT, 'illegal change of a transfer'); END;

CREATE TRIGGER notifications_delivered_once BEFORE UPDATE ON notifications
WHEN NEW.key <> OLD.key OR NEW.transfer_id <> OLD.transfer_id OR NEW.body <> OLD.body
  OR NEW.recorded_at <> OLD.recorded_at OR OLD.delivered_at IS NOT NULL OR NEW.delivered_at IS NULL
BEGIN SELECT RAISE(ABORT, 'a notification only becomes delivered'); END;
"""

SQLITE_KEEP = """
CREATE TRIGGER {table}_never_deleted BEFORE DELETE ON {table}
BEGIN SELECT RAISE(ABORT, '{table} are never deleted'); END;
"""

SQLITE_APPEND_ONLY = """
CREATE TRIGGER {table}_never_changed BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END;
"""

# INSERT OR REPLACE deletes the old row without firing its delete trigger.
SQLITE_NEVER_REPLACED = """
CREATE TRIGGER {table}_never_replaced BEFORE INSERT ON {table} WHEN EXISTS (SELECT 1 FROM {table} WHERE {same})
BEGIN SELECT RAISE(ABORT, '{table} already has this row'); END;
"""
SAME_ROW = {
    "accounts": "id = NEW.id",
    "transfers": "id = NEW.id",
    "operations": "key = NEW.key",
    "postings": "sequence = NEW.sequence OR (operation_key = NEW.operation_key AND position = NEW.position)",
    "transfer_events": "transfer_id = NEW.transfer_id AND sequence = NEW.sequence",
    "notifications": "key = NEW.key",
}

POSTGRESQL_TRIGGERS = """
CREATE FUNCTION ledger_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '%: %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$;

CREATE TRIGGER accounts_only_grow BEFORE UPDATE ON accounts FOR EACH ROW
WHEN (NEW.id <> OLD.id OR NEW.currency <> OLD.currency OR NEW.guard <> OLD.guard OR NEW.opened_at <> OLD.opened_at
  OR NEW.version <= OLD.version OR NEW.debits_posted < OLD.debits_posted OR NEW.credits_posted < OLD.credits_posted)
EXECUTE FUNCTION ledger_refuse('accounts only grow');

CREATE TRIGGER transfers_live_once BEFORE UPDATE ON transfers FOR EACH ROW
WHEN (NEW.id <> OLD.id OR NEW.source_account_id <> OLD.source_account_id
  OR NEW.destination_account_id <> OLD.destination_account_id OR NEW.amount_minor <> OLD.amount_minor
  OR NEW.currency <> OLD.currency OR NEW.accepted_at <> OLD.accepted_at OR NEW.version <= OLD.version
  OR NOT ({is_legal_change}))
EXECUTE FUNCTION ledger_refuse('illegal change of a transfer');

CREATE TRIGGER notifications_delivered_once BEFORE UPDATE ON notifications FOR EACH ROW
WHEN (NEW.key <> OLD.key OR NEW.transfer_id <> OLD.transfer_id OR NEW.body <> OLD.body
  OR NEW.recorded_at <> OLD.recorded_at OR OLD.delivered_at IS NOT NULL OR NEW.delivered_at IS NULL)
EXECUTE FUNCTION ledger_refuse('a notification only becomes delivered');
"""

POSTGRESQL_KEEP = """
CREATE TRIGGER {table}_never_deleted BEFORE DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('never deleted');
"""

POSTGRESQL_APPEND_ONLY = """
CREATE TRIGGER {table}_never_changed BEFORE UPDATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse('append-only');
"""


def upgrade() -> None:
    """Create the tables and their triggers."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    words, one_of = (SQLITE_WORDS, _either) if sqlite else (POSTGRESQL_WORDS, _in)
    filled = words | {
        "account_id": words["is_id"].format("id"),
        "currency": words["is_currency"].format("currency"),
        "is_guard": one_of("guard", GUARDS),
        "is_account_status": one_of("status", ("open", "frozen", "closed")),
        "is_status": one_of("status", STATUSES),
        "is_to_status": one_of("to_status", STATUSES),
        "is_outcome": one_of("outcome", ("applied", "rejected", "fenced")),
        "is_legal_event": one_of("from_status || ' > ' || to_status", LEGAL_CHANGES),
        "is_legal_change": one_of("OLD.status || ' > ' || NEW.status", LEGAL_CHANGES),
    }
    script = [TABLES.format(**filled), (SQLITE_TRIGGERS if sqlite else POSTGRESQL_TRIGGERS).format(**filled)]
    script += [(SQLITE_KEEP if sqlite else POSTGRESQL_KEEP).format(table=table) for table in SAME_ROW]
    script += [(SQLITE_APPEND_ONLY if sqlite else POSTGRESQL_APPEND_ONLY).format(table=table) for table in APPEND_ONLY]
    if sqlite:
        script += [SQLITE_NEVER_REPLACED.format(table=table, same=same) for table, same in SAME_ROW.items()]
    for statement in re.split(r";\n(?=\s*CREATE|\s*$)", "".join(script)):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)


def _in(what: str, values: tuple[str, ...]) -> str:
    return f"{what} IN ({', '.join(repr(value) for value in values)})"


def _either(what: str, values: tuple[str, ...]) -> str:
    """The same for SQLite, which else fills a table with the values for every row that it checks."""
    return "(" + " OR ".join(f"{what} = {value!r}" for value in values) + ")"


def downgrade() -> None:
    """Books are never thrown away by a command."""
    raise NotImplementedError("the ledger has no downgrade: restore a backup instead")
