"""Legs: the money of one transfer goes out of its source, through transit, and arrives, or comes back.

    debit, credit, notify             settled
    debit                             rejected: the source or the destination said no
    debit, refund (credit fenced)     refunded: the destination said no after all, or a cancel came in time
    cancel (debit fenced)             cancelled: a cancel came before the debit

Silence is never taken for a rejection: a leg is asked again, with the same key, until it answers. Everything that is
known here is in the ledger too, so that running it again (a reset, a new namespace, years later) finds the recorded
outcome at its first step and does nothing else.

What a kind of transfer does while the money is in transit (wait for a capture, ask a bank) is its `between`: a function
that returns a verdict, `Give`, `Capture`, `GiveBack` or `Paid`. Whatever it says, the ledger lets one of them happen.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.messages import SHORT_TEXT, LegOutcome, TransferOutcome, TransferRequest, UndoRequest
    from activities.terms import CaptureRequest, DebitOnTerms, RequestOnTerms
    from ledger.keys import Leg, operation_key
    from ledger.operation import OutcomeKind
    from ledger.rejections import Code
    from ledger.transfer import Status
    from workflows.asking import Asking, key_reused
    from workflows.notification import tell
    from workflows.search_attributes import TRANSFER_STATUS

CANCELLED = "cancelled"
"""The reason of a transfer that ended because somebody asked for it."""


@dataclass(frozen=True)
class Give:
    """The destination gets it all."""


@dataclass(frozen=True)
class Capture:
    """The destination gets this much (minor units), and the source the rest."""

    amount_minor: int


@dataclass(frozen=True)
class GiveBack:
    """The source gets it all back. `reason` is a code, `detail` a sentence."""

    reason: str
    detail: str | None = None


@dataclass(frozen=True)
class Paid:
    """Somebody outside has it already: the books follow, and no cancel and no account can stand in the way."""


Verdict = Give | Capture | GiveBack | Paid
Between = Callable[[], Awaitable[Verdict]]


async def at_once() -> Verdict:
    """The `between` of a plain transfer."""
    return Give()


class Legs:
    """The legs of one transfer, whatever kind it is of."""

    def __init__(
        self,
        request: TransferRequest,
        between: Between = at_once,
        express: bool = False,
        cancels_itself: bool = False,
    ) -> None:
        """With `cancels_itself`, what a cancel means once the money is in transit is for `between` to say."""
        self._request = request
        self._between = between
        self._express = express
        self._cancels_itself = cancels_itself
        self._asking = Asking(express)

    async def run(self) -> TransferOutcome:
        """Move the money once, or say why not. Returns how the transfer ended; only `KeyReused` raises."""
        if _cancelled():
            return await self._cancel_before_debit()
        debited = await self._debit()
        if debited is None:
            return await self._cancel_before_debit()
        if not debited.applied or debited.status is not Status.DEBITED:
            return await self._end(debited, replayed=debited.replayed)
        return await self._in_transit()

    async def _in_transit(self) -> TransferOutcome:
        """Ask what becomes of the money, and do it."""
        if _cancelled() and not self._cancels_itself:
            return await self._refund(CANCELLED, workflow.cancellation_reason())
        self._show("The money is in transit.")
        try:
            verdict = await self._between()
        except asyncio.CancelledError:
            if self._cancels_itself:
                raise  # no verdict: the sweep starts it again, and it asks again
            verdict = GiveBack(CANCELLED, workflow.cancellation_reason())
        if isinstance(verdict, GiveBack):
            return await self._refund(verdict.reason, verdict.detail)
        if isinstance(verdict, Paid):
            paid = await self._asking.until_answered(LedgerActivities.paid, self._request, self._key(Leg.CREDIT))
            return await self._end(paid)
        credited = await self._credit(verdict)
        if credited is None:
            return await self._refund(CANCELLED, workflow.cancellation_reason())
        if not credited.applied:
            return await self._refund(credited.code or credited.kind, credited.detail)
        return await self._end(credited)

    async def _debit(self) -> LegOutcome | None:
        key = self._key(Leg.DEBIT)
        if isinstance(self._request, RequestOnTerms):
            on_terms = DebitOnTerms.of(self._request)
            return await self._asking.unless_cancelled(LedgerActivities.debit_on_terms, on_terms, key)
        return await self._asking.unless_cancelled(LedgerActivities.debit, self._request, key)

    async def _credit(self, verdict: Give | Capture) -> LegOutcome | None:
        key = self._key(Leg.CREDIT)
        if isinstance(verdict, Capture):
            capture = CaptureRequest(transfer=self._request, captured_minor=verdict.amount_minor)
            return await self._asking.unless_cancelled(LedgerActivities.capture, capture, key)
        return await self._asking.unless_cancelled(LedgerActivities.credit, self._request, key)

    async def never(self, reason: str, detail: str | None) -> TransferOutcome:
        """Fence the debit. If it was already in the books, give the money back instead."""
        undo = self._undo(reason, detail)
        answer = await self._asking.until_answered(LedgerActivities.cancel, undo, self._key(Leg.CANCEL))
        if answer.code == Code.ALREADY_DEBITED and answer.status is Status.DEBITED:
            return await (self._in_transit() if self._cancels_itself else self._refund(reason, detail))
        return await self._end(answer)

    async def _cancel_before_debit(self) -> TransferOutcome:
        return await self.never(CANCELLED, workflow.cancellation_reason())

    async def _refund(self, reason: str, detail: str | None) -> TransferOutcome:
        """Give the money back and fence the credit. If the credit was first, the transfer is settled: too late."""
        self._show(f"Giving the money back: {detail or reason}")
        undo = self._undo(reason, detail)
        return await self._end(await self._asking.until_answered(LedgerActivities.refund, undo, self._key(Leg.REFUND)))

    async def _end(self, answer: LegOutcome, replayed: bool = False) -> TransferOutcome:
        """Every way out leads through here: show the ending, tell the outside, return the outcome."""
        if answer.kind is OutcomeKind.KEY_REUSED:
            self._asking.answered()
            raise key_reused(answer.detail)
        if answer.status is None or not answer.status.terminal:
            raise ApplicationError(f"{answer} ends no transfer", type="Bug", non_retryable=True)
        status, detail = answer.status, answer.status_detail
        self._show(f"**{status}**" + (f": {detail}" if detail else ""))
        await tell(self._request.transfer_id, status, self._express)
        self._asking.answered()
        # In the last workflow task: apart from it, the server would write its index once more.
        workflow.upsert_search_attributes([TRANSFER_STATUS.value_set(status)])
        return TransferOutcome(
            transfer_id=self._request.transfer_id,
            status=status,
            reason=answer.reason,
            detail=detail,
            replayed=replayed,
            captured_minor=answer.captured_minor,
        )

    def _undo(self, reason: str, detail: str | None) -> UndoRequest:
        return UndoRequest(transfer=self._request, reason=reason, detail=(detail or None) and detail[:SHORT_TEXT])

    def _key(self, leg: Leg) -> str:
        return operation_key(self._request.transfer_id, leg)

    def _show(self, text: str) -> None:
        workflow.set_current_details(text)


def _cancelled() -> bool:
    """Whether somebody has asked for a cancel. Looked up before each irreversible step, because SDK 1.35 may not
    raise a cancel that arrives in the same workflow task as an activity's completion.
    """
    return workflow.cancellation_reason() is not None
