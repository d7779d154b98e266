"""Submitting: how callers start, follow and cancel transfers, so that asking again is always safe.

    start     unknown to Temporal            started        the ledger knows whether it has happened before
              running, same content          attached       wait for its outcome
              closed, same content           replayed       its outcome
              other content                  key_reused     nothing is done
              closed without an outcome      started again  (terminated by an operator: the keys make it safe)

The first of these takes one call: it fails if anything is there, and only then is that looked at. Temporal's answer
is a cache in front of the ledger's: after its retention the ledger alone remembers.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.approvals import AwaitedRequest
from activities.batch_messages import BatchOutcome
from activities.messages import (
    AccountChange,
    AccountOpening,
    DepositRequest,
    EntryRequest,
    LegOutcome,
    TransferOutcome,
    TransferRequest,
)
from engine.entry_ids import entry_workflow_id
from engine.results import Unanswered, has_no_such_workflow, result_of
from engine.settings import TASK_QUEUE
from ledger.failpoints import passing
from ledger.fingerprint import CURRENT, Content, Fingerprint
from ledger.money import say
from ledger.transfer import Status
from workflows.search_attributes import (
    AMOUNT_MINOR,
    CURRENCY,
    DESTINATION_ACCOUNT,
    HELD,
    NEEDS_ATTENTION,
    SOURCE_ACCOUNT,
    TRANSFER_STATUS,
)

Ended = TypeVar("Ended", TransferOutcome, LegOutcome, BatchOutcome)
SUMMARY_LENGTH = 200
"""What an operator reads of an entry at a glance, in characters; Temporal keeps summaries to 400 bytes."""

_FINGERPRINT, _RECIPE = "fingerprint", "fingerprint_recipe"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A request that Temporal has: `replayed` if it had ended before, `differences` if the id had other content.

    As long as that one is `running`, it is not certain that the id is its: see `claiming.py`. `is_scheduled` if it
    waits until it is due, `is_held` if its money waits for a decision, `awaits_approval` if it waits for people,
    who are shown what is `asked`, a canonical text.
    """

    workflow_id: str
    run_id: str | None
    replayed: bool = False
    differences: tuple[str, ...] = ()
    running: bool = False
    is_scheduled: bool = False
    is_held: bool = False
    awaits_approval: bool = False
    asked: str | None = None


