"""I4: at most one effect per key, and exactly the effect that was asked under it; a fence and its reason are one."""

import json
from collections import Counter
from collections.abc import Iterator

from tests.faults.evidence import Evidence, Row, Rows
from tests.faults.invariants import entries, lookup

MOVES = frozenset({"debit", "credit", "refund", "deposit"})
"""The legs that move money. A cancel, a submission, a recall and a decision move nothing."""

_SETTING = "/setting/"
_APPROVAL = "/approval/"
_OF_NO_TRANSFER = entries.KINDS | {"deposit", "batch"}
FENCED_BY = {"debit": "cancel", "credit": "refund", "submit": "recall"}


def one_effect(evidence: Evidence) -> list[str]:
    """I4: keys and postings are there once, an applied key has its one posting, every other has none."""
    rows = evidence.rows
    return [
        *_twice(rows),
        *_wrong_counts(rows),
        *_other_content(rows),
        *_wrong_fences(rows),
    ]


def _twice(rows: Rows) -> Iterator[str]:
    for key, times in Counter(row["key"] for row in rows.operations).items():
        if times > 1:
            yield f"the key {key} is there {times} times"
    for (key, position), times in Counter((row["operation_key"], row["position"]) for row in rows.postings).items():
        if times > 1:
            yield f"posting {position} of {key} is there {times} times"


def _wrong_counts(rows: Rows) -> Iterator[str]:
    operations, postings, transfers = lookup.operations(rows), lookup.postings(rows), lookup.transfers(rows)
    for key, posted in postings.items():
        if key not in operations:
            yield f"{key} has {len(posted)} postings, and there is no such operation"
    for key, operation in operations.items():
        if operation["outcome"] == "applied" and _leg(key) in entries.KINDS:
            continue  # as many as it asks for: `_other_content` compares them
        due = int(operation["outcome"] == "applied" and _leg(key) in MOVES)
        if due and _leg(key) == "credit" and operation["transfer_id"] in transfers:
            due = lookup.credit_postings(transfers[operation["transfer_id"]])
        if (has := len(postings.get(key, ()))) != due:
            yield f"{key} is {operation['outcome']} and has {has} postings instead of {due}"


def _other_content(rows: Rows) -> Iterator[str]:
    """The same key with other content changes nothing: what moved under a key is what the key remembers."""
    transfers, postings = lookup.transfers(rows), lookup.postings(rows)
    for operation in rows.operations:
        key, leg = operation["key"], _leg(operation["key"])
        asked = json.loads(operation["fingerprint"])
        transfer = transfers.get(operation["transfer_id"])
        if _SETTING in key:  # a change of an account, counted; it belongs to no transfer
            if operation["transfer_id"] is not None or not key.startswith(f"{asked.get('account')}/"):
                yield f"{key} was asked {asked}, for transfer {operation['transfer_id']}"
        elif _APPROVAL in key:  # it may be there before its transfer, and belongs to none
            if operation["transfer_id"] is not None or leg != asked.get("approver"):
                yield f"{key} was asked {asked}, for transfer {operation['transfer_id']}"
        elif leg == "cancel" and _leg(key.removesuffix("/cancel")) in entries.KINDS:  # of an entry: `_wrong_fences`
            if operation["transfer_id"] is not None:
                yield f"{key} is the cancel of an entry, and belongs to transfer {operation['transfer_id']}"
        elif leg not in _OF_NO_TRANSFER and (transfer is None or key != f"{transfer['id']}/{leg}"):
            yield f"{key} belongs to transfer {operation['transfer_id']}, which has no such key"
        elif transfer is not None and asked != (due_content := _content(transfer) | _terms(transfer, operation, asked)):
            yield f"{key} was asked {asked}, and its transfer is {due_content}"
        posted = postings.get(key, ())
        if posted or (operation["outcome"] == "applied" and leg in entries.KINDS):
            due = entries.due(leg, asked, posted) if leg in entries.KINDS else _due(leg, asked)
            if Counter(moved := [_moved(posting) for posting in posted]) != Counter(due):
                yield f"{key} moved {moved}; it was asked {due}"


def _content(transfer: Row) -> dict[str, str | int]:
    source, destination, amount_minor, currency = lookup.content(transfer)
    return {"source": source, "destination": destination, "amount_minor": amount_minor, "currency": currency}


TERMS = {"hold-v1": ("expires_at",), "payout-v1": ("rail", "beneficiary")}
"""What a debit on terms remembers beside its transfer."""


def _terms(transfer: Row, operation: Row, asked: dict[str, str | int]) -> dict[str, str | int | None]:
    """What a leg on terms was asked beyond its transfer: a debit its terms, the capture of a hold how much."""
    leg, terms = _leg(operation["key"]), transfer.get("terms")
    if leg == "decision":
        return {name: asked.get(name) for name in ("decided", "by", "evidence")}
    if terms is None or operation["outcome"] == "fenced":
        return {}
    if leg == "debit":
        return {name: asked.get(name) for name in TERMS.get(terms, ())}
    if leg == "credit" and operation["fingerprint_recipe"] == "capture-v1":
        was = operation["outcome"] == "applied"
        return {"captured_minor": transfer["captured_minor"] if was else asked.get("captured_minor")}
    return {}


def _moved(posting: Row) -> tuple[str, str, int, str]:
    return posting["debit_account_id"], posting["credit_account_id"], posting["amount_minor"], posting["currency"]


def _due(leg: str, asked: dict[str, str | int]) -> list[tuple[object, ...]]:
    currency, amount = asked.get("currency"), asked.get("amount_minor")
    captured = asked.get("captured_minor", amount)
    between = {
        "debit": (asked.get("source"), f"transit:{currency}"),
        "credit": (f"transit:{currency}", asked.get("destination")),
        "refund": (f"transit:{currency}", asked.get("source")),
        "deposit": (f"cash:{currency}", asked.get("account")),
    }
    due: list[tuple[object, ...]] = [(*between.get(leg, (None, None)), captured, currency)]
    if isinstance(amount, int) and isinstance(captured, int) and captured != amount:
        due.append((*between["refund"], amount - captured, currency))
    return due


def _wrong_fences(rows: Rows) -> Iterator[str]:
    operations = lookup.operations(rows)
    for key, operation in operations.items():
        owner, _, leg = key.rpartition("/")
        if operation["outcome"] == "fenced":
            by = operations.get(operation["code"])
            fence = f"{key}/cancel" if leg in entries.KINDS else f"{owner}/{FENCED_BY.get(leg)}"
            if operation["code"] != fence or by is None or by["outcome"] != "applied":
                yield f"{key} is fenced by {operation['code']}, which is {by['outcome'] if by else 'missing'}"
            elif by["recorded_at"] != operation["recorded_at"]:
                yield f"{key} was fenced at {operation['recorded_at']}, {by['key']} applied at {by['recorded_at']}"
        if operation["outcome"] == "applied" and leg in FENCED_BY.values():
            yield from _missing_fence(operations, owner, leg)


def _missing_fence(operations: dict[str, Row], owner: str, leg: str) -> Iterator[str]:
    """A credit that was rejected needs no fence before its refund: its key says already that it never applies."""
    (fenced,) = (each for each, by in FENCED_BY.items() if by == leg)
    key = owner if _leg(owner) in entries.KINDS else f"{owner}/{fenced}"
    outcome = operations[key]["outcome"] if key in operations else "missing"
    if outcome not in (("fenced", "rejected") if leg == "refund" else ("fenced",)):
        yield f"{owner}/{leg} has applied, and {key} is {outcome}: it could still apply"


def _leg(key: str) -> str:
    return key.rpartition("/")[2]
