"""The ways in which books can be wrong: for each, the rule of the audit that must name it, and about what.

They are changes to the story of `histories.py`.
"""

from dataclasses import dataclass

_COPY = (
    "debit_account_id, credit_account_id, amount_minor, currency, "
    "debit_balance_after, credit_balance_after, recorded_at"
)


def _posting(key: str, like: str, position: int = 0) -> str:
    """A copy of the posting of one key under another key."""
    return (
        f"INSERT INTO postings (operation_key, position, {_COPY}) "
        f"SELECT '{key}', {position}, {_COPY} FROM postings WHERE operation_key = '{like}'"
    )


def _operation(key: str, like: str) -> str:
    """A copy of one operation under another key."""
    columns = "fingerprint, fingerprint_recipe, outcome, code, detail, transfer_id, recorded_at"
    return f"INSERT INTO operations (key, {columns}) SELECT '{key}', {columns} FROM operations WHERE key = '{like}'"


def _operation_of(key: str, like: str, transfer_id: str) -> str:
    """The same, for another transfer."""
    return _operation(key, like).replace(" transfer_id, recorded_at FROM", f" '{transfer_id}', recorded_at FROM")


def _set(table: str, change: str, where: str) -> str:
    return f"UPDATE {table} SET {change} WHERE {where}"


@dataclass(frozen=True)
class Divergence:
    """One way of being wrong: a sentence, the rule that it breaks, the row it is about, and how it is made."""

    sentence: str
    check: str
    subject: str
    statements: tuple[str, ...]


def _wrong(sentence: str, check: str, subject: str, *statements: str) -> Divergence:
    return Divergence(sentence, check, subject, statements)


S1_CREDIT, S1_DEBIT = "operation_key = 'S1/credit'", "operation_key = 'S1/debit'"