class Submitter:
    """Submits requests to a Temporal cluster. Every method may be called again with the same arguments."""

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self.client = client
        self.task_queue = task_queue

    async def transfer(self, request: TransferRequest, awaited: AwaitedRequest | None = None) -> Submitted:
        """Start a transfer, or find it; as `awaited`, not before people agree. Raises Unanswered."""
        amount, first = say(request.amount_minor, request.currency), awaited or request
        return await self.submit(
            first.workflow,
            workflow_id(request.transfer_id),
            first,
            request.content(),
            request.recipe,
            static_summary=f"{amount} from {request.source} to {request.destination}",
            static_details="Moves the money once or not at all, however often it is asked.",
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(TRANSFER_STATUS, Status.ACCEPTED.value),
                    SearchAttributePair(CURRENCY, request.currency),
                    SearchAttributePair(SOURCE_ACCOUNT, request.source),
                    SearchAttributePair(DESTINATION_ACCOUNT, request.destination),
                    SearchAttributePair(AMOUNT_MINOR, request.amount_minor),
                    SearchAttributePair(NEEDS_ATTENTION, False),
                ]
            ),
        )

    async def deposit(self, request: DepositRequest) -> Submitted:
        """Start a deposit, or find it."""
        content = request.as_operation().content
        summary = f"{say(request.amount_minor, request.currency)} into {request.account_id}"
        return await self.submit("Deposit", f"deposit/{request.deposit_id}", request, content, static_summary=summary)

    async def enter(self, request: EntryRequest, awaited: AwaitedRequest | None = None) -> Submitted:
        """Start an entry (a split, an exchange, a reversal, a target balance), or find it. As `transfer`."""
        entry, content, first = request.as_entry(), request.content, awaited or request
        summary = ", ".join(f"{name} {value}" for name, value in content.items())[:SUMMARY_LENGTH]
        id = entry_workflow_id(entry.key)
        return await self.submit(first.workflow, id, first, content, entry.recipe, static_summary=summary)

    async def open_account(self, request: AccountOpening, timeout_seconds: float) -> LegOutcome:
        """Make sure that an account exists, and wait for the answer."""
        id = f"account/{request.account_id}/open/{request.currency}"
        return await self.set("Opening", id, request, timeout_seconds)

    async def set_account(self, request: AccountChange, timeout_seconds: float) -> LegOutcome:
        """Make sure that an account has a status, and wait for the answer."""
        at = "any" if request.expected_version is None else request.expected_version
        id = f"account/{request.account_id}/{request.status}/{at}"
        return await self.set("ChangeOfAccount", id, request, timeout_seconds)

    async def outcome(self, submitted: Submitted, outcome_type: type[Ended], timeout_seconds: float) -> Ended:
        """Wait for the outcome of a transfer or a deposit.

        Raises KeyReused when the ledger knows the id with other content, Unanswered when the time is over first.
        """
        # Of other content, this very run is meant; of our own, also the one after a reset.
        run_id = submitted.run_id if submitted.differences else None
        handle = self.client.get_workflow_handle(submitted.workflow_id, run_id=run_id, result_type=outcome_type)
        outcome: Ended = await result_of(handle, timeout_seconds)
        return outcome.model_copy(update={"replayed": outcome.replayed or submitted.replayed})

    async def find(self, transfer_id: str) -> Submitted | None:
        """The transfer's workflow as Temporal knows it; None if it does not (any more)."""
        return await self.find_workflow(workflow_id(transfer_id))

    async def find_workflow(self, id: str) -> Submitted | None:
        """The same of any workflow."""
        try:
            description = await self.client.get_workflow_handle(id).describe()
        except RPCError as error:
            if has_no_such_workflow(error):
                return None
            raise Unanswered(f"Temporal did not answer: {error}") from error
        closed = description.status is not WorkflowExecutionStatus.RUNNING
        status = description.typed_search_attributes.get(TRANSFER_STATUS)
        awaits_approval = not closed and status == Status.AWAITING_APPROVAL
        return Submitted(
            id,
            description.run_id,
            closed,
            is_scheduled=status == Status.SCHEDULED,
            is_held=status == HELD,
            awaits_approval=awaits_approval,
            asked=(await description.memo()).get(_FINGERPRINT) if awaits_approval else None,
        )

    async def cancel(self, transfer_id: str, reason: str) -> None:
        """Ask for a transfer to be cancelled; its outcome tells whether that came in time. No error if it has ended."""
        await self.cancel_workflow(workflow_id(transfer_id), reason)

    async def cancel_workflow(self, id: str, reason: str) -> None:
        """The same of any workflow."""
        handle = self.client.get_workflow_handle(id)
        try:
            await handle.cancel(reason=reason)
        except RPCError as error:
            if not has_no_such_workflow(error):
                raise Unanswered(f"Temporal did not answer: {error}") from error

    async def set(self, workflow: str, id: str, request: BaseModel, timeout_seconds: float) -> LegOutcome:
        """Run a setting. The id names its whole content, so that whoever runs it at the same time asks the same."""
        try:
            handle = await self.client.start_workflow(
                workflow,
                request,
                id=id,
                task_queue=self.task_queue,
                result_type=LegOutcome,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            )
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        return await result_of(handle, timeout_seconds)

    async def submit(
        self, workflow: str, id: str, request: BaseModel, content: Content, recipe: str = CURRENT, **options: Any
    ) -> Submitted:
        """Start a workflow whose id belongs to this content, or find it."""
        fingerprint = Fingerprint.of(content, recipe)
        memo = {_FINGERPRINT: fingerprint.text, _RECIPE: fingerprint.recipe}
        await passing("starter.before_start", [id])
        start = partial(self._start, workflow, id, request, memo=memo, **options)
        run_id = await start(conflict=WorkflowIDConflictPolicy.FAIL, reuse=WorkflowIDReusePolicy.REJECT_DUPLICATE)
        ours = None if run_id is None else Submitted(id, run_id, running=True)
        found = ours or await self._attach(start, id, content, recipe)
        await passing("starter.after_start", [id])
        return found

    async def _attach(
        self, start: Callable[..., Awaitable[str | None]], id: str, content: Content, recipe: str
    ) -> Submitted:
        """Find what was in the way of starting it, or start it all the same."""
        # The second policy is for a workflow that closed without an outcome: the keys make another run safe.
        for policy in (WorkflowIDReusePolicy.REJECT_DUPLICATE, WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY):
            started = await start(conflict=WorkflowIDConflictPolicy.USE_EXISTING, reuse=policy) is not None
            if (found := await self._look(id, content, recipe, started)) is not None:
                return found
        raise Unanswered(f"{id} was closed without an outcome while it was looked at")

    async def _start(
        self,
        workflow: str,
        id: str,
        request: BaseModel,
        conflict: WorkflowIDConflictPolicy,
        reuse: WorkflowIDReusePolicy,
        **options: Any,
    ) -> str | None:
        """Start it, or attach to the running one if `conflict` lets it: the run id. None if one is in the way."""
        try:
            handle = await self.client.start_workflow(
                workflow,
                request,
                id=id,
                task_queue=self.task_queue,
                id_conflict_policy=conflict,
                id_reuse_policy=reuse,
                **options,
            )
        except WorkflowAlreadyStartedError:
            return None
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        return handle.result_run_id

    async def _look(self, id: str, content: Content, recipe: str, started: bool) -> Submitted | None:
        """What is there under an id. None if it closed without an outcome, and may be run again."""
        try:
            there = await self.client.get_workflow_handle(id).describe()
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        memo = await there.memo()
        differences: list[str] = []
        if _FINGERPRINT in memo:
            differences = Fingerprint(memo[_FINGERPRINT], memo[_RECIPE]).differences(content, recipe)
        if there.status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
            replayed = not started and not differences
            running = there.status is WorkflowExecutionStatus.RUNNING
            return Submitted(id, there.run_id, replayed, tuple(differences), running)
        # It closed without an outcome. What somebody else asked under this id and did not get is nothing to us.
        return Submitted(id, there.run_id) if started and not differences else None


def workflow_id(transfer_id: str) -> str:
    """The workflow id of a transfer: `transfer/<transfer id>`."""
    return f"transfer/{transfer_id}"
