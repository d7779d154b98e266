"""What each transfer is said to be against what happened to it: its legs, its events, its notification."""

import json

from ledger.audit.check import Check, Row, differ, one_of
from ledger.audit.operations import key_of
from ledger.keys import Leg, notification_key
from ledger.transfer import LEGAL_CHANGES, Status

# What may be recorded under each key of a transfer, by its status; "-" is a key that nobody has used.
_LIVES = {
    #                   debit         credit                  refund             cancel
    Status.DEBITED:   (["applied"],  ["-", "rejected"],      ["-"],             ["-", "rejected"]),
    Status.SETTLED:   (["applied"],  ["applied"],            ["-", "rejected"], ["-", "rejected"]),
    Status.REFUNDED:  (["applied"],  ["fenced", "rejected"], ["applied"],       ["-", "rejected"]),
    Status.REJECTED:  (["rejected"], ["-"],                  ["-"],             ["-", "rejected"]),
    Status.CANCELLED: (["fenced"],   ["-"],                  ["-"],             ["applied"]),
}  # fmt: skip  # a table
_LEGS = (Leg.DEBIT, Leg.CREDIT, Leg.REFUND, Leg.CANCEL)
_UNTOUCHED = tuple(["-"] for _ in _LEGS)


def _lives() -> str:
    """The table above as SQL: whether a status agrees with the outcomes of the four legs."""
    branches = []
    for status in Status:
        allowed = zip(_LEGS, _LIVES.get(status, _UNTOUCHED), strict=True)
        legs = " AND ".join(f"COALESCE({leg}.outcome, '-') IN {one_of(outcomes)}" for leg, outcomes in allowed)
        branches.append(f"WHEN '{status}' THEN {legs}")
    return f"CASE t.status {' '.join(branches)} END"


# Which operation brings a transfer to a status, and how that operation ended.
_BROUGHT_BY = {
    Status.DEBITED: (Leg.DEBIT, "applied"),
    Status.SETTLED: (Leg.CREDIT, "applied"),
    Status.REFUNDED: (Leg.REFUND, "applied"),
    Status.CANCELLED: (Leg.CANCEL, "applied"),
    Status.REJECTED: (Leg.DEBIT, "rejected"),
}
_BROUGHT = " ".join(
    f"WHEN '{status}' THEN o.key = {key_of('t.id', leg)} AND o.outcome = '{outcome}'"
    for status, (leg, outcome) in _BROUGHT_BY.items()
)

_TERMINAL = one_of([status for status in Status if status.terminal])
_ENDING = f"t.id || '{notification_key('', '')}' || t.status"
_ISO20022 = " ".join(f"WHEN '{status}' THEN '{status.iso20022}'" for status in Status)


def _body(quoted: str) -> str:
    """The SQL of a notification's body, as the store writes it; it may differ where a text is not plain ASCII."""
    return f"""'{{"amount_minor":' || t.amount_minor || ',"currency":"' || t.currency
        || '","destination":"' || t.destination_account_id || '","detail":' || {quoted.format("t.detail")}
        || ',"iso20022_status":"' || CASE t.status {_ISO20022} END || '","reason":' || {quoted.format("t.reason")}
        || ',"source":"' || t.source_account_id || '","status":"' || t.status || '","transfer_id":"' || t.id
        || '","type":"transfer.' || t.status || '"}}'"""


def _suspect_bodies(quoted: str) -> str:
    return f"""
        SELECT n.key AS subject, n.body, t.* FROM notifications n JOIN transfers t ON t.id = n.transfer_id
        WHERE (n.body = {_body(quoted)}) IS NOT TRUE"""


def _body_differs(row: Row) -> bool:
    """Whether a body is not the JSON that it must be, whatever way its texts are escaped."""
    must_be = {
        "type": f"transfer.{row['status']}",
        "transfer_id": row["id"],
        "status": row["status"],
        "iso20022_status": Status(row["status"]).iso20022,
        "reason": row["reason"],
        "detail": row["detail"],
        "source": row["source_account_id"],
        "destination": row["destination_account_id"],
        "amount_minor": row["amount_minor"],
        "currency": row["currency"],
    }
    if row["captured_minor"] is not None:
        must_be["captured_minor"] = row["captured_minor"]
    try:
        return bool(json.loads(row["body"]) != must_be)
    except ValueError:
        return True


