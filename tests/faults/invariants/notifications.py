"""I10: the outside is told the ending of each transfer once by key, as the books have it, and nothing else."""

import json
from collections import defaultdict
from collections.abc import Iterator

from tests.faults.evidence import Evidence, Row, Rows
from tests.faults.invariants import lookup
from tests.faults.invariants.entries import KINDS
from tests.faults.invariants.lookup import TERMINAL

ISO20022 = {"settled": "ACSC", "rejected": "RJCT", "refunded": "RJCT", "cancelled": "CANC"}


def one_notification(evidence: Evidence) -> list[str]:
    """I10: one effect per key at the receiver, with the body of the outbox; none before the transfer was even asked.

    Whether a delivery came before its commit shows in a run that is killed in between: then it is at the receiver, and
    not in the outbox. Wall clocks of workers are not compared, because faults may turn them.
    """
    return [*_wrong_outbox(evidence.rows), *_wrong_deliveries(evidence), *_undelivered(evidence)]


def _wrong_outbox(rows: Rows) -> Iterator[str]:
    transfers, told = lookup.transfers(rows), lookup.notifications(rows)
    for id, transfer in transfers.items():
        due = [f"{id}/notify/{transfer['status']}"] if transfer["status"] in TERMINAL else []
        if (keys := [row["key"] for row in told.get(id, ())]) != due:
            yield f"{id} is {transfer['status']}, and the outbox has {keys}"
    yield from _wrong_of_entries(rows)
    for row in rows.notifications:
        if row["transfer_id"] is None:
            continue
        transfer_row = transfers.get(row["transfer_id"])
        if transfer_row is None:
            yield f"{row['key']} is in the outbox, and its transfer is in no book"
        elif _body(row["body"]) != (due_body := _due_body(transfer_row)):
            yield f"{row['key']} says {row['body']}; it must be {due_body}"
        elif row["recorded_at"] != transfer_row["changed_at"]:
            yield f"{row['key']} was recorded at another instant than the end of its transfer"


def _wrong_of_entries(rows: Rows) -> Iterator[str]:
    """An entry has the notification of its ending from its own instant on, and nothing else is without a transfer."""
    due = {}
    for row in rows.operations:
        id, _, kind = row["key"].partition("/")
        if kind in KINDS:
            status = {"applied": "settled", "rejected": "rejected", "fenced": "cancelled"}[row["outcome"]]
            why = str(row["detail"]).partition(": ")[0] if status == "cancelled" else row["code"]
            said = {"type": f"{kind}.{status}", "id": id, "kind": kind, "status": status, "reason": why}
            said |= {"iso20022_status": ISO20022[status], "detail": row["detail"], **json.loads(row["fingerprint"])}
            due[f"{row['key']}/notify/{status}"] = said, row["recorded_at"]
    told = {
        row["key"]: (_body(row["body"]), row["recorded_at"]) for row in rows.notifications if not row["transfer_id"]
    }
    yield from (f"{key} is not in the outbox" for key in due.keys() - told.keys())
    yield from (f"{key} is in the outbox, and no such entry ended so" for key in told.keys() - due.keys())
    yield from (f"{key} says {told[key]}; it must be {due[key]}" for key in due.keys() & told if due[key] != told[key])


def _body(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _due_body(transfer: Row) -> dict[str, object]:
    source, destination, amount_minor, currency = lookup.content(transfer)
    captured = transfer.get("captured_minor")
    return ({} if captured is None else {"captured_minor": captured}) | {
        "type": f"transfer.{transfer['status']}",
        "transfer_id": transfer["id"],
        "status": transfer["status"],
        "iso20022_status": ISO20022.get(transfer["status"]),
        "reason": transfer["reason"],
        "detail": transfer["detail"],
        "source": source,
        "destination": destination,
        "amount_minor": amount_minor,
        "currency": currency,
    }


def _wrong_deliveries(evidence: Evidence) -> Iterator[str]:
    outbox = {row["key"]: row for row in evidence.rows.notifications}
    asked: defaultdict[str, float] = defaultdict(lambda: float("-inf"))
    for id, given in lookup.answers(evidence.answers).items():
        asked[id] = min(answer.asked_at for answer in given)
    endings: defaultdict[str, set[str]] = defaultdict(set)
    for delivery in evidence.deliveries:
        row = outbox.get(delivery.key)
        endings[delivery.key.rpartition("/notify/")[0]].add(delivery.key)
        if row is None:
            yield f"{delivery.key} was delivered, and is not in the outbox"
        elif row["body"] != delivery.body:
            yield f"{delivery.key} was delivered as {delivery.body}; the outbox has {row['body']}"
        elif delivery.at < asked[row["transfer_id"]]:
            yield f"{delivery.key} was delivered before anybody asked for its transfer"
    yield from (f"{id} was told {len(keys)} endings: {sorted(keys)}" for id, keys in endings.items() if len(keys) > 1)
    yield from _other_bodies(evidence)


def _other_bodies(evidence: Evidence) -> Iterator[str]:
    bodies: defaultdict[str, set[str]] = defaultdict(set)
    for delivery in evidence.deliveries:
        bodies[delivery.key].add(delivery.body)
    yield from (f"{key} was delivered with {len(said)} bodies" for key, said in bodies.items() if len(said) > 1)


def _undelivered(evidence: Evidence) -> Iterator[str]:
    """What the books say is delivered is at the receiver; and all is delivered, once nobody is working on it.

    Only where deliveries were collected at all.
    """
    if not evidence.deliveries:
        return
    taken = {delivery.key for delivery in evidence.deliveries if delivery.accepted}
    running = {execution.workflow_id for execution in evidence.executions if execution.status == "RUNNING"}
    for row in evidence.rows.notifications:
        id, key = row["transfer_id"], row["key"]
        if row["delivered_at"] is not None and key not in taken:
            yield f"{key} is marked as delivered, and the receiver has not got it"
        owner, _, kind = key.rpartition("/notify/")[0].partition("/")
        workflow = f"{kind}/{owner}" if id is None else f"transfer/{id}"
        nobody_works_on_it = evidence.executions and not running & {workflow, f"notification/{key}"}
        if row["delivered_at"] is None and nobody_works_on_it and id not in evidence.wrecked:
            yield f"{key} is not delivered, and nobody is working on it"
