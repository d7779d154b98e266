"""Payout: money leaves our books over an outside rail. What the rail answers decides, and nothing else does.

    debit, submit: accepted, credit      settled: the rail's account has it
    debit, submit: rejected, refund      refunded
    debit, recall, refund                refunded: a cancel came before the rail was asked
    recall: already submitted            a cancel is too late; the rail is asked until it answers

Silence is never taken for a rejection, and a cancel neither: once the rail may have been asked, in whatever run, only
its own word can give the money back. A return is a movement of its own, whenever it comes.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.messages import LegOutcome, TransferOutcome, UndoRequest
    from activities.payouts import PayoutActivities, ReturnRequest, Said
    from activities.terms import PayoutRequest
    from ledger.keys import Leg, operation_key
    from ledger.operation import OutcomeKind
    from workflows.asking import Asking, key_reused
    from workflows.legs import CANCELLED, GiveBack, Legs, Paid, Verdict
    from workflows.search_attributes import NEEDS_ATTENTION

REJECTED = "rejected_by_rail"
"""The reason of a payout that the rail would not make; its detail has the rail's own words."""


@workflow.defn
class Payout:
    """One payout, from its request to its end. The workflow id is `transfer/<id>`, as of any transfer."""

    _request: PayoutRequest

    def __init__(self) -> None:
        self._asking = Asking()

    @workflow.run
    async def run(self, request: PayoutRequest) -> TransferOutcome:
        """Pay, or say why not. Returns how the payout ended; only `KeyReused` raises."""
        self._request = request  # not before: a run without a request must get as far as being refused
        return await Legs(request, self._ask_the_rail, cancels_itself=True).run()

    async def _ask_the_rail(self) -> Verdict:
        """Ask until it answers, unless a cancel comes before it may have been asked."""
        request = self._request
        if (reason := workflow.cancellation_reason()) is not None and await self._recalled(reason):
            return GiveBack(CANCELLED, reason)
        workflow.set_current_details(f"Asking {request.rail} to pay {request.beneficiary}.")
        key = operation_key(request.transfer_id, Leg.SUBMIT)
        answer = await self._asking.until_answered(PayoutActivities.submit, request, key)
        self._asking.answered()
        if answer.said is Said.RECALLED:
            return GiveBack(CANCELLED, workflow.cancellation_reason())
        if answer.said is Said.REJECTED:
            return GiveBack(
                REJECTED, f"{request.rail}: {answer.code}" + (f": {answer.detail}" if answer.detail else "")
            )
        workflow.set_current_details(f"{request.rail} has accepted it as {answer.reference}.")
        return Paid()

    async def _recalled(self, reason: str) -> bool:
        """Whether the cancel was in time: the rail was never asked, and never will be."""
        undo = UndoRequest(transfer=self._request, reason=CANCELLED, detail=reason or None)
        key = operation_key(self._request.transfer_id, Leg.RECALL)
        return (await self._asking.until_answered(LedgerActivities.recall, undo, key)).applied


@workflow.defn
class Returned:
    """A rail gives a payout back, perhaps days later. The workflow id is `return/<rail>/<return id>`.

    The books remember the return for ever, so that a repeat of the callback moves nothing.
    """

    @workflow.run
    async def run(self, request: ReturnRequest) -> LegOutcome:
        """Applied; or rejected, with NeedsAttention left on: the rail says it gave back what we cannot take."""
        asking = Asking()
        outcome = await asking.until_answered(PayoutActivities.take_return, request, request.reversal_id)
        asking.answered()
        if outcome.kind is OutcomeKind.KEY_REUSED:
            raise key_reused(outcome.detail)
        if not outcome.applied:
            workflow.set_current_details(f"**Needs attention.** It cannot be given back: {outcome.detail}")
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
        return outcome
