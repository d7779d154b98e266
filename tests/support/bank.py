"""A bank for tests: a real ledger, a real Temporal server and a worker in this process, with gates to hold it at.

The server is shared by all tests; every bank has a task queue and a prefix of ids of its own, so that tests do not
see each other. The workflow sandbox is on, and an import that it was not told of is an error.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, ScheduleBackfill, ScheduleOverlapPolicy, WorkflowHistory
from temporalio.service import RPCError
from temporalio.worker import Interceptor
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy

from activities import slots
from activities.messages import (
    EntryRequest,
    LegOutcome,
    SweepRequest,
    SweepSummary,
    TransferOutcome,
    TransferRequest,
)
from activities.recurring import RecurringOrder
from activities.terms import PayoutRequest
from engine import sweeping
from engine.plugin import WorkerPlugin
from engine.recurring import RecurringTransfers
from engine.submitting import Submitted, Submitter, workflow_id
from engine.worker import all_activities, make_worker
from ledger.book import Ledger
from ledger.entries import Entry, Share, Split
from ledger.transfer import Status
from tests.support import examples
from tests.support.gates import Gates
from tests.support.rail import RememberingRail
from tests.support.receiver import RememberingNotifier

PATIENCE = 60.0
"""How long a test waits for an outcome, in seconds, before it fails. No test is about speed."""


DAYS = [datetime(2026, 3, day, 9, tzinfo=UTC) for day in (1, 2, 3)]
"""Three nominal times, long over, of every bank's `order`."""


def sandbox() -> SandboxedWorkflowRunner:
    """The workflow sandbox, raising for imports it was not told of."""
    policy = (
        SandboxImportNotificationPolicy.WARN_ON_DYNAMIC_IMPORT
        | SandboxImportNotificationPolicy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH
    )
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_import_notification_policy(policy))


