"""Approved: what waits for people (`waiting.py`), and is then what it would have been without them.

    a transfer       goes on as a `Transfer` or a `ScheduledTransfer`, in the same run
    all the others   continue as a new `Hold`, `Payout` or `Entry`, which know nothing of approvals

What never happens is fenced here: its debit, or the entry.
"""

from typing import NoReturn

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities, ApprovalRequest, AwaitedRequest
    from activities.messages import EntryRequest, LegOutcome, ScheduledRequest, TransferOutcome
    from activities.terms import PayoutRequest
    from ledger.transfer import Status
    from workflows.entry import Entry
    from workflows.legs import CANCELLED, GiveBack, Legs, Verdict
    from workflows.payout import recalled
    from workflows.scheduled import ScheduledTransfer
    from workflows.search_attributes import TRANSFER_STATUS
    from workflows.transfer import Transfer
    from workflows.waiting import Waiting

_TAKEN = "its money was taken already"
"""Why somebody comes too late."""


@workflow.defn
class ApprovedTransfer(Waiting):
    """One transfer, not before enough people agree to it. The workflow id is `transfer/<transfer id>`."""

    @workflow.run
    async def run(self, request: ApprovalRequest) -> TransferOutcome:
        """Wait for people, then be a `Transfer`. One that the books know already waits for nobody."""
        self._request, self._begun = request, True
        accepted = TRANSFER_STATUS.value_set(Status.ACCEPTED)
        against, approved = await self._wait(ApprovalActivities.standing, accepted), request.as_approved()
        if against is not None:
            outcome = await Legs(request.as_plain()).never(*against)
        elif isinstance(approved, ScheduledRequest):
            outcome = await ScheduledTransfer().run(approved)
        else:
            outcome = await Transfer().run(approved)
        self._outcome = outcome
        await self._all_told()
        return outcome


@workflow.defn
class Approved(Waiting):
    """One request of another kind, not before enough people agree to it. The workflow id is that of its kind."""

    _request: AwaitedRequest

    @workflow.run
    async def run(self, request: AwaitedRequest) -> TransferOutcome | LegOutcome:
        """Wait for people, then continue as what it is. Returns how it ended if it never happens."""
        self._request, self._begun = request, True
        is_entry = isinstance(request.asked, EntryRequest)  # and no transfer, so that it has no such status
        afterwards = TRANSFER_STATUS.value_unset() if is_entry else TRANSFER_STATUS.value_set(Status.ACCEPTED)
        against = await self._wait(ApprovalActivities.standing_of_any, afterwards)
        if against is None and not _cancelled():
            self._goes_on = True
            await self._all_told()
        if against is None and not _cancelled():
            self._go_on()
        outcome = await self._never(*(against or (CANCELLED, workflow.cancellation_reason())))
        self._outcome = outcome
        await self._all_told()
        return outcome

    async def _never(self, reason: str, detail: str | None) -> TransferOutcome | LegOutcome:
        asked = self._request.asked
        if isinstance(asked, EntryRequest):
            return await Entry().withdrawn(asked, reason, detail)
        return await Legs(asked, self._is_debited, cancels_itself=True).never(reason, detail)

    async def _is_debited(self) -> Verdict:
        """The books were ahead of whoever said no: what becomes of its money is for its own kind to say, but for a
        cancel. Of that a new run would not know, and it means here what it means there.
        """
        if not _cancelled():
            self._over, self._goes_on = _TAKEN, True
            await self._all_told()
        reason = workflow.cancellation_reason()
        if reason is None or not await self._is_in_time(reason):
            self._over, self._goes_on = _TAKEN, True
            await self._all_told()
            self._go_on()
        return GiveBack(CANCELLED, reason)

    async def _is_in_time(self, reason: str) -> bool:
        """Whether a cancel can still give the money back: of a payout, unless the rail may have been asked."""
        if not isinstance(self._request.asked, PayoutRequest):
            return True
        in_time = await recalled(self._asking, self._request.asked, reason)
        self._asking.answered()
        return in_time

    def _go_on(self) -> NoReturn:
        """With the same content, and so with the same memo. A new run has a history of its own."""
        workflow.continue_as_new(args=[self._request.asked], workflow=self._request.asked.workflow)


def _cancelled() -> bool:
    """See `legs.py`: a cancel may not be raised; and a new run would not know of one."""
    return workflow.cancellation_reason() is not None
