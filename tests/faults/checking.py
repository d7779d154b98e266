"""Checking: read what the outside can see of a run, judge it by the invariants, and write down what is wrong.

evidence = await check(trial, url, client, answers=answers, deliveries=deliveries)
run.record.effects(**effects(evidence))
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from tests.faults.evidence import Evidence, Execution, Rows, read_rows
from tests.faults.invariants import lookup, violations
from tests.faults.record import Trial

SHOWN = 12
"""How many violations of one invariant are written down; a broken run can have one for every row."""

VISIBILITY_SECONDS = 10.0
"""How long Temporal's list of executions may lag behind what has ended."""

_AT_ONCE = 32


async def gather(
    url: str,
    client: Client | None = None,
    namespace: str | None = None,
    task_queue: str | None = None,
    patience_seconds: float = VISIBILITY_SECONDS,
    **more: Any,
) -> Evidence:
    """The evidence of a run that is over: its rows and, with a client, its executions; `more` are Evidence's fields.

    `task_queue` narrows the executions down to one run's where several share a namespace. `patience_seconds` is how
    long to wait for Temporal's list to have what has ended.
    """
    if client is None:
        return Evidence(await read_rows(url), **more)
    there = Client(**(client.config() | {"namespace": namespace})) if namespace else client
    query = f"TaskQueue = '{task_queue}'" if task_queue else None
    patience = asyncio.get_running_loop().time() + patience_seconds
    while True:
        found = await executions(there, query)  # before the rows: what has completed is in the books by then
        evidence = Evidence(await read_rows(url), executions=found, **more)
        lagging = (_closed(evidence.rows) - _done(found) - evidence.wrecked) | _untold(evidence.rows, found)
        if not lagging or asyncio.get_running_loop().time() > patience:
            return evidence
        await asyncio.sleep(0.2)


async def executions(client: Client, query: str | None = None) -> list[Execution]:
    """Every execution of the client's namespace (that the query finds) with its result, in no order."""
    listed = [execution async for execution in client.list_workflows(query, page_size=500)]
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(execution: WorkflowExecution) -> Execution | None:
        async with turn:
            return await _described(client, execution)

    return [described for described in await asyncio.gather(*map(one, listed)) if described is not None]


async def check(trial: Trial, url: str, client: Client | None = None, **more: Any) -> Evidence:
    """Gather the evidence (see `gather`), and write down in the trial whatever violates an invariant."""
    evidence = await gather(url, client, **more)
    note(trial, evidence)
    return evidence


def note(trial: Trial, evidence: Evidence) -> None:
    """Write down in the trial whatever violates an invariant."""
    trial.problems += problems(evidence)


def problems(evidence: Evidence) -> list[str]:
    """Every violation as a sentence, the first few of each invariant."""
    counts: dict[str, int] = {}
    shown = []
    for violation in violations(evidence):
        counts[violation.invariant] = counts.get(violation.invariant, 0) + 1
        if counts[violation.invariant] <= SHOWN:
            shown.append(str(violation))
    return [*shown, *(f"{name}: {count - SHOWN} more" for name, count in counts.items() if count > SHOWN)]


def effects(evidence: Evidence) -> dict[str, int]:
    """What became of the transfers, for `Record.effects`: of the books' and of all that anybody was told about.

    lost: acknowledged, and not in the books. doubled: a leg moved twice, or both the credit and the refund did.
    stuck: in the books, and not terminal. contradictory: told two outcomes, or another than the books'.
    """
    transfers, postings = lookup.transfers(evidence.rows), lookup.postings(evidence.rows)
    told = lookup.answers(evidence.answers)
    acknowledged = {
        id
        for id, given in told.items()
        if any(answer.exit_status == 0 or lookup.is_definite(answer) for answer in given)
    }
    doubled = contradictory = 0
    for id in transfers.keys() | acknowledged:
        debit, credit, refund = (len(postings.get(f"{id}/{leg}", ())) for leg in ("debit", "credit", "refund"))
        doubled += debit > 1 or credit + refund > 1
        said = {answer.status for answer in told.get(id, ()) if lookup.is_definite(answer)}
        contradictory += len(said) > 1 or (id in transfers and bool(said - {transfers[id]["status"]}))
    return {
        "transfers": len(transfers.keys() | acknowledged),
        "lost": len(acknowledged - transfers.keys()),
        "doubled": doubled,
        "stuck": sum(transfer["status"] not in lookup.TERMINAL for transfer in transfers.values()),
        "contradictory": contradictory,
    }


def _closed(rows: Rows) -> set[str]:
    return {transfer["id"] for transfer in rows.transfers if transfer["status"] in lookup.TERMINAL}


def _done(found: Sequence[Execution]) -> set[str]:
    """Transfers whose execution is listed as completed."""
    return {run.workflow_id.removeprefix("transfer/") for run in found if run.status == "COMPLETED"}


def _untold(rows: Rows, found: Sequence[Execution]) -> set[str]:
    """Notifications that are to be delivered by somebody whom the list does not show yet."""
    running = {run.workflow_id.partition("/")[2].partition("/")[0] for run in found if run.status == "RUNNING"}
    return {row["key"] for row in rows.notifications if row["delivered_at"] is None} - {
        row["key"] for row in rows.notifications if row["transfer_id"] in running
    }


async def _described(client: Client, execution: WorkflowExecution) -> Execution | None:
    status = execution.status.name if execution.status else "RUNNING"
    known = Execution(execution.id, execution.run_id, execution.workflow_type, status)
    if execution.status not in (WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.FAILED):
        return known
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
    try:
        result = await handle.result(follow_runs=False)
    except WorkflowFailureError as error:
        kind = error.cause.type if isinstance(error.cause, ApplicationError) else type(error.cause).__name__
        return Execution(execution.id, execution.run_id, execution.workflow_type, status, failure_type=kind)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None  # deleted, or past its retention, since it was listed
    return Execution(execution.id, execution.run_id, execution.workflow_type, status, result)
