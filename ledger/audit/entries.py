"""What each entry asked against what it moved: splits, exchanges, reversals, targets."""

import json

from ledger.audit.check import Check, Row
from ledger.audit.operations import IS_ENTRY
from ledger.entries import BY_RECIPE, LEGS
from ledger.entries.giving_back import REVERSIBLE
from ledger.errors import MalformedRequest
from ledger.keys import notification_key, operation_key
from ledger.operation import ENDING, Operation, OutcomeKind, Posting, reason_of

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
        kind = BY_RECIPE[row["fingerprint_recipe"]]
        id = row["subject"].removesuffix(operation_key("", kind.leg))
        entry = kind.of(id, json.loads(row["fingerprint"]))
        operation = entry.operation()
    except (KeyError, TypeError, ValueError, MalformedRequest):
        return True
    if operation.key != row["subject"]:
        return True
    moved = [line.split(">") for line in row["moved"].split(" ")] if row["moved"] else []
    if operation.brings is not None:
        return not _brought(operation, row, moved)
    return not entry.is_moved_by([Posting(one, other, int(amount), code) for one, other, amount, code in moved])


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


def _not_as_due(row: Row) -> bool:
    """Whether what came back of an entry is not what was due each time, after all that came before."""
    try:
        id, _, leg = row["subject"].partition("/")
        original = REVERSIBLE[leg].of(id, json.loads(row["fingerprint"]))
        before = [0 for _ in original.operation().postings]
        times: dict[int, list[int]] = {}
        for part in row["parts"].split(" "):
            sequence, position, amount = map(int, part.split(">"))
            times.setdefault(sequence, [0 for _ in before])[position] += amount
        for _, amounts in sorted(times.items()):
            after = [sum(pair) for pair in zip(before, amounts, strict=True)]
            left = original.left(before)
            if original.left(after) < 0 or list(original.parts(left - original.left(after), before)) != amounts:
                return True
            before = after
    except (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError):
        return True
    return False


_ENDED = " ".join(f"WHEN '{kind}' THEN '{status}'" for kind, status in ENDING.items())
_TOLD = f"o.key || '{notification_key('', '')}' || CASE o.outcome {_ENDED} END"
_TELLS = " ".join(
    f"WHEN n.key LIKE '%{suffix}' THEN {len(suffix)}"
    for suffix in (notification_key("", status) for status in ENDING.values())
)


def _told_otherwise(row: Row) -> bool:
    """Whether a notification is not of an entry that has ended so, at that instant, or says something else of it."""
    try:
        (id, _, leg), kind = row["key"].partition("/"), OutcomeKind(row["outcome"])
        status = ENDING[kind]
        must_be = {
            "type": f"{leg}.{status}",
            "id": id,
            "kind": leg,
            "status": status,
            "iso20022_status": status.iso20022,
            "reason": reason_of(kind, row["code"], row["detail"]),
            "detail": row["detail"],
            **json.loads(row["fingerprint"]),
        }
        said = json.loads(row["body"])
    except (AttributeError, TypeError, ValueError):
        return True
    same = said == must_be and row["subject"] == notification_key(row["key"], status)
    return not same or row["recorded_at"] != row["told_at"] or leg not in LEGS


_PART = "b.sequence || '>' || r.position || '>' || r.amount_minor"


def _parts(together: str) -> str:
    """Every entry of which something came back, with all of its parts, and when each came."""
    return f"""
        SELECT r.original_key AS subject, COALESCE(o.fingerprint, '') AS fingerprint, {together} AS parts
        FROM entry_reversals r
        LEFT JOIN operations o ON o.key = r.original_key AND o.outcome = 'applied'
        LEFT JOIN (SELECT operation_key, MIN(sequence) AS sequence FROM postings GROUP BY operation_key) b
            ON b.operation_key = r.operation_key
        GROUP BY r.original_key, o.fingerprint"""


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
                AND key LIKE '%/reversal'
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
    Check(
        "entry_reversals",
        "Every applied reversal of an entry, and nothing else, is noted posting by posting with what it gives back.",
        """
        SELECT every.key AS subject, COALESCE(o.outcome, 'missing') AS outcome, every.original_key, every.noted,
               every.paired, (SELECT COUNT(*) FROM postings p WHERE p.operation_key = every.key) AS postings
        FROM (SELECT o.key, COALESCE(MIN(r.original_key), 'nothing') AS original_key, COUNT(r.position) AS noted,
                     COUNT(DISTINCT r.original_key) AS originals,
                     SUM(CASE WHEN EXISTS (
                         SELECT 1 FROM postings p JOIN postings was
                             ON was.operation_key = r.original_key AND was.position = r.position
                         WHERE p.operation_key = o.key AND p.amount_minor = r.amount_minor
                           AND p.currency = was.currency AND p.debit_account_id = was.credit_account_id
                           AND p.credit_account_id = was.debit_account_id) THEN 1 ELSE 0 END) AS paired
              FROM (SELECT key FROM operations WHERE outcome = 'applied' AND fingerprint_recipe = 'entry-reversal-v1'
                      AND key LIKE '%/reversal'
                    UNION SELECT operation_key FROM entry_reversals) o
              LEFT JOIN entry_reversals r ON r.operation_key = o.key
              GROUP BY o.key) every
        LEFT JOIN operations o ON o.key = every.key AND o.outcome = 'applied'
        WHERE (every.originals = 1 AND every.paired = every.noted
               AND every.noted = (SELECT COUNT(*) FROM postings p WHERE p.operation_key = every.key)
               AND o.fingerprint_recipe = 'entry-reversal-v1'
               AND replace(o.fingerprint, '"reverses":"' || every.original_key || '"', '') <> o.fingerprint
              ) IS NOT TRUE""",
        "is {outcome}; {noted} postings of {original_key} are noted, {paired} of its {postings} are their way back",
    ),
    Check(
        "entries_come_back_as_due",
        "What came back of an entry is each time what was due, and in the end never more than it has moved.",
        {
            "sqlite": _parts(f"group_concat({_PART}, ' ')"),
            "postgresql": _parts(f"string_agg({_PART}, ' ')"),
        },
        "was asked for {fingerprint}; of its postings came back: {parts}",
        confirmed=_not_as_due,
    ),
    Check(
        "entries_are_notified",
        "Every entry since the first one that was told has the notification of its ending.",
        f"""
        SELECT o.key AS subject, o.outcome FROM operations o LEFT JOIN notifications n ON n.key = {_TOLD}
        WHERE ({IS_ENTRY}) AND n.key IS NULL
          AND o.recorded_at >= (SELECT MIN(recorded_at) FROM notifications WHERE transfer_id IS NULL)""",
        "is {outcome}, and nobody is to be told",
    ),
    Check(
        "entry_notifications",
        "A notification of no transfer tells the ending of an entry, in its transaction, and says what it is.",
        f"""
        SELECT n.key AS subject, n.body, n.recorded_at AS told_at, o.key, o.outcome, o.code, o.detail, o.fingerprint,
               o.recorded_at
        FROM notifications n LEFT JOIN operations o
            ON o.key = substr(n.key, 1, length(n.key) - CASE {_TELLS} ELSE 0 END)
        WHERE n.transfer_id IS NULL""",
        "says {body}, and the entry is {outcome} ({code}: {detail})",
        confirmed=_told_otherwise,
    ),
)
