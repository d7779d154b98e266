"""What the postings say about the accounts: totals, running balances, guards.

postings ──> sums per account ──> against the totals and the version kept in `accounts`
postings ──> prefixes per account, in sequence order ──> against each posting's running balance, and the guard
"""

from ledger.account import Guard
from ledger.audit.check import Check, exact_sum, is_exactly

TOTALS = f"""
WITH debited AS (
    SELECT debit_account_id AS account_id, COUNT(*) AS postings, {exact_sum("debits", "amount_minor")}
    FROM postings GROUP BY debit_account_id
), credited AS (
    SELECT credit_account_id AS account_id, COUNT(*) AS postings, {exact_sum("credits", "amount_minor")}
    FROM postings GROUP BY credit_account_id
), totals AS (
    SELECT a.id, a.currency, a.guard, a.version, a.debits_posted, a.credits_posted,
           COALESCE(d.postings, 0) AS times_debited, COALESCE(c.postings, 0) AS times_credited,
           COALESCE(debits_high, 0) AS debits_high, COALESCE(debits_low, 0) AS debits_low,
           COALESCE(credits_high, 0) AS credits_high, COALESCE(credits_low, 0) AS credits_low
    FROM accounts a
    LEFT JOIN debited d ON d.account_id = a.id
    LEFT JOIN credited c ON c.account_id = a.id
)"""
"""Each account beside the sums of its postings. Each side by itself, because the index of each is in order."""

_PREFIXES = f"""
WITH sides AS (
    SELECT debit_account_id AS account_id, sequence, amount_minor, debit_balance_after AS stated, -1 AS direction
    FROM postings
    UNION ALL
    SELECT credit_account_id, sequence, amount_minor, credit_balance_after, 1 FROM postings
), changes AS (
    SELECT account_id, sequence, stated, guard, amount_minor,
           CASE guard WHEN '{Guard.CREDITS_MUST_NOT_EXCEED_DEBITS}' THEN -direction ELSE direction END AS sign
    FROM sides JOIN accounts ON id = account_id
), prefixes AS (
    SELECT account_id, sequence, stated, guard, {exact_sum("balance", "amount_minor", "sign", " OVER so_far")}
    FROM changes
    WINDOW so_far AS (PARTITION BY account_id ORDER BY sequence ROWS UNBOUNDED PRECEDING)
)"""

_FIRST_WRONG_PREFIX = f"""
{_PREFIXES}, wrong AS (
    SELECT prefixes.*, COUNT(*) OVER (PARTITION BY account_id) AS times,
           ROW_NUMBER() OVER (PARTITION BY account_id ORDER BY sequence) AS nth
    FROM prefixes WHERE {{condition}}
)
SELECT account_id AS subject, wrong.sequence, operation_key, guard, times, stated, balance_high, balance_low
FROM wrong JOIN postings ON postings.sequence = wrong.sequence
WHERE nth = 1"""

CHECKS = (
    Check(
        "account_totals",
        "An account's debits_posted and credits_posted are the sums of its postings.",
        f"""
        {TOTALS}
        SELECT id AS subject, debits_posted, credits_posted, debits_high, debits_low, credits_high, credits_low
        FROM totals
        WHERE NOT ({is_exactly("debits", "debits_posted")} AND {is_exactly("credits", "credits_posted")})""",
        "totals are {debits_posted} debits and {credits_posted} credits; the postings say {debits} and {credits}",
    ),
    Check(
        "account_versions",
        "An account's version has grown by at least one with each of its postings.",
        f"""
        {TOTALS}
        SELECT id AS subject, version, times_debited + times_credited AS times FROM totals
        WHERE version <= times_debited + times_credited""",
        "version is {version} after {times} postings",
    ),
    Check(
        "running_balances",
        "Each posting's two balances are those of all postings up to it, in the ledger's sequence.",
        _FIRST_WRONG_PREFIX.format(condition=f"NOT {is_exactly('balance', 'stated')}"),
        "after posting {sequence} ({operation_key}) the balance is said to be {stated}, the postings say {balance}; "
        "{times} postings of this account are so",
    ),
    Check(
        "guards",
        "No guarded account was ever below its guard, after any posting of the ledger's sequence.",
        _FIRST_WRONG_PREFIX.format(condition=f"guard <> '{Guard.NONE}' AND balance_high < 0"),
        "after posting {sequence} ({operation_key}) the balance was {balance}, against {guard}",
    ),
)
