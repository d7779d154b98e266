"""Sites: places where a process can be made to die, fail or stall that are not in the code, but at its boundaries.

    sql.begin sql.before.insert.postings sql.after.insert.postings ... sql.commit sql.after_commit sql.rollback
    activity.before_execute activity.after_execute            the worker's interceptor
    workflow.before_activation workflow.after_activation      each workflow task: code run, its commands not yet sent
    client.before_start_workflow client.after_start_workflow  the caller's interceptor; also describe, cancel, schedules

They are found, not listed: whatever a clean run passes is a site. They are passed through `ledger/failpoints.py`, so
that they are armed, counted and logged like the named ones.
"""

import asyncio
import functools
import re
import threading
from datetime import timedelta
from typing import Any, TypeVar

import temporalio.client
import temporalio.worker
from sqlalchemy import event
from sqlalchemy.util.concurrency import await_only
from temporalio import activity
from temporalio.client import (
    BackfillScheduleInput,
    CancelWorkflowInput,
    CreateScheduleInput,
    DescribeWorkflowInput,
    ScheduleHandle,
    StartWorkflowInput,
    StartWorkflowUpdateInput,
)
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    UnsandboxedWorkflowRunner,
    WorkflowInstance,
    WorkflowInstanceDetails,
)

from activities.approvals import AwaitedRequest, RecordedConsent
from activities.batch_messages import BatchRequest, ChunkRequest
from activities.decisions import DecisionRequest
from activities.messages import DepositRequest, EntryRequest, NotificationRequest, TransferRequest, UndoRequest
from activities.payouts import ReturnRequest
from activities.terms import CaptureRequest, DebitOnTerms
from ledger.book import Ledger
from ledger.failpoints import passing, passing_blocking
from ledger.operation import MarkDelivered, Operation, Request, Settle
from ledger.writer import BeforeCommit, Work, Writer

T = TypeVar("T")
TASK = timedelta(seconds=3)
"""How long a workflow task may take: longer than a stall that the SDK takes for a deadlock."""
_STATEMENT = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|BEGIN|CREATE|WITH)\b(?:.*?\b(?:FROM|INTO|UPDATE)\s+([a-z_]+))?", re.DOTALL
)
_UPDATE = re.compile(r"\s*UPDATE\s+([a-z_]+)")


class KeyedWriter:
    """The ledger's writer, which remembers for whom the transaction is that runs now. There is one at a time."""

    def __init__(self, next: Writer) -> None:
        self._next = next
        self.sync_engine = next.sync_engine
        self.keys: list[str] = []

    async def transaction(self, work: Work[T], before_commit: BeforeCommit) -> T:
        """See Writer."""
        requests = work.args[0] if isinstance(work, functools.partial) else ()
        self.keys = [key_of(request) for request in requests]
        return await self._next.transaction(work, before_commit)

    async def aclose(self) -> None:
        """See Writer."""
        await self._next.aclose()