@dataclass
class Bank:
    """The parts of a running bank, and the few things that tests say to it."""

    ledger: Ledger
    client: Client
    task_queue: str = field(default_factory=lambda: f"queue-{uuid.uuid4().hex[:8]}")
    gates: Gates = field(default_factory=Gates)
    notifier: RememberingNotifier = field(default_factory=RememberingNotifier)
    rail: RememberingRail = field(default_factory=RememberingRail)

    @property
    def submitter(self) -> Submitter:
        """What callers submit with."""
        return Submitter(self.client, self.task_queue)

    def request(
        self, name: str = "T1", source: str = "alice", destination: str = "bob", amount_minor: int = 25_00
    ) -> TransferRequest:
        """A request of this bank's own; by default 25.00 USD from Alice to Bob."""
        return TransferRequest(
            transfer_id=f"{self.task_queue}.{name}",
            source=source,
            destination=destination,
            amount_minor=amount_minor,
            currency="USD",
        )

    def payout(self, name: str = "P1", beneficiary: str = "acct-1", amount_minor: int = 25_00) -> PayoutRequest:
        """A payout of this bank's own; by default 25.00 USD of Alice's, over the rail that is called `bank`."""
        return PayoutRequest(
            transfer_id=f"{self.task_queue}.{name}",
            source="alice",
            destination="bank:USD",
            amount_minor=amount_minor,
            currency="USD",
            rail=self.rail.name,
            beneficiary=beneficiary,
        )

    def split(self, name: str = "S1", bob: int = 20_00, carol: int = 5_00) -> Split:
        """A split of this bank's own; by default 20.00 USD from Alice to Bob and 5.00 to Carol."""
        return Split(f"{self.task_queue}.{name}", "alice", "USD", (Share("bob", bob), Share("carol", carol)))

    def order(self, name: str = "R1", amount_minor: int = 10_00) -> RecurringOrder:
        """A recurring transfer of this bank's own, on each of `DAYS`; by default 10.00 USD from Alice to Bob."""
        return RecurringOrder(
            recurring_id=f"{self.task_queue}.{name}",
            source="alice",
            destination="bob",
            amount_minor=amount_minor,
            currency="USD",
            cron="0 9 1-3 * *",
        )

    @property
    def recurring(self) -> RecurringTransfers:
        """What callers make recurring transfers with."""
        return RecurringTransfers(self.client, self.task_queue)

    async def backfill(self, order: RecurringOrder, first: datetime, last: datetime) -> None:
        """Have Temporal start the occurrences of a period, both ends included, as the Web UI does."""
        handle = self.client.get_schedule_handle(f"recurring/{order.recurring_id}")
        await handle.backfill(ScheduleBackfill(start_at=first, end_at=last, overlap=ScheduleOverlapPolicy.ALLOW_ALL))

    async def started(self, order: RecurringOrder, times: int) -> list[str]:
        """Wait until a schedule has started so many occurrences; their workflow ids."""
        async with asyncio.timeout(PATIENCE):
            while True:
                there = await self.recurring.find(order.recurring_id)
                if there is not None and len(there.recent) >= times:
                    return [id for _, id in there.recent]
                await asyncio.sleep(0.1)

    async def ended(self, workflow_id: str) -> str | None:
        """Wait until an occurrence is there and has ended; why it was not paid, if it was not."""
        handle = self.client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(PATIENCE):
            while True:
                with suppress(RPCError):
                    if (await handle.describe()).close_time is not None:
                        return await self.recurring.failure(workflow_id)
                await asyncio.sleep(0.1)

    async def enter(self, entry: Entry) -> LegOutcome:
        """Submit an entry and wait for its outcome, as the starter does."""
        submitted = await self.submitter.enter(EntryRequest.of(entry))
        return await self.submitter.outcome(submitted, LegOutcome, PATIENCE)

    async def start(self, request: TransferRequest) -> Submitted:
        """Submit a request without waiting for its outcome."""
        return await self.submitter.transfer(request)

    async def outcome(self, submitted: Submitted) -> TransferOutcome:
        """Wait for an outcome."""
        return await self.submitter.outcome(submitted, TransferOutcome, PATIENCE)

    async def transfer(self, request: TransferRequest) -> TransferOutcome:
        """Submit a request and wait for its outcome, as the starter does."""
        return await self.outcome(await self.start(request))

    async def cancel(self, request: TransferRequest, reason: str = "changed my mind") -> None:
        """Ask for a transfer to be cancelled."""
        await self.submitter.cancel(request.transfer_id, reason)

    async def terminate(self, request: TransferRequest) -> None:
        """Terminate a transfer's running workflow, which skips all cleanup."""
        await self.client.get_workflow_handle(workflow_id(request.transfer_id)).terminate("an operator's mistake")

    async def sweep(self, older_than_seconds: float = 0) -> SweepSummary:
        """Sweep, as the starter does."""
        request = SweepRequest(older_than_seconds=older_than_seconds)
        return await sweeping.sweep(self.client, request, PATIENCE, self.task_queue)

    async def reset(self, request: TransferRequest) -> Submitted:
        """Reset a transfer's workflow to its first task: Temporal forgets everything it did."""
        return await self.reset_workflow(workflow_id(request.transfer_id))

    async def reset_workflow(self, id: str) -> Submitted:
        """The same, of any workflow."""
        history = await self.client.get_workflow_handle(id).fetch_history()
        first_task = next(
            event.event_id for event in history.events if event.HasField("workflow_task_started_event_attributes")
        )
        answer = await self.client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=id),
                reason="a test",
                request_id=uuid.uuid4().hex,
                workflow_task_finish_event_id=first_task + 1,
            )
        )
        return Submitted(id, answer.run_id)

    async def history(self, told: str) -> WorkflowHistory:
        """The history of a workflow id, or of one of its runs: `transfer/T1#run`."""
        id, _, run_id = told.partition("#")
        return await self.client.get_workflow_handle(id, run_id=run_id or None).fetch_history()

    async def forget(self, request: TransferRequest) -> None:
        """Delete a transfer's workflow, as retention does, and wait until Temporal knows nothing of it."""
        id = workflow_id(request.transfer_id)
        await self.client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace, workflow_execution=WorkflowExecution(workflow_id=id)
            )
        )
        while await self.submitter.find(request.transfer_id) is not None:
            await asyncio.sleep(0.05)

    async def reaches(self, request: TransferRequest, status: Status) -> None:
        """Wait until the books say this about a transfer."""
        async with asyncio.timeout(PATIENCE):
            while await self.status(request) is not status:
                await asyncio.sleep(0.02)

    async def attempted(self, activity_name: str, times: int) -> None:
        """Wait until an activity has been attempted so many times."""
        while self.gates.attempts.get(activity_name, 0) < times:
            await asyncio.sleep(0.02)

    async def balances(self, *account_ids: str) -> list[int]:
        """The balances of several accounts, in minor units; of Alice, Bob and transit unless others are named."""
        return await examples.balances(self.ledger, *(account_ids or ("alice", "bob", "transit:USD")))

    async def status(self, request: TransferRequest) -> Status | None:
        """Where the books say a transfer is."""
        return await examples.status(self.ledger, request.transfer_id)

    @asynccontextmanager
    async def working(
        self,
        max_cached_workflows: int = 1000,
        activity_slots: int = slots.ACTIVITIES,
        interceptors: Sequence[Interceptor] = (),
    ) -> AsyncIterator[None]:
        """Run a worker for this bank."""
        activities = all_activities(self.ledger, self.notifier, activity_slots, {self.rail.name: self.rail})
        client = Client(**(self.client.config() | {"plugins": [WorkerPlugin(activities, sandbox())]}))
        async with make_worker(
            client, self.task_queue, [self.gates, *interceptors], max_cached_workflows, activity_slots
        ):
            yield
