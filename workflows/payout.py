"""Payout: money leaves our books over an outside rail. What the rail answers decides, and nothing else does.

    debit, submit: accepted, credit      settled: the rail's account has it
    debit, submit: rejected, refund      refunded
    debit, recall, refund                refunded: a cancel came before the rail was asked
    recall: already submitted            a cancel is too late; the rail is asked until it answers
    decide                               a person speaks for a rail that is silent beyond its key's life

Silence is never taken for a rejection, and a cancel neither: once the rail may have been asked, in whatever run, only
its own word, or a person's in its place, can give the money back. A return is a movement of its own, whenever it comes.
"""

import asyncio
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.decisions import DecisionActivities, DecisionAnswer, DecisionRequest, PayoutDecision
    from activities.ledger import LedgerActivities
    from activities.messages import TransferOutcome, UndoRequest
    from activities.payouts import HEARD_BEFORE, Callback, PayoutActivities, Said, Woken
    from activities.terms import PayoutRequest
    from ledger.keys import Leg, operation_key
    from workflows.asking import Asking
    from workflows.legs import CANCELLED, GiveBack, Legs, Paid, Verdict
    from workflows.search_attributes import NEEDS_ATTENTION

REJECTED = "rejected_by_rail"
"""The reason of a payout that the rail would not make; its detail has the rail's own words."""

DECIDED = "decided_not_paid"
"""The reason of a payout that was given back because a person decided that the rail has not made it."""

REFUSED = "DecisionRefused"
"""The type, in Temporal's sense, of the refusal of a decision or of a callback: nothing was done."""

MOST_HEARD = 100
"""How many callbacks wake a payout: each costs some events of its history."""


@workflow.defn
class Payout:
    """One payout, from its request to its end. The workflow id is `transfer/<id>`, as of any transfer."""

    _request: PayoutRequest

    def __init__(self) -> None:
        self._asking = Asking()
        self._submitting = self._over = False
        self._heard: set[str] = set()
        self._decision: PayoutDecision | None = None
        self._contradicted: str | None = None

    @workflow.run
    async def run(self, request: PayoutRequest) -> TransferOutcome:
        """Pay, or say why not. Returns how the payout ended; only `KeyReused` raises."""
        self._request = request  # not before: a run without a request must get as far as being refused
        try:
            outcome = await Legs(request, self._ask_the_rail, cancels_itself=True).run()
        finally:
            self._over = True
        while not workflow.all_handlers_finished():  # who asks is still to be told
            with suppress(asyncio.CancelledError):
                await workflow.wait_condition(workflow.all_handlers_finished)
        if self._contradicted is not None:
            workflow.set_current_details(f"**Needs attention.** {request.rail} contradicts: {self._contradicted}")
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
        return outcome

    @workflow.update
    def hear(self, callback: Callback) -> Woken:
        """The rail has said something: ask it at once. What it answers then decides, and not the callback."""
        self._heard.add(callback.event_id)
        self._asking.wake()
        return Woken()

    @hear.validator
    def _is_news(self, callback: Callback) -> None:
        """A repeat, or what nobody waits for, leaves nothing behind in the history."""
        if not self._submitting or not self._asking.waits or callback.rail != self._request.rail:
            raise _refused("nobody waits for it")
        if callback.event_id in self._heard or len(self._heard) >= MOST_HEARD:
            raise _refused(HEARD_BEFORE)

    @workflow.update
    async def decide(self, decision: PayoutDecision) -> DecisionAnswer:
        """Record what a person says the rail has done. Answers once it is in the books; it is then carried out."""
        await workflow.wait_condition(lambda: self._submitting or self._over)
        self._may_be_decided(decision)
        question = DecisionRequest(payout=self._request, decision=decision)
        asking, key = Asking(), operation_key(self._request.transfer_id, Leg.DECISION)
        answer = await asking.until_answered(DecisionActivities.decide, question, key)
        asking.answered()
        if answer.refused is not None:
            raise _refused(answer.refused)
        self._decision = decision
        self._asking.wake()
        return answer

    @decide.validator
    def _may_be_decided(self, decision: PayoutDecision) -> None:
        if self._over:
            raise _refused("it has ended")
        if self._decision is not None and self._decision != decision:
            raise _refused(f"it is decided otherwise ({self._decision.as_decision()})")

    async def _ask_the_rail(self) -> Verdict:
        """Ask until it answers, unless a cancel comes before it may have been asked."""
        request = self._request
        reason = workflow.cancellation_reason()
        if reason is not None and await recalled(self._asking, request, reason):
            return GiveBack(CANCELLED, reason)
        workflow.set_current_details(f"Asking {request.rail} to pay {request.beneficiary}.")
        key = operation_key(request.transfer_id, Leg.SUBMIT)
        self._submitting = True
        answer = await self._asking.until_answered(PayoutActivities.submit, request, key)
        self._asking.answered()
        self._contradicted = answer.contradicted
        if answer.said is Said.RECALLED:
            return GiveBack(CANCELLED, workflow.cancellation_reason())
        if answer.said is Said.REJECTED and answer.decided_by is not None:
            return GiveBack(DECIDED, f"{answer.decided_by}: {answer.code}")
        if answer.said is Said.REJECTED:
            return GiveBack(
                REJECTED, f"{request.rail}: {answer.code}" + (f": {answer.detail}" if answer.detail else "")
            )
        by = f", says {answer.decided_by}" if answer.decided_by else ""
        workflow.set_current_details(f"{request.rail} has accepted it as {answer.reference}{by}.")
        return Paid()


async def recalled(asking: Asking, request: PayoutRequest, reason: str) -> bool:
    """Whether a cancel was in time: the rail was never asked, and never will be."""
    undo = UndoRequest(transfer=request, reason=CANCELLED, detail=reason or None)
    key = operation_key(request.transfer_id, Leg.RECALL)
    return (await asking.until_answered(LedgerActivities.recall, undo, key)).applied


def _refused(text: str) -> ApplicationError:
    return ApplicationError(text, type=REFUSED, non_retryable=True)
