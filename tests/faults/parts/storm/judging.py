"""Judging: everything that is known about a storm, put together as evidence, and what is wrong with it.

Temporal's histories are read once: for how each execution ended, and to be replayed by the workflows of today.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution, WorkflowHistory
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner

from engine.plugin import WorkerPlugin
from tests.faults.evidence import Answer, Evidence, Execution, Row, Rows
from tests.faults.invariants.lookup import credit_postings
from tests.faults.parts.storm.healing import TERMINAL

TOGETHER = 16
_LEGS = {"settled": (1, 1, 0), "refunded": (1, 0, 1), "rejected": (0, 0, 0), "cancelled": (0, 0, 0)}


async def executions(client: Client) -> tuple[list[Execution], list[WorkflowHistory]]:
    """Every execution of the namespace, how it ended, and its history."""
    found = [execution async for execution in client.list_workflows()]
    places = asyncio.Semaphore(TOGETHER)

    async def one(execution: WorkflowExecution) -> tuple[Execution, WorkflowHistory]:
        async with places:
            handle = client.get_workflow_handle(execution.id, run_id=execution.run_id)
            history = await handle.fetch_history()
        return await _execution(client, execution, history), history

    read = await asyncio.gather(*(one(execution) for execution in found))
    return [execution for execution, _ in read], [history for _, history in read]


async def _execution(client: Client, listed: WorkflowExecution, history: WorkflowHistory) -> Execution:
    last = history.events[-1]
    result: Any = None
    failure_type = None
    status = "RUNNING"
    match last.event_type:
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            status = "COMPLETED"
            payloads = last.workflow_execution_completed_event_attributes.result.payloads
            values = await client.data_converter.decode(payloads) if payloads else [None]
            result = values[0]
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
            status = "FAILED"
            failure = last.workflow_execution_failed_event_attributes.failure
            failure_type = failure.application_failure_info.type or failure.message
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
            status = "TERMINATED"
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
            status = "CANCELED"
        case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
            status = "TIMED_OUT"
    return Execution(listed.id, listed.run_id, listed.workflow_type, status, result, failure_type)


async def replay(histories: Sequence[WorkflowHistory]) -> list[str]:
    """I13: every history that was made under faults replays. Returns those that do not."""
    replayer = Replayer(workflows=[], plugins=[WorkerPlugin(workflow_runner=UnsandboxedWorkflowRunner())])

    async def all() -> Any:
        for history in histories:
            yield history

    results = await replayer.replay_workflows(all(), raise_on_replay_failure=False)
    return [f"I13: {run}: {failure}"[:500] for run, failure in results.replay_failures.items()]


def effects(evidence: Evidence, acknowledged: Sequence[str]) -> dict[str, int]:
    """How many transfers there are, and how many went wrong in each way, counted from the rows and the answers."""
    statuses = {row["id"]: row["status"] for row in evidence.rows.transfers}
    legs = Counter(posting["operation_key"] for posting in evidence.rows.postings)
    return {
        "transfers": len(statuses),
        "lost": sum(id not in statuses for id in acknowledged) + sum(_is_short(row, legs) for row in _ended(evidence)),
        "doubled": sum(_is_doubled(row, legs) for row in evidence.rows.transfers),
        "stuck": sum(status not in TERMINAL for status in statuses.values()),
        "contradictory": len(contradictions(evidence)),
    }


def contradictions(evidence: Evidence) -> list[str]:
    """Transfers of which somebody was told another ending than the books have, or two: what was told, and when."""
    rows = {row["id"]: row for row in evidence.rows.transfers}
    told: defaultdict[tuple[str, tuple[str, str, int, str]], list[Answer]] = defaultdict(list)
    for answer in evidence.answers:
        if answer.status is not None:
            told[answer.transfer_id, answer.content].append(answer)
    found = []
    for (id, _), answers in told.items():
        row = rows.get(id)
        if {answer.status for answer in answers} != {row and row["status"]}:
            found.append(f"{id} is in the books as {row and dict(row)}, and was told as {answers}")
    return found


def _ended(evidence: Evidence) -> list[Row]:
    return [row for row in evidence.rows.transfers if row["status"] in TERMINAL]


def _moved(id: str, legs: Counter[str]) -> tuple[int, int, int]:
    return legs[f"{id}/debit"], legs[f"{id}/credit"], legs[f"{id}/refund"]


def _is_short(row: Row, legs: Counter[str]) -> bool:
    debits, credits, refunds = _LEGS[row["status"]]
    due = (debits, credits * credit_postings(row), refunds)
    return any(has < needed for has, needed in zip(_moved(row["id"], legs), due, strict=True))


def _is_doubled(row: Row, legs: Counter[str]) -> bool:
    """The credit of a hold that was captured in part has two postings: what was captured, and the rest."""
    debits, credits, refunds = _moved(row["id"], legs)
    return debits > 1 or refunds > 1 or credits > credit_postings(row) or (credits > 0 and refunds > 0)


def balances(rows: Rows, deposited: dict[str, int]) -> list[str]:
    """What each account must have, from the transfers' endings alone, against what the books say it has."""
    due = Counter(deposited)
    for transfer in rows.transfers:
        if transfer["status"] == "settled":
            captured = transfer["captured_minor"]
            amount_minor = transfer["amount_minor"] if captured is None else captured
            due[transfer["source_account_id"]] -= amount_minor
            due[transfer["destination_account_id"]] += amount_minor
    has = {row["id"]: row["credits_posted"] - row["debits_posted"] for row in rows.accounts}
    return [f"{id} has {has.get(id)}, and must have {due[id]}" for id in deposited if has.get(id) != due[id]]


def unclassified(answers: Sequence[Answer]) -> Counter[str]:
    """How often which class of error stood behind an unknown."""
    return Counter(answer.error for answer in answers if answer.error is not None)
