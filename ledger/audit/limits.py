"""What the uses of daily limits say, against what was taken and given back; and approvals against what they were given.

Whether an account kept its limit is not asked: a limit may have been another one at that time.
"""

from ledger.audit.check import Check
from ledger.audit.operations import key_of
from ledger.fingerprint import APPROVALS
from ledger.keys import APPROVAL, Leg

_RECIPES = ", ".join(f"'{recipe}'" for recipe in APPROVALS.values())

CHECKS = (
    Check(
        "limit_uses",
        "A use of a daily limit is what an operation has taken from the account; one that is given back is the use of "
        "a debit that was refunded.",
        f"""
        SELECT u.operation_key AS subject, u.account_id, u.amount_minor
        FROM limit_uses u LEFT JOIN operations o ON o.key = u.operation_key AND o.outcome = 'applied'
        LEFT JOIN limit_uses d
            ON d.operation_key = {key_of("o.transfer_id", Leg.DEBIT)} AND d.account_id = u.account_id
        WHERE CASE WHEN u.amount_minor > 0
            THEN u.amount_minor = (SELECT SUM(p.amount_minor) FROM postings p
                                   WHERE p.operation_key = o.key AND p.debit_account_id = u.account_id)
            ELSE o.key = {key_of("o.transfer_id", Leg.REFUND)} AND d.used_at = u.used_at
                AND d.amount_minor = -u.amount_minor
        END IS NOT TRUE""",
        "uses {amount_minor} of the daily limit of {account_id}, which it has not taken or given back",
    ),
    Check(
        "refunds_release",
        "What a refunded transfer had used of a daily limit is given back.",
        f"""
        SELECT r.key AS subject, u.account_id, u.amount_minor
        FROM limit_uses u JOIN operations o ON o.key = u.operation_key
        JOIN operations r ON r.key = {key_of("o.transfer_id", Leg.REFUND)} AND r.outcome = 'applied'
        LEFT JOIN limit_uses given ON given.operation_key = r.key AND given.account_id = u.account_id
        WHERE o.key = {key_of("o.transfer_id", Leg.DEBIT)} AND given.operation_key IS NULL""",
        "has not given back {amount_minor} of the daily limit of {account_id}",
    ),
    Check(
        "approvals",
        "An approval, and nothing else, is noted with its approver and with what was approved of.",
        f"""
        SELECT every.key AS subject, COALESCE(a.approver, 'nobody') AS approver, COALESCE(a.asked, '') AS asked
        FROM (SELECT key FROM operations WHERE outcome = 'applied' AND fingerprint_recipe IN ({_RECIPES})
              UNION SELECT operation_key FROM approvals) every
        LEFT JOIN operations o ON o.key = every.key AND o.outcome = 'applied'
        LEFT JOIN approvals a ON a.operation_key = every.key
        WHERE (o.key = a.transfer_id || '{APPROVAL}' || a.approver
               AND replace(o.fingerprint, '"approver":"' || a.approver || '",', '') = a.asked) IS NOT TRUE""",
        "is noted as {approver}'s approval of {asked}",
    ),
)
