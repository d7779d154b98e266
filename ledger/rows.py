"""Rows: the columns of each table, and beside each the function that makes a row of them, in the same order.

Enums are written as plain texts: sqlite3 looks for an adapter for every str that is not exactly a str.
"""

from ledger import bulk
from ledger.account import Account
from ledger.books import Changes, Event, Recorded, RecordedPosting
from ledger.notification import EntryNotification, Notification
from ledger.transfer import TransferState

LIMITS = ("per_transfer_minor", "per_day_minor", "approval_above_minor", "approvals")
UNLIMITED = [None] * len(LIMITS)
ACCOUNT = ("id", "currency", "guard", "status", "version", "debits_posted", "credits_posted", "opened_at", *LIMITS)


def _limits(a: Account) -> bulk.Row:
    return (a.limits.per_transfer_minor, a.limits.per_day_minor, a.limits.approval_above_minor, a.limits.approvals)


def account_row(a: Account, now: int) -> bulk.Row:
    """A row of `accounts`."""
    totals = (a.debits_posted, a.credits_posted)
    return (a.id, a.currency, str(a.guard), str(a.status), a.version, *totals, now, *_limits(a))


ACCOUNT_CHANGE = ("status", "version", "debits_posted", "credits_posted")


def account_changes(changes: Changes) -> tuple[list[bulk.Row], list[bulk.Row]]:
    """Those whose limits are what they were, and those whose limits were set."""
    changed = sorted(changes.changed.values(), key=lambda account: account.id)
    rows = [(a, (str(a.status), a.version, a.debits_posted, a.credits_posted)) for a in changed]
    posted = [(*row, a.id) for a, row in rows if a.id not in changes.limited]
    return posted, [(*row, *_limits(a), a.id) for a, row in rows if a.id in changes.limited]


TRANSFER = (
    "id", "source_account_id", "destination_account_id", "amount_minor", "currency",
    "status", "reason", "detail", "version", "accepted_at", "changed_at", "terms", "captured_minor",
)  # fmt: skip  # one line of the table's picture each


def transfer_row(state: TransferState, now: int) -> bulk.Row:
    """A row of `transfers`."""
    t = state.transfer
    life = (str(state.status), state.reason, state.detail, state.version, now, now, state.terms, state.captured_minor)
    return (t.id, t.source, t.destination, t.amount_minor, t.currency, *life)


TRANSFER_CHANGE = ("status", "version", "reason", "detail", "captured_minor", "changed_at")


def transfer_change(state: TransferState, now: int) -> bulk.Row:
    """What changes in a row of `transfers`, and its id."""
    changed = (str(state.status), state.version, state.reason, state.detail, state.captured_minor)
    return (*changed, now, state.transfer.id)


OPERATION = ("key", "fingerprint", "fingerprint_recipe", "outcome", "code", "detail", "transfer_id", "recorded_at")


def operation_row(r: Recorded, now: int) -> bulk.Row:
    """A row of `operations`."""
    return (r.key, r.fingerprint.text, r.fingerprint.recipe, str(r.kind), r.code, r.detail, r.transfer_id, now)


POSTING = (
    "operation_key", "position", "debit_account_id", "credit_account_id", "amount_minor", "currency",
    "debit_balance_after", "credit_balance_after", "recorded_at",
)  # fmt: skip  # one line of the table's picture each


def posting_row(row: RecordedPosting, now: int) -> bulk.Row:
    """A row of `postings`; the database numbers it."""
    p = row.posting
    moved = (p.debit_account_id, p.credit_account_id, p.amount_minor, p.currency)
    return (row.operation_key, row.position, *moved, row.debit_balance_after, row.credit_balance_after, now)


REVERSAL = ("operation_key", "transfer_id", "amount_minor", "recorded_at")

EVENT = (
    "transfer_id", "sequence", "from_status", "to_status", "operation_key", "reason", "detail", "recorded_at"
)  # fmt: skip  # one line of the table's picture each


def event_row(e: Event, now: int) -> bulk.Row:
    """A row of `transfer_events`."""
    before = None if e.before is None else str(e.before)
    return (e.transfer_id, e.sequence, before, str(e.after), e.operation_key, e.reason, e.detail, now)


NOTIFICATION = ("key", "transfer_id", "body", "recorded_at")


def notification_row(notification: Notification | EntryNotification, now: int) -> bulk.Row:
    """A row of `notifications`; that of an entry is of no transfer."""
    transfer_id = notification.state.transfer.id if isinstance(notification, Notification) else None
    return (notification.key, transfer_id, notification.body, now)
