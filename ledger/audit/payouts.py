"""What left over outside rails: a payout was submitted before it was settled, and no other transfer ever was.

What a rail says against a decision that the money has followed is no mistake of the books, and yet money is missing
somewhere: it is named until somebody has corrected it (`ledger/corrections.py`). A payout that was settled and not paid
is corrected by reversing it; one that was given back and paid, by one transfer `<id>.correction` or
`<id>.correction.<number>`, which takes the same once more. Two of them are one too many, and one is if the rail has
returned the payment.
"""

from ledger.audit.check import Check
from ledger.audit.operations import key_of
from ledger.corrections import RETURNED, TAKES_AGAIN
from ledger.fingerprint import PAYOUT
from ledger.keys import Leg, operation_key
from ledger.operation import OutcomeKind
from ledger.transfer import Status

_BY_HAND = (Leg.DECISION, Leg.ACCEPTED, Leg.REJECTED)
# Looked for by their ends first: there are few of them among very many operations.
_ENDS = " OR ".join(f"key LIKE '_%{operation_key('', leg)}'" for leg in _BY_HAND)
_FEW = f"(SELECT * FROM operations WHERE {_ENDS})"

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
    Check(
        "decisions",
        "What a person decided about a payout, and what a rail said against the books, is about a payout that was "
        "submitted.",
        f"""
        SELECT o.key AS subject, COALESCE(t.terms, 'a transfer') AS terms, COALESCE(s.outcome, '-') AS submitted
        FROM {_FEW} o JOIN transfers t ON t.id = o.transfer_id
        LEFT JOIN operations s ON s.key = {key_of("t.id", Leg.SUBMIT)}
        WHERE o.key IN ({", ".join(key_of("t.id", leg) for leg in _BY_HAND)})
          AND (t.terms = '{PAYOUT}' AND s.outcome = '{OutcomeKind.APPLIED}') IS NOT TRUE""",
        "belongs to {terms}, whose submission is {submitted}",
    ),
    Check(
        "contradictions",
        "No rail says that it has paid what was given back, or that it has not paid what was settled; or that has been "
        "corrected.",
        f"""
        SELECT t.id AS subject, t.status, o.key, COALESCE(o.detail, '') AS said
        FROM {_FEW} o JOIN transfers t ON t.id = o.transfer_id
        WHERE o.key = {key_of("t.id", Leg.ACCEPTED)} AND t.status = '{Status.REFUNDED}'
          AND CASE WHEN {RETURNED}
              THEN EXISTS (SELECT 1 FROM transfers c WHERE c.status = '{Status.SETTLED}' AND {TAKES_AGAIN}
                   AND (SELECT COALESCE(SUM(r.amount_minor), 0) FROM reversals r WHERE r.transfer_id = c.id)
                       < c.amount_minor)
              ELSE (SELECT COUNT(*) FROM transfers c WHERE c.status = '{Status.SETTLED}' AND {TAKES_AGAIN}) <> 1 END
           OR o.key = {key_of("t.id", Leg.REJECTED)} AND t.status = '{Status.SETTLED}'
          AND (SELECT COALESCE(SUM(r.amount_minor), 0) FROM reversals r WHERE r.transfer_id = t.id) < t.amount_minor""",
        "is {status}, and {key} says otherwise ({said}): ask for starter.py correct {subject}",
    ),
)
