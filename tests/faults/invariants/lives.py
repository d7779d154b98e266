"""I5: a transfer's status has its entries, no more and no less, and its events lead there by legal changes."""

from collections.abc import Iterator, Sequence

from tests.faults.evidence import Evidence, Row
from tests.faults.invariants import lookup

Legs = tuple[str | None, str | None, str | None]

BEFORE_DEBIT = ("accepted", "awaiting_approval", "scheduled")
LEGS: dict[str, tuple[Legs, ...]] = {
    **dict.fromkeys(BEFORE_DEBIT, ((None, None, None),)),
    "debited": (("applied", None, None), ("applied", "rejected", None)),
    "settled": (("applied", "applied", None), ("applied", "applied", "rejected")),
    "refunded": (("applied", "fenced", "applied"), ("applied", "rejected", "applied")),
    "rejected": (("rejected", None, None),),
    "cancelled": (("fenced", None, None),),
}
"""How debit, credit and refund can have ended in each status."""

LEGAL = {
    None: ("accepted",),
    "accepted": ("awaiting_approval", "scheduled", "debited", "rejected", "cancelled"),
    "awaiting_approval": ("scheduled", "debited", "rejected", "cancelled"),
    "scheduled": ("debited", "rejected", "cancelled"),
    "debited": ("settled", "refunded"),
}
"""What can follow on each status. Nothing follows on a terminal one."""

BROUGHT_BY = {
    "debited": ("debit", "applied"),
    "settled": ("credit", "applied"),
    "refunded": ("refund", "applied"),
    "rejected": ("debit", "rejected"),
    "cancelled": ("cancel", "applied"),
}
"""The leg that brings a transfer into a status, and how that leg ended."""


def status_has_its_entries(evidence: Evidence) -> list[str]:
    """I5: settled is debited and credited, refunded debited, fenced and given back, rejected and cancelled nothing."""
    operations, postings = lookup.operations(evidence.rows), lookup.postings(evidence.rows)
    lives, transfers = lookup.events(evidence.rows), lookup.transfers(evidence.rows)
    found: list[str] = []
    for id, transfer in transfers.items():
        found += _wrong_legs(transfer, operations, postings)
        found += _wrong_life(transfer, lives.get(id, []), operations)
    found += [f"{id} has events, and there is no such transfer" for id in lives if id not in transfers]
    return found


def _wrong_legs(transfer: Row, operations: dict[str, Row], postings: dict[str, list[Row]]) -> Iterator[str]:
    keys = [f"{transfer['id']}/{leg}" for leg in ("debit", "credit", "refund")]
    debit, credit, refund = (operations[key]["outcome"] if key in operations else None for key in keys)
    moved = tuple(len(postings.get(key, ())) for key in keys)
    fitting = [legs for legs in LEGS.get(transfer["status"], ()) if legs == (debit, credit, refund)]
    if not fitting:
        yield f"{transfer['id']} is {transfer['status']} with debit {debit}, credit {credit}, refund {refund}"
    postings_of = (1, lookup.credit_postings(transfer), 1)
    due = {
        tuple(int(outcome == "applied") * many for outcome, many in zip(legs, postings_of, strict=True))
        for legs in LEGS.get(transfer["status"], ())
    }
    if moved not in due:
        yield f"{transfer['id']} is {transfer['status']} with {moved} postings of debit, credit and refund"


def _wrong_life(transfer: Row, life: Sequence[Row], operations: dict[str, Row]) -> Iterator[str]:
    id = transfer["id"]
    if [event["sequence"] for event in life] != list(range(1, transfer["version"] + 1)):
        yield f"{id} is at version {transfer['version']} with events {[event['sequence'] for event in life]}"
    before = None
    for event in life:
        if event["from_status"] != before or event["to_status"] not in LEGAL.get(before, ()):
            yield f"{id} went from {event['from_status']} to {event['to_status']} when it was {before}"
        before = event["to_status"]
        yield from _unexplained(id, event, operations)
    if life and any(transfer[name] != life[-1][last] for name, last in _LAST.items()):
        yield (
            f"{id} is {transfer['status']} ({transfer['reason']}), its last event says "
            f"{life[-1]['to_status']} ({life[-1]['reason']}), or another detail or instant"
        )


_LAST = {"status": "to_status", "reason": "reason", "detail": "detail", "changed_at": "recorded_at"}


def _unexplained(id: str, event: Row, operations: dict[str, Row]) -> Iterator[str]:
    """An event came with the operation of its own transfer that brings about such a change, at the same instant."""
    key, status = event["operation_key"], event["to_status"]
    operation = operations.get(key)
    if operation is None or operation["transfer_id"] != id or operation["recorded_at"] != event["recorded_at"]:
        yield f"event {event['sequence']} of {id} came with {key}, which is not of this transfer and instant"
    elif status in BROUGHT_BY and (key.removeprefix(f"{id}/"), operation["outcome"]) != BROUGHT_BY[status]:
        yield f"event {event['sequence']} of {id} to {status} came with {key}, which is {operation['outcome']}"