CHECKS = (
    Check(
        "states",
        "A status is what the entries say: settled is debited and credited, refunded is debited, fenced and given "
        "back, rejected and cancelled moved nothing.",
        f"""
        SELECT t.id AS subject, t.status, {", ".join(f"COALESCE({leg}.outcome, '-') AS {leg}" for leg in _LEGS)}
        FROM transfers t
        {" ".join(f"LEFT JOIN operations {leg} ON {leg}.key = {key_of('t.id', leg)}" for leg in _LEGS)}
        WHERE ({_lives()}) IS NOT TRUE""",
        "is {status}; its debit is {debit}, its credit {credit}, its refund {refund}, its cancel {cancel}",
    ),
    Check(
        "debit_first",
        "A transfer's credit or refund comes after its debit in the ledger's sequence.",
        f"""
        SELECT t.id AS subject, debit.sequence, later.sequence AS before, later.operation_key
        FROM transfers t
        JOIN postings debit ON debit.operation_key = {key_of("t.id", Leg.DEBIT)}
        JOIN postings later ON later.operation_key IN ({key_of("t.id", Leg.CREDIT)}, {key_of("t.id", Leg.REFUND)})
        WHERE later.sequence < debit.sequence""",
        "its debit is posting {sequence}, after {operation_key}, posting {before}",
    ),
    Check(
        "event_chain",
        "A transfer's events are numbered 1, 2, 3 ..., begin with accepted, and each is a legal change of what the one "
        "before it left.",
        f"""
        SELECT transfer_id AS subject, sequence, from_status, to_status, previous, nth FROM (
            SELECT transfer_id, sequence, from_status, to_status, LAG(to_status) OVER life AS previous,
                   ROW_NUMBER() OVER life AS nth
            FROM transfer_events WINDOW life AS (PARTITION BY transfer_id ORDER BY sequence)) AS chain
        WHERE sequence <> nth OR {differ("from_status", "previous")}
           OR CASE WHEN from_status IS NULL THEN to_status <> '{Status.ACCEPTED}' ELSE from_status || ' > ' || to_status
              NOT IN {one_of([f"{before} > {after}" for before, after in sorted(LEGAL_CHANGES)])} END""",
        "event {sequence}, the {nth}. there is, goes from {from_status} to {to_status} after {previous}",
    ),
    Check(
        "last_event",
        "A transfer's version counts its events, and its status, reason, detail and instants are its events'.",
        f"""
        SELECT id AS subject, status, reason, version, events, to_status, event_reason FROM (
            SELECT t.*, e.to_status, e.reason AS event_reason, e.detail AS event_detail, e.recorded_at AS ended_at,
                   b.recorded_at AS begun_at,
                   (SELECT COUNT(*) FROM transfer_events c WHERE c.transfer_id = t.id) AS events
            FROM transfers t
            LEFT JOIN transfer_events e ON e.transfer_id = t.id AND e.sequence = t.version
            LEFT JOIN transfer_events b ON b.transfer_id = t.id AND b.sequence = 1) AS last
        WHERE (events = version AND status = to_status AND changed_at = ended_at AND accepted_at = begun_at) IS NOT TRUE
           OR {differ("reason", "event_reason")} OR {differ("detail", "event_detail")}""",
        "is {status} ({reason}) at version {version}; it has {events} events, and number {version} says "
        "{to_status} ({event_reason})",
    ),
    Check(
        "event_operations",
        "Each event was brought by the operation of the same transfer that explains it, at that operation's instant.",
        f"""
        SELECT e.transfer_id AS subject, e.sequence, e.to_status, e.operation_key,
               COALESCE(o.outcome, 'missing') AS outcome
        FROM transfer_events e
        LEFT JOIN transfers t ON t.id = e.transfer_id
        LEFT JOIN operations o ON o.key = e.operation_key
        WHERE (o.transfer_id = t.id AND o.recorded_at = e.recorded_at
               AND CASE e.to_status {_BROUGHT} ELSE TRUE END) IS NOT TRUE
           OR e.to_status = '{Status.REJECTED}' AND {differ("e.reason", "o.code")}""",
        "event {sequence} to {to_status} came with {operation_key}, which is {outcome}",
    ),
    Check(
        "same_instant",
        "What one operation wrote was written at once: its postings and its fence carry its instant.",
        """
        SELECT o.key AS subject, 'posting ' || p.sequence AS what, o.recorded_at, p.recorded_at AS other
        FROM postings p JOIN operations o ON o.key = p.operation_key WHERE p.recorded_at <> o.recorded_at
        UNION ALL
        SELECT f.key, 'the operation that fenced it', f.recorded_at, o.recorded_at
        FROM operations f JOIN operations o ON o.key = f.code
        WHERE f.outcome = 'fenced' AND o.recorded_at <> f.recorded_at
        UNION ALL
        SELECT n.key, 'the end of the transfer', n.recorded_at, t.changed_at
        FROM notifications n JOIN transfers t ON t.id = n.transfer_id WHERE n.recorded_at <> t.changed_at""",
        "was recorded at {recorded_at}, {what} at {other}",
    ),
    Check(
        "endings_are_notified",
        "Every transfer that has ended has the notification of its ending.",
        f"""
        SELECT t.id AS subject, t.status FROM transfers t LEFT JOIN notifications n ON n.key = {_ENDING}
        WHERE t.status IN {_TERMINAL} AND (n.transfer_id = t.id) IS NOT TRUE""",
        "is {status}, and nobody is to be told",
    ),
    Check(
        "notifications_have_endings",
        "No notification tells anything but the ending of a transfer that has ended.",
        f"""
        SELECT n.key AS subject, COALESCE(t.status, 'missing') AS status
        FROM notifications n LEFT JOIN transfers t ON t.id = n.transfer_id
        WHERE n.transfer_id IS NOT NULL AND (t.status IN {_TERMINAL} AND n.key = {_ENDING}) IS NOT TRUE""",
        "is to be told, and the transfer is {status}",
    ),
    Check(
        "notification_bodies",
        "A notification says what the transfer is.",
        {
            "sqlite": _suspect_bodies("json_quote({})"),
            "postgresql": _suspect_bodies("COALESCE(CAST(to_json({}) AS TEXT), 'null')"),
        },
        "says {body}, and the transfer is {status} ({reason})",
        confirmed=_body_differs,
    ),
)
