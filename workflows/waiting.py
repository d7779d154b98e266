"""Waiting: what every workflow has in common that waits for people before its money is touched.

    enough approvals in the books        it goes on
    deny, or nobody in time              it never happens (reason `denied`, `approval_expired`)
    a cancel while it waits              the same (`cancelled`)

Who has approved is in the books, and counts there: what takes the money asks them again, whatever is believed here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.approvals import (
        ApprovalActivities,
        ApprovalRequest,
        AwaitedRequest,
        Consent,
        Denial,
        RecordedConsent,
        Standing,
    )
    from activities.messages import LegOutcome, TransferOutcome
    from ledger.keys import approval_key
    from ledger.transfer import Status
    from workflows.asking import Asking
    from workflows.search_attributes import TRANSFER_STATUS

DENIED, EXPIRED = "denied", "approval_expired"
"""The reasons of what ended because of people."""

REFUSED = "ApprovalRefused"
"""The type, in Temporal's sense, of the refusal of an update: nothing was done."""

_PATCH = "a cancel during the look is heard"
"""Of a history in which such a cancel was lost: it waited for people. One without has the same commands either way."""

Look = Callable[[Any, Any], Awaitable[Standing]]


class Waiting:
    """What waits, and the updates by which people speak. Its end is for the workflow to say: `_outcome`."""

    _request: ApprovalRequest | AwaitedRequest

    def __init__(self) -> None:
        self._asking = Asking()
        self._begun = False
        self._goes_on = False
        self._approvers: set[str] = set()
        self._missing: int | None = None  # not asked yet
        self._recording = 0
        self._denial: Denial | None = None
        self._over: str | None = None
        self._outcome: TransferOutcome | LegOutcome | None = None

    @workflow.update
    async def approve(self, consent: Consent) -> Standing:
        """Record an approval; the same person's counts once. Answers who has approved by now."""
        await workflow.wait_condition(lambda: self._begun)  # it may come with the very first task
        self._may_be_given(consent)
        self._recording += 1
        question = RecordedConsent(request=self._request, approver=consent.approver)
        standing = await self._asking.until_answered(ApprovalActivities.approve, question, question.as_approval().key)
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
            raise refused(objection)
        if consent.approver not in self._approvers:
            self._must_wait(consent.approver)

    @workflow.update
    async def deny(self, denial: Denial) -> TransferOutcome | LegOutcome:
        """End it, if it still waits. Answers how it ended."""
        self._denial = self._denial or denial
        await workflow.wait_condition(lambda: self._outcome is not None or self._goes_on)
        if self._outcome is None:
            raise refused(f"{denial.approver} comes too late: {self._over}")
        return self._outcome

    @deny.validator
    def _may_deny(self, denial: Denial) -> None:
        self._must_wait(denial.approver)

    def _must_wait(self, who: str) -> None:
        if over := self._over or (self._denial and f"{self._denial.approver} has denied it"):
            raise refused(f"{who} comes too late: {over}")

    async def _wait(self, look: Look, afterwards: SearchAttributeUpdate[Any]) -> tuple[str, str] | None:
        """Until it is approved (None), or known why it never will be: the reason and a detail. None if cancelled.

        `look` asks the books who has approved; `afterwards`, `TransferStatus` says that it does not wait any more.
        """
        key = approval_key(self._request.operation().intent.owner, "")
        standing = await self._asking.unless_cancelled(look, self._request, key)
        if standing is None:
            return None
        self._asking.answered()
        self._note(standing)
        if not self._missing:
            return None
        # The look may be answered although a cancel came during it.
        if workflow.cancellation_reason() is not None and workflow.patched(_PATCH):
            self._over = "it was cancelled"
            return None
        workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(Status.AWAITING_APPROVAL)])
        against = await self._for_people()
        workflow.upsert_search_attributes([afterwards])
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

    async def _all_told(self) -> None:
        """Whoever asks is still to be told."""
        while not workflow.all_handlers_finished():
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(workflow.all_handlers_finished)


def refused(text: str) -> ApplicationError:
    """The refusal of an update."""
    return ApplicationError(text, type=REFUSED, non_retryable=True)