DIVERGENCES = [
    _wrong("an account's total is off by one", "account_totals", "bob",
           _set("accounts", "credits_posted = credits_posted + 1", "id = 'bob'")),
    _wrong("a currency's totals do not add up", "conservation", "EUR",
           _set("accounts", "debits_posted = debits_posted - 1", "id = 'transit:EUR'")),
    _wrong("an account's version was turned back", "account_versions", "alice",
           _set("accounts", "version = 2", "id = 'alice'")),
    _wrong("a posting is gone from the account's sums", "account_totals", "bob",
           f"DELETE FROM postings WHERE {S1_CREDIT}"),
    _wrong("a posting is gone, and its operation is still applied", "operations_have_postings", "S1/credit",
           f"DELETE FROM postings WHERE {S1_CREDIT}"),
    _wrong("a posting is gone from the running balances after it", "running_balances", "alice",
           f"DELETE FROM postings WHERE {S1_DEBIT}"),
    _wrong("a posting moves one unit more than was asked", "postings_match_transfers", "S1/credit",
           _set("postings", "amount_minor = amount_minor + 1", S1_CREDIT)),
    _wrong("a posting moves money to somebody else", "postings_match_transfers", "S1/credit",
           _set("postings", "credit_account_id = 'carol'", S1_CREDIT)),
    _wrong("a refund goes to somebody else", "postings_match_transfers", "F1/refund",
           _set("postings", "credit_account_id = 'bob'", "operation_key = 'F1/refund'")),
    _wrong("a posting was written again under a rejected key", "postings_have_operations", "R1/debit",
           _posting("R1/debit", like="S1/debit")),
    _wrong("a posting was written again under its own key", "operations_have_postings", "S1/credit",
           _posting("S1/credit", like="S1/credit", position=1)),
    _wrong("a fenced key has moved money", "postings_have_operations", "F1/credit",
           _posting("F1/credit", like="S1/credit")),
    _wrong("an applied cancel has moved money", "operations_have_postings", "C1/cancel",
           _posting("C1/cancel", like="S1/debit")),
    _wrong("a running balance on the debit side is false", "running_balances", "transit:USD",
           _set("postings", "debit_balance_after = debit_balance_after - 1", S1_CREDIT)),
    _wrong("a running balance on the credit side is false", "running_balances", "bob",
           _set("postings", "credit_balance_after = credit_balance_after + 1", S1_CREDIT)),
    _wrong("a running balance of an asset is false", "running_balances", "cash:USD",
           _set("postings", "debit_balance_after = -debit_balance_after", "operation_key = 'first-alice/deposit'")),
    _wrong("an account was below its guard for a while", "guards", "alice",
           _set("postings", "amount_minor = 100000000", S1_DEBIT)),
    _wrong("transit holds less than is on its way", "transit", "transit:USD",
           _set("transfers", "amount_minor = amount_minor + 1", "id = 'D1'")),
    _wrong("a transfer on its way was lost from sight", "transit", "transit:USD",
           _set("transfers", "status = 'rejected'", "id = 'D1'")),
    _wrong("a transfer is settled without a credit", "states", "D1",
           _set("transfers", "status = 'settled'", "id = 'D1'")),
    _wrong("a transfer was both credited and refunded", "states", "S1",
           "DELETE FROM operations WHERE key = 'S1/refund'",
           _operation("S1/refund", like="S1/credit"), _posting("S1/refund", like="F1/refund")),
    _wrong("a refunded transfer was credited as well", "states", "F1",
           "UPDATE operations SET outcome = 'applied', code = NULL WHERE key = 'F1/credit'"),
    _wrong("a cancelled transfer lost its fence", "states", "C1",
           "DELETE FROM operations WHERE key = 'C1/debit'"),
    _wrong("a posting's operation is gone", "postings_have_operations", "S1/credit",
           "DELETE FROM operations WHERE key = 'S1/credit'"),
    _wrong("a transfer is gone, and its keys are still there", "keys", "S1/debit",
           "DELETE FROM transfers WHERE id = 'S1'"),
    _wrong("money moved under a key of no known kind", "keys", "S1/bonus",
           _operation("S1/bonus", like="S1/credit"), _posting("S1/bonus", like="S1/credit")),
    _wrong("a key belongs to another transfer than it says", "keys", "S1/credit",
           _set("operations", "transfer_id = 'F1'", "key = 'S1/credit'")),
    _wrong("an operation was asked something else than its transfer says", "fingerprints", "S1/credit",
           _set("operations", "fingerprint = replace(fingerprint, '2500', '2501')", "key = 'S1/credit'")),
    _wrong("a fence was asked something else than its transfer says", "fingerprints", "F1/credit",
           _set("operations", "fingerprint = replace(fingerprint, 'bob', 'carol')", "key = 'F1/credit'")),
    _wrong("a fingerprint is of an unknown recipe", "fingerprints", "lost/deposit",
           _set("operations", "fingerprint_recipe = 'v0'", "key = 'lost/deposit'")),
    _wrong("a deposit brought more than was asked", "deposits", "first-alice/deposit",
           _set("operations", "fingerprint = replace(fingerprint, '50000', '40000')", "key = 'first-alice/deposit'")),
    _wrong("a deposit came out of a customer's account", "deposits", "first-alice/deposit",
           _set("postings", "debit_account_id = 'bob'", "operation_key = 'first-alice/deposit'")),
    _wrong("a fence was put by nobody", "fences", "F1/credit",
           _set("operations", "code = 'R1/debit'", "key = 'F1/credit'")),
    _wrong("a posting is in another currency than its accounts", "posting_accounts", "S1/credit",
           _set("postings", "currency = 'EUR'", S1_CREDIT)),
    _wrong("a posting's account does not exist", "posting_accounts", "S1/credit",
           _set("postings", "credit_account_id = 'ghost'", S1_CREDIT)),
    _wrong("an account changed its currency", "posting_accounts", "S1/credit",
           _set("accounts", "currency = 'EUR'", "id = 'bob'")),
    _wrong("a transfer was credited before it was debited", "debit_first", "S1",
           _posting("S1/debit", like="S1/debit", position=1),
           f"DELETE FROM postings WHERE {S1_DEBIT} AND position = 0", _set("postings", "position = 0", S1_DEBIT)),
    _wrong("an event in the middle is gone", "event_chain", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1' AND sequence = 2"),
    _wrong("the last event is gone", "last_event", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1' AND sequence = 3"),
    _wrong("all events of a transfer are gone", "last_event", "S1",
           "DELETE FROM transfer_events WHERE transfer_id = 'S1'"),
    _wrong("an event does not begin where the one before it ended", "event_chain", "S1",
           _set("transfer_events", "from_status = 'accepted', to_status = 'rejected'",
                "transfer_id = 'S1' AND sequence = 3")),
    _wrong("a life does not begin with being accepted", "event_chain", "S1",
           _set("transfer_events", "to_status = 'scheduled'", "transfer_id = 'S1' AND sequence = 1")),
    _wrong("an event was brought by another transfer's operation", "event_operations", "S1",
           _set("transfer_events", "operation_key = 'E1/credit'", "transfer_id = 'S1' AND sequence = 3")),
    _wrong("an event to settled was brought by a debit", "event_operations", "S1",
           _set("transfer_events", "operation_key = 'S1/debit'", "transfer_id = 'S1' AND sequence = 3")),
    _wrong("a transfer's reason is not its last event's", "last_event", "F1",
           _set("transfers", "reason = 'bad luck'", "id = 'F1'")),
    _wrong("a settled transfer has acquired a reason", "last_event", "S1",
           _set("transfers", "reason = ''", "id = 'S1'")),
    _wrong("a transfer's version was turned back", "last_event", "S1",
           _set("transfers", "version = 2", "id = 'S1'")),
    _wrong("a posting claims another instant than its operation", "same_instant", "S1/credit",
           _set("postings", "recorded_at = recorded_at - 1", S1_CREDIT)),
    _wrong("a fence claims another instant than who put it", "same_instant", "F1/credit",
           _set("operations", "recorded_at = recorded_at - 1", "key = 'F1/credit'")),
    _wrong("the notification of an ending is missing", "endings_are_notified", "R1",
           "DELETE FROM notifications WHERE transfer_id = 'R1'"),
    _wrong("a transfer on its way is said to be settled", "notifications_have_endings", "D1/notify/settled",
           "INSERT INTO notifications (key, transfer_id, body, recorded_at) "
           "SELECT 'D1/notify/settled', 'D1', body, recorded_at FROM notifications WHERE key = 'S1/notify/settled'"),
    _wrong("a settled transfer is said to be refunded too", "notifications_have_endings", "S1/notify/refunded",
           "INSERT INTO notifications (key, transfer_id, body, recorded_at) "
           "SELECT 'S1/notify/refunded', 'S1', body, recorded_at FROM notifications WHERE key = 'S1/notify/settled'"),
    _wrong("a notification tells another amount", "notification_bodies", "S1/notify/settled",
           _set("notifications", "body = replace(body, '2500', '9900')", "key = 'S1/notify/settled'")),
    _wrong("a notification's text was changed beyond ASCII", "notification_bodies", "F1/notify/refunded",
           _set("notifications", r"body = replace(body, 'Zo\u00eb', 'Zo\u00e9')", "key = 'F1/notify/refunded'")),
    _wrong("a notification is no JSON", "notification_bodies", "S1/notify/settled",
           _set("notifications", "body = '{'", "key = 'S1/notify/settled'")),
    _wrong("a share of a split was not paid", "entries", "P1/split",
           "DELETE FROM postings WHERE operation_key = 'P1/split' AND position = 1"),
    _wrong("a split paid one more than was asked", "entries", "P1/split",
           _posting("P1/split", like="S1/credit", position=2)),
    _wrong("a split was asked for another share", "entries", "P1/split",
           _set("operations", "fingerprint = replace(fingerprint, 'bob/300', 'bob/301')", "key = 'P1/split'")),
    _wrong("an exchange was made at another rate than was asked", "entries", "X1/exchange",
           _set("operations", "fingerprint = replace(fingerprint, '0.9215', '0.9300')", "key = 'X1/exchange'")),
    _wrong("an exchange's spread went to the customer", "entries", "X1/exchange",
           _set("postings", "credit_account_id = 'anna'", "operation_key = 'X1/exchange' AND position = 2")),
    _wrong("a target was missed", "entries", "B1/target",
           _set("operations", "fingerprint = replace(fingerprint, '100', '101')", "key = 'B1/target'")),
    _wrong("an entry's content is of another kind", "fingerprints", "B1/target",
           _set("operations", "fingerprint_recipe = 'split-v1'", "key = 'B1/target'")),
    _wrong("a reversal is noted nowhere", "reversals", "V1/reversal", "DELETE FROM reversals"),
    _wrong("a reversal is noted with another transfer", "reversals", "V1/reversal",
           _set("reversals", "transfer_id = 'E1'", "transfer_id = 'S1'")),
    _wrong("a reversal is noted with less than it moved", "reversals", "V1/reversal",
           _set("reversals", "amount_minor = 1", "transfer_id = 'S1'")),
    _wrong("a split was paid that had been called off", "postings_have_operations", "P3/split",
           _posting("P3/split", like="S1/credit")),
    _wrong("a split was called off by nobody", "fences", "P3/split",
           _set("operations", "code = 'P1/split'", "key = 'P3/split'")),
    _wrong("a split was called off as another one", "fences", "P3/split",
           _set("operations", "fingerprint = replace(fingerprint, 'bob', 'dora')", "key = 'P3/split/cancel'")),
    _wrong("the cancel of a split has moved money", "operations_have_postings", "P3/split/cancel",
           _posting("P3/split/cancel", like="S1/credit")),
    _wrong("nobody is told of an exchange", "entries_are_notified", "X1/exchange",
           "DELETE FROM notifications WHERE key = 'X1/exchange/notify/settled'"),
    _wrong("a split that was called off is said to be paid", "entry_notifications", "P3/split/notify/settled",
           "INSERT INTO notifications (key, body, recorded_at) SELECT 'P3/split/notify/settled', body, recorded_at "
           "FROM notifications WHERE key = 'P3/split/notify/cancelled'"),
    _wrong("the notification of a split tells another share", "entry_notifications", "P1/split/notify/settled",
           _set("notifications", "body = replace(body, 'bob/300', 'bob/400')", "key = 'P1/split/notify/settled'")),
    _wrong("the notification of an entry is of nothing", "entry_notifications", "P9/split/notify/settled",
           "INSERT INTO notifications (key, body, recorded_at) VALUES ('P9/split/notify/settled', '{}', 1)"),
    _wrong("a reversal of a split is noted nowhere", "entry_reversals", "V2/reversal",
           "DELETE FROM entry_reversals WHERE operation_key = 'V2/reversal'"),
    _wrong("a reversal of an exchange is noted without its spread", "entry_reversals", "V4/reversal",
           "DELETE FROM entry_reversals WHERE operation_key = 'V4/reversal' AND position = 2"),
    _wrong("a reversal of a split is noted as one of an exchange", "entry_reversals", "V2/reversal",
           _set("entry_reversals", "original_key = 'X1/exchange'", "operation_key = 'V2/reversal'")),
    _wrong("a split is noted as a reversal of another", "entry_reversals", "P1/split",
           "INSERT INTO entry_reversals SELECT 'P1/split', 0, 'X1/exchange', 1, recorded_at FROM operations "
           "WHERE key = 'P1/split'"),
    _wrong("a reversal gave back to the wrong account", "entries", "V2/reversal",
           _set("postings", "credit_account_id = 'carol'", "operation_key = 'V2/reversal' AND position = 0")),
    _wrong("a reversal of an exchange brought more than was asked", "entries", "V4/reversal",
           _set("postings", "amount_minor = 334", "operation_key = 'V4/reversal' AND position = 0")),
    _wrong("a share came back out of proportion", "entries_come_back_as_due", "P1/split",
           _set("postings", "amount_minor = amount_minor + CASE position WHEN 0 THEN 1 ELSE -1 END",
                "operation_key = 'V2/reversal'"),
           _set("entry_reversals", "amount_minor = amount_minor + CASE position WHEN 0 THEN 1 ELSE -1 END",
                "operation_key = 'V2/reversal'")),
    _wrong("more came back of an exchange than it had moved", "entries_come_back_as_due", "X1/exchange",
           _set("entry_reversals", "amount_minor = 100000", "operation_key = 'V4/reversal' AND position = 0")),
    _wrong("a split is noted as a reversal", "reversals", "P1/split",
           "INSERT INTO reversals SELECT 'P1/split', 'S1', 1, recorded_at FROM operations WHERE key = 'P1/split'"),
    _wrong("a capture gave the destination one more than it says", "postings_match_transfers", "H1/credit",
           _set("postings", "amount_minor = amount_minor + 1", "operation_key = 'H1/credit' AND position = 0")),
    _wrong("the rest of a capture went to somebody else", "postings_match_transfers", "H1/credit",
           _set("postings", "credit_account_id = 'carol'", "operation_key = 'H1/credit' AND position = 1")),
    _wrong("the rest of a capture is gone", "operations_have_postings", "H1/credit",
           "DELETE FROM postings WHERE operation_key = 'H1/credit' AND position = 1"),
    _wrong("a hold says that another part was captured", "fingerprints", "H1/credit",
           _set("transfers", "captured_minor = 1500", "id = 'H1'")),
    _wrong("a hold has lost its terms", "fingerprints", "H4/debit", _set("transfers", "terms = NULL", "id = 'H4'")),
    _wrong("a plain transfer has terms", "fingerprints", "D1/debit",
           _set("transfers", "terms = 'hold-v1'", "id = 'D1'")),
    _wrong("more was given back of a hold than was captured", "reversed_within_the_transfer", "H1",
           "INSERT INTO reversals SELECT 'P1/split', 'H1', 2001, recorded_at FROM operations WHERE key = 'P1/split'"),
    _wrong("more was given back than was transferred", "reversed_within_the_transfer", "S1",
           _set("reversals", "amount_minor = 2501", "transfer_id = 'S1'")),
    _wrong("a daily limit was used by more than was taken", "limit_uses", "L1/debit",
           _set("limit_uses", "amount_minor = amount_minor + 1", "operation_key = 'L1/debit'")),
    _wrong("a daily limit was used by who took nothing", "limit_uses", "L1/credit",
           "INSERT INTO limit_uses VALUES ('L1/credit', 'alice', 1, 2500)"),
    _wrong("a use was given back that was never refunded", "limit_uses", "L1/credit",
           "INSERT INTO limit_uses SELECT 'L1/credit', 'alice', used_at, -2500 FROM limit_uses "
           "WHERE operation_key = 'L1/debit'"),
    _wrong("a use is given back at another instant", "limit_uses", "L2/refund",
           _set("limit_uses", "used_at = used_at + 1", "operation_key = 'L2/refund'")),
    _wrong("a refund has not given back what was used", "refunds_release", "L2/refund",
           "DELETE FROM limit_uses WHERE operation_key = 'L2/refund'"),
    _wrong("an approval is noted nowhere", "approvals", "L1/approval/carol",
           "DELETE FROM approvals WHERE transfer_id = 'L1'"),
    _wrong("an approval is noted as somebody else's", "approvals", "L1/approval/carol",
           _set("approvals", "approver = 'bob'", "transfer_id = 'L1'")),
    _wrong("an approval is noted for another amount", "approvals", "L1/approval/carol",
           _set("approvals", "asked = replace(asked, '2500', '9900')", "transfer_id = 'L1'")),
    _wrong("a split's approval is noted as a transfer's", "approvals", "L3/split/approval/carol",
           _set("approvals", "transfer_id = 'L3'", "transfer_id = 'L3/split'")),
    _wrong("a hold's approval is noted for other terms", "approvals", "L4/approval/carol",
           _set("approvals", "asked = replace(asked, 'expires_at', 'expired_at')", "transfer_id = 'L4'")),
    _wrong("a debit is noted as an approval", "approvals", "S1/debit",
           "INSERT INTO approvals SELECT 'S1/debit', transfer_id, approver, initiator, asked FROM approvals "
           "WHERE transfer_id = 'L1'"),
    _wrong("a payout has settled that no rail was asked for", "payouts", "O1",
           "DELETE FROM operations WHERE key = 'O1/submit'"),
    _wrong("a payout was given back that a rail may still be asked for", "payouts", "O3",
           "DELETE FROM operations WHERE key = 'O3/submit'"),
    _wrong("a plain transfer was submitted to a rail", "payouts", "S1", _operation_of("S1/submit", "O1/submit", "S1")),
    _wrong("a person decided about a plain transfer", "decisions", "S1/decision",
           _operation_of("S1/decision", "O1/submit", "S1")),
    _wrong("a rail speaks of a payout that it was never asked for", "decisions", "O3/rejected",
           _operation_of("O3/rejected", "O1/submit", "O3")),
    _wrong("a rail has paid what was given back", "contradictions", "O2", _operation("O2/accepted", like="O2/submit")),
    _wrong("a decision has lost who made it", "fingerprints", "O2/decision",
           _operation("O2/decision", like="O2/submit")),
    _wrong("a submission has moved money", "operations_have_postings", "O4/submit",
           _posting("O4/submit", like="S1/credit")),
    _wrong("a submission is fenced by another payout's recall", "fences", "O3/submit",
           _set("operations", "code = 'O4/recall'", "key = 'O3/submit'")),
]  # fmt: skip  # a table: what is wrong, who must say so about what, and how it is made
