"""What left over outside rails: a payout was submitted before it was settled, and no other transfer ever was."""

from ledger.audit.check import Check
from ledger.audit.operations import key_of
from ledger.fingerprint import PAYOUT
from ledger.keys import Leg
from ledger.operation import OutcomeKind
from ledger.transfer import Status

CHECKS = (
    Check(
        "payouts",
        "A settled payout was submitted, one that was given back was submitted (and rejected) or recalled; one that "
        "was never debited is neither, and no other transfer is.",
        f"""
        SELECT t.id AS subject, t.status, COALESCE(t.terms, 'a transfer') AS terms,
               COALESCE(s.outcome, '-') AS submitted, COALESCE(r.outcome, '-') AS recalled
        FROM transfers t
        LEFT JOIN operations s ON s.key = {key_of("t.id", Leg.SUBMIT)}
        LEFT JOIN operations r ON r.key = {key_of("t.id", Leg.RECALL)}
        WHERE (CASE
            WHEN t.terms <> '{PAYOUT}' OR t.terms IS NULL THEN s.key IS NULL AND r.key IS NULL
            WHEN t.status = '{Status.SETTLED}' THEN s.outcome = '{OutcomeKind.APPLIED}'
            WHEN t.status = '{Status.REFUNDED}' THEN s.key IS NOT NULL
            WHEN t.status = '{Status.DEBITED}' THEN r.key IS NULL OR s.key IS NOT NULL
            ELSE s.key IS NULL AND r.key IS NULL
        END) IS NOT TRUE""",
        "is {status}, and {terms}; its submission is {submitted}, its recall {recalled}",
    ),
)
