"""What each entry asked against what it moved: splits, exchanges, reversals, targets."""

import json

from ledger.audit.check import Check, Row
from ledger.audit.operations import IS_ENTRY
from ledger.entries import KINDS
from ledger.errors import MalformedRequest
from ledger.keys import operation_key
from ledger.operation import Operation

_BY_RECIPE = {kind.recipe: kind for kind in KINDS}

_MOVED = "p.debit_account_id || '>' || p.credit_account_id || '>' || p.amount_minor || '>' || p.currency"


def _moved(together: str) -> str:
    """Every applied entry with all that it moved, in one text, and the last running balance of either account."""
    return f"""
        SELECT o.key AS subject, o.fingerprint, o.fingerprint_recipe, COALESCE({together}, '') AS moved,
               MIN(p.debit_balance_after) AS debit_after, MIN(p.credit_balance_after) AS credit_after
        FROM operations o LEFT JOIN postings p ON p.operation_key = o.key
        WHERE o.outcome = 'applied' AND ({IS_ENTRY})
        GROUP BY o.key, o.fingerprint, o.fingerprint_recipe"""


def _moved_otherwise(row: Row) -> bool:
    """Whether an entry's postings are not those that its content asks for."""
    try:
        kind = _BY_RECIPE[row["fingerprint_recipe"]]
        id = row["subject"].removesuffix(operation_key("", kind.leg))
        operation = kind.of(id, json.loads(row["fingerprint"])).operation()
    except (KeyError, TypeError, ValueError, MalformedRequest):
        return True
    if operation.key != row["subject"]:
        return True
    moved = [line.split(">") for line in row["moved"].split(" ")] if row["moved"] else []
    if operation.brings is not None:
        return not _brought(operation, row, moved)
    asked = [(p.debit_account_id, p.credit_account_id, str(p.amount_minor), p.currency) for p in operation.postings]
    return sorted(map(tuple, moved)) != sorted(asked)


def _brought(operation: Operation, row: Row, moved: list[list[str]]) -> bool:
    """Whether a target was reached: nothing moved, or its one posting left the account at its balance."""
    target = operation.brings
    assert target is not None
    if not moved:
        return True
    ((debited, credited, _, currency), *more) = moved
    sides = {debited: row["debit_after"], credited: row["credit_after"]}
    there = sides.keys() == {target.account_id, target.counterpart_id} and currency == target.currency
    return there and not more and sides[target.account_id] == target.balance_minor


CHECKS = (
    Check(
        "entries",
        "An entry has moved exactly what it asks for; a target has left its account at its balance.",
        {
            "sqlite": _moved(f"group_concat({_MOVED}, ' ')"),
            "postgresql": _moved(f"string_agg({_MOVED}, ' ')"),
        },
        "asks {fingerprint} ({fingerprint_recipe}), and has moved: {moved}",
        confirmed=_moved_otherwise,
    ),
    Check(
        "reversals",
        "Every applied reversal, and nothing else, is noted with its transfer, which has settled.",
        """
        SELECT every.key AS subject, COALESCE(o.outcome, 'missing') AS outcome,
               COALESCE(r.transfer_id, 'nothing') AS transfer_id, COALESCE(r.amount_minor, 0) AS amount_minor
        FROM (SELECT key FROM operations WHERE outcome = 'applied' AND fingerprint_recipe = 'reversal-v1'
              UNION SELECT operation_key FROM reversals) every
        LEFT JOIN operations o ON o.key = every.key AND o.outcome = 'applied'
        LEFT JOIN reversals r ON r.operation_key = every.key
        LEFT JOIN transfers t ON t.id = r.transfer_id
        LEFT JOIN postings p ON p.operation_key = r.operation_key
        WHERE (t.status = 'settled' AND p.amount_minor = r.amount_minor AND p.currency = t.currency
               AND p.debit_account_id = t.destination_account_id AND p.credit_account_id = t.source_account_id
               AND replace(o.fingerprint, '"reverses":"' || t.id || '",', '') <> o.fingerprint) IS NOT TRUE""",
        "is {outcome}, and gives back {amount_minor} of {transfer_id}",
    ),
    Check(
        "reversed_within_the_transfer",
        "All reversals of a transfer never come to more than it was.",
        """
        SELECT t.id AS subject, COALESCE(t.captured_minor, t.amount_minor) AS amount_minor,
               SUM(r.amount_minor) AS reversed
        FROM reversals r JOIN transfers t ON t.id = r.transfer_id
        GROUP BY t.id, t.captured_minor, t.amount_minor
        HAVING SUM(r.amount_minor) > COALESCE(t.captured_minor, t.amount_minor)""",
        "was {amount_minor}, and {reversed} of it were given back",
    ),
)
