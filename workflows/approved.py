"""Approved: a transfer that waits for people, and is then a transfer like any other.

    enough approvals in the books        as `Transfer` (or `ScheduledTransfer`) ends
    deny, or nobody in time              cancelled: the debit is fenced (reason `denied`, `approval_expired`)
    a cancel while it waits              cancelled, like any before the debit

Who has approved is in the books, and counts there: the debit asks them again, whatever is believed here.
"""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.approvals import ApprovalActivities, ApprovalRequest, Consent, Denial, RecordedConsent, Standing
    from activities.messages import ScheduledRequest, TransferOutcome
    from ledger.keys import approval_key
    from ledger.transfer import Status
    from workflows.asking import Asking
    from workflows.legs import Legs
    from workflows.scheduled import ScheduledTransfer
    from workflows.search_attributes import TRANSFER_STATUS
    from workflows.transfer import Transfer

DENIED, EXPIRED = "denied", "approval_expired"
"""The reasons of a transfer that ended because of people."""

REFUSED = "ApprovalRefused"
"""The type, in Temporal's sense, of the refusal of an update: nothing was done."""


@workflow.defn
class ApprovedTransfer:
    """One transfer, not before enough people agree to it. The workflow id is `transfer/<transfer id>`."""

    _request: ApprovalRequest

    def __init__(self) -> None:
        self._asking = Asking()
        self._begun = False
        self._approvers: set[str] = set()
        self._missing: int | None = None  # not asked yet
        self._recording = 0
        self._denial: Denial | None = None
        self._over: str | None = None
        self._outcome: TransferOutcome | None = None

    @workflow.run
    async def run(self, request: ApprovalRequest) -> TransferOutcome:
        """Wait for people, then be a `Transfer`. One that the books know already waits for nobody."""
        self._request, self._begun = request, True
        against, approved = await self._wait(), request.as_approved()
        if against is not None:
            self._outcome = await Legs(request.as_plain()).never(*against)
        elif isinstance(approved, ScheduledRequest):
            self._outcome = await ScheduledTransfer().run(approved)
        else:
            self._outcome = await Transfer().run(approved)
        while not workflow.all_handlers_finished():  # it has ended, and whoever asks is still to be told
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(workflow.all_handlers_finished)
        return self._outcome

    @workflow.update
    async def approve(self, consent: Consent) -> Standing:
        """Record an approval; the same person's counts once. Answers who has approved by now."""
        await workflow.wait_condition(lambda: self._begun)  # it may come with the very first task
        self._may_be_given(consent)
        self._recording += 1
        question = RecordedConsent(request=self._request, approver=consent.approver)
        key = approval_key(self._request.transfer_id, consent.approver)
        standing = await self._asking.until_answered(ApprovalActivities.approve, question, key)
        self._asking.answered()
        self._recording -= 1
        self._note(standing)
        return standing

    @approve.validator
    def _may_approve(self, consent: Consent) -> None:
        if self._begun:
            self._may_be_given(consent)

    def _may_be_given(self, consent: Consent) -> None:
        if objection := self._request.objection_to(consent):
            raise _refused(objection)
        if consent.approver not in self._approvers:
            self._must_wait(consent.approver)

    @workflow.update
    async def deny(self, denial: Denial) -> TransferOutcome:
        """End it, if it still waits. Answers how it ended."""
        self._denial = self._denial or denial
        await workflow.wait_condition(lambda: self._outcome is not None)
        assert self._outcome is not None
        return self._outcome

    @deny.validator
    def _may_deny(self, denial: Denial) -> None:
        self._must_wait(denial.approver)

    def _must_wait(self, who: str) -> None:
        if over := self._over or (self._denial and f"{self._denial.approver} has denied it"):
            raise _refused(f"{who} comes too late: {over}")

    async def _wait(self) -> tuple[str, str] | None:
        """Until it is approved (None), or known why it never will be: the reason and a detail. None if cancelled."""
        key = approval_key(self._request.transfer_id, "")
        standing = await self._asking.unless_cancelled(ApprovalActivities.standing, self._request, key)
        if standing is None:
            return None
        self._asking.answered()
        self._note(standing)
        if not self._missing:
            return None
        workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(Status.AWAITING_APPROVAL)])
        against = await self._for_people()
        workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(Status.ACCEPTED)])
        return against

    async def _for_people(self) -> tuple[str, str] | None:
        seconds = self._request.expires_at / 1_000_000 - workflow.now().timestamp()
        try:
            with suppress(asyncio.TimeoutError):
                await workflow.wait_condition(self._is_decided, timeout=max(seconds, 0), timeout_summary="for approval")
            if not self._is_decided():
                self._over = "the time for it is over"
                await workflow.wait_condition(lambda: self._recording == 0)  # what was given in time counts
        except asyncio.CancelledError:
            self._over = "it was cancelled"
            return None
        if self._denial is not None:
            return DENIED, f"denied by {self._denial.approver}: {self._denial.reason}"
        return (EXPIRED, f"{self._missing} approvals are missing") if self._missing else None

    def _is_decided(self) -> bool:
        return not self._missing or self._denial is not None

    def _note(self, standing: Standing) -> None:
        """Two approvals may be answered in another order than they were recorded: who has approved has approved."""
        self._approvers |= set(standing.approvers)
        self._missing = standing.model_copy(update={"approvers": tuple(self._approvers)}).missing
        if not self._missing and self._over is None:
            self._over = "it has all approvals that it needs"
        workflow.set_current_details(self._request.said_of(self._approvers, self._missing))


def _refused(text: str) -> ApplicationError:
    return ApplicationError(text, type=REFUSED, non_retryable=True)