def instrument(ledger: Ledger) -> None:
    """Make every statement of the ledger's writing transactions, and their begin and end, a site."""
    writer = KeyedWriter(ledger.writer)
    ledger.writer = writer
    engine = writer.sync_engine

    def pass_(site: str) -> None:
        in_loop = threading.current_thread() is threading.main_thread()
        if in_loop and _task_name() != "ledger group commit":
            return  # PostgreSQL's readers are on the same engine
        # On PostgreSQL this runs in a greenlet of the event loop, which a plain sleep would stop for everybody.
        sleep = (lambda seconds: await_only(asyncio.sleep(seconds))) if in_loop else _sleep
        passing_blocking(site, writer.keys, sleep)

    def before(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        pass_(f"sql.before.{_name(statement)}")

    def after(_c: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        pass_(f"sql.after.{_name(statement)}")

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    for name in ("begin", "commit", "rollback"):
        event.listen(engine, name, functools.partial(_on_event, pass_, name))
    commit = engine.dialect.do_commit

    def do_commit(connection: Any) -> None:
        commit(connection)
        pass_("sql.after_commit")

    setattr(engine.dialect, "do_commit", do_commit)  # noqa: B010  # there is no event after a commit


def _on_event(pass_: Any, name: str, _connection: Any) -> None:
    pass_(f"sql.{name}")


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


def _task_name() -> str | None:
    task = asyncio.current_task()
    return task.get_name() if task else None


def _name(statement: str) -> str:
    """A statement's verb and table, such as `insert.postings`."""
    if update := _UPDATE.match(statement):
        return f"update.{update[1]}"
    match = _STATEMENT.match(statement)
    assert match is not None, statement
    return ".".join(part.lower() for part in match.groups() if part)


def key_of(request: Request) -> str:
    """For whom a request to the ledger is: its key, or the account that it sets."""
    match request:
        case Operation():
            return request.key
        case MarkDelivered():
            return request.notification_keys[0]
        case Settle():
            return f"{request.transfer.id}/settle"
        case _:
            return f"account/{request.account_id}"


def key_of_message(activity: str, message: Any) -> str:
    """The same, of what an activity is asked."""
    match message:
        case TransferRequest() | DepositRequest():
            id = message.transfer_id if isinstance(message, TransferRequest) else message.deposit_id
            return f"{id}/{activity}"
        case UndoRequest() | DebitOnTerms() | CaptureRequest():
            return f"{message.transfer.transfer_id}/{activity}"
        case ReturnRequest():
            return f"{message.reversal_id}/{activity}"
        case AwaitedRequest():
            return f"{message.operation().intent.owner}/{activity}"
        case RecordedConsent():
            return message.as_approval().key
        case DecisionRequest():
            return f"{message.payout.transfer_id}/decision"
        case EntryRequest():
            return f"{message.id}/{message.kind}"
        case NotificationRequest():
            return message.key
        case BatchRequest():
            return f"{message.batch_id}/{activity}"
        case ChunkRequest():
            return f"{message.batch_id}/{activity}/{message.lines[0]}"
        case _:
            return f"account/{message.account_id}"


class ActivityBoundaries(temporalio.worker.Interceptor):
    """The moments before and after each activity, as the worker's interceptors see them."""

    def __init__(self) -> None:
        self.asked_again: set[str] = set()
        """Of which keys a second attempt has come."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _ActivityBoundary(next, self)


class _ActivityBoundary(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, boundaries: ActivityBoundaries) -> None:
        super().__init__(next)
        self._boundaries = boundaries

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        key = key_of_message(input.fn.__name__, input.args[0])
        if activity.info().attempt > 1:
            self._boundaries.asked_again.add(key)
        await passing("activity.before_execute", [key])
        result = await super().execute_activity(input)
        await passing("activity.after_execute", [key])
        return result


class WorkflowBoundaries(UnsandboxedWorkflowRunner):
    """The worker's own way of running workflows, with the moments before and after each activation."""

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See the SDK."""
        instance = super().create_instance(det)
        activate, key = instance.activate, [det.info.workflow_id]

        def watched(activation: Any) -> Any:
            passing_blocking("workflow.before_activation", key, _sleep)
            completion = activate(activation)
            passing_blocking("workflow.after_activation", key, _sleep)
            return completion

        setattr(instance, "activate", watched)  # noqa: B010  # the SDK has no interceptor for it
        return instance


class ShortTasks(temporalio.client.Interceptor):
    """A workflow task that died with its worker is given to another after some seconds, and not after ten."""

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:
        """See the SDK."""
        return _ShortTasks(next)


class _ShortTasks(temporalio.client.OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> temporalio.client.WorkflowHandle[Any, Any]:
        input.task_timeout = TASK
        return await super().start_workflow(input)


class ClientBoundaries(temporalio.client.Interceptor):
    """The moments before and after each call of a caller."""

    def intercept_client(self, next: temporalio.client.OutboundInterceptor) -> temporalio.client.OutboundInterceptor:
        """See the SDK."""
        return _ClientBoundary(next)


class _ClientBoundary(temporalio.client.OutboundInterceptor):
    async def start_workflow(self, input: StartWorkflowInput) -> temporalio.client.WorkflowHandle[Any, Any]:
        await passing("client.before_start_workflow", [input.id])
        handle = await super().start_workflow(input)
        await passing("client.after_start_workflow", [input.id])
        return handle

    async def describe_workflow(self, input: DescribeWorkflowInput) -> temporalio.client.WorkflowExecutionDescription:
        await passing("client.before_describe_workflow", [input.id])
        description = await super().describe_workflow(input)
        await passing("client.after_describe_workflow", [input.id])
        return description

    async def start_workflow_update(
        self, input: StartWorkflowUpdateInput
    ) -> temporalio.client.WorkflowUpdateHandle[Any]:
        await passing("client.before_update_workflow", [input.id])
        handle = await super().start_workflow_update(input)
        await passing("client.after_update_workflow", [input.id])
        return handle

    async def create_schedule(self, input: CreateScheduleInput) -> ScheduleHandle:
        await passing("client.before_create_schedule", [input.id])
        handle = await super().create_schedule(input)
        await passing("client.after_create_schedule", [input.id])
        return handle

    async def backfill_schedule(self, input: BackfillScheduleInput) -> None:
        await passing("client.before_backfill_schedule", [input.id])
        await super().backfill_schedule(input)
        await passing("client.after_backfill_schedule", [input.id])

    async def cancel_workflow(self, input: CancelWorkflowInput) -> None:
        await passing("client.before_cancel_workflow", [input.id])
        await super().cancel_workflow(input)
        await passing("client.after_cancel_workflow", [input.id])
