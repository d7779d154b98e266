"""I11: the books and Temporal's executions agree, both ways: neither knows an ending that the other does not."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from tests.faults.evidence import Evidence, Execution, Row
from tests.faults.invariants import batches, lookup
from tests.faults.invariants.lookup import TERMINAL

TRANSFER, DEPOSIT, NOTIFICATION, OCCURRENCE = "transfer/", "deposit/", "notification/", "recurring/"
REFUSALS = frozenset({"KeyReused", "MalformedRequest"})
"""What a workflow may fail with: it then stands for nobody's transfer."""


def books_and_temporal_agree(evidence: Evidence) -> list[str]:
    """I11: each completed execution's result is what the books say, and each ending in the books has its execution.

    `wrecked` transfers are left out the second way. Without executions in the evidence there is nothing to compare.
    """
    if not evidence.executions:
        return []
    runs: defaultdict[str, list[Execution]] = defaultdict(list)
    for execution in evidence.executions:
        runs[execution.workflow_id].append(execution)
    found: list[str] = []
    for id, executions in runs.items():
        found += _wrong_ends(id, executions, evidence.wrecked)
    return [
        *found,
        *_wrong_transfers(evidence, runs),
        *batches.chunks_and_books_agree(evidence),
        *_wrong_deposits(evidence, runs),
        *_wrong_told(evidence, runs),
    ]


def _wrong_ends(id: str, executions: Sequence[Execution], wrecked: frozenset[str]) -> Iterator[str]:
    """Money workflows complete. What an operator terminated was run again, or is said to be wrecked."""
    if id.removeprefix(TRANSFER) in wrecked:
        return
    went_on = any(execution.status in ("COMPLETED", "RUNNING") for execution in executions)
    for execution in executions:
        ended, run = execution.status, f"run {execution.run_id} of {id}"
        if ended == "FAILED" and execution.failure_type not in REFUSALS:
            yield f"{run} failed with {execution.failure_type}"
        elif ended in ("CANCELED", "TIMED_OUT") or (ended == "TERMINATED" and not went_on):
            yield f"{run} is {ended}, and nobody is working on it"


def _wrong_transfers(evidence: Evidence, runs: dict[str, list[Execution]]) -> Iterator[str]:
    transfers = lookup.transfers(evidence.rows)
    for workflow_id, executions in runs.items():
        for execution in executions:
            if workflow_id.startswith(TRANSFER):
                yield from _wrong_result(workflow_id, execution, transfers.get(workflow_id.removeprefix(TRANSFER)))
            elif workflow_id.startswith(OCCURRENCE) and isinstance(execution.result, dict):
                yield from _wrong_result(workflow_id, execution, transfers.get(execution.result["transfer_id"]))
    for id, transfer in transfers.items():
        if batches.line_of(transfer) is not None:
            continue  # a line of a batch has its chunk: see `batches`
        told = {execution.status for execution in runs.get(f"{TRANSFER}{id}", ())}
        # Running: it is in the middle of telling the outside.
        if transfer["status"] in TERMINAL and id not in evidence.wrecked and not told & {"COMPLETED", "RUNNING"}:
            yield f"{id} is {transfer['status']} in the books, and Temporal has {sorted(told) or 'nothing'} of it"


def _wrong_result(id: str, execution: Execution, transfer: Row | None) -> Iterator[str]:
    if execution.failure_type == "KeyReused" and transfer is None:
        yield f"{id} was told to be used for something else, and the books do not know it"
    if execution.status != "COMPLETED":
        return
    names = ("status", "reason", "detail")
    said = [execution.result.get(name) for name in names] if isinstance(execution.result, dict) else execution.result
    if transfer is None:
        yield f"{id} completed with {said}, and the books do not know it"
    elif said != (has := [transfer[name] for name in names]):
        yield f"{id} completed with {said}; in the books it is {has}"


def _wrong_deposits(evidence: Evidence, runs: dict[str, list[Execution]]) -> Iterator[str]:
    operations = lookup.operations(evidence.rows)
    for id, executions in runs.items():
        for execution in executions:
            if not id.startswith(DEPOSIT) or execution.status != "COMPLETED":
                continue
            said = execution.result.get("kind") if isinstance(execution.result, dict) else execution.result
            operation = operations.get(f"{id.removeprefix(DEPOSIT)}/deposit")
            if (has := operation["outcome"] if operation else "missing") != said:
                yield f"{id} completed with {said}; in the books it is {has}"


def _wrong_told(evidence: Evidence, runs: dict[str, list[Execution]]) -> Iterator[str]:
    outbox = {row["key"]: row for row in evidence.rows.notifications}
    for id, executions in runs.items():
        row = outbox.get(id.removeprefix(NOTIFICATION))
        told = id.startswith(NOTIFICATION) and any(execution.status == "COMPLETED" for execution in executions)
        if told and (row is None or row["delivered_at"] is None):
            yield f"{id} completed, and the outbox says {'nothing of it' if row is None else 'not delivered'}"
