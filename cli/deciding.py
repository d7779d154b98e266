"""decide: a person says what a rail has done about a payout that is silent beyond its key's life."""

from typing import TYPE_CHECKING

from cli.answers import Answer
from cli.reach import books, progress, temporal
from cli.transfers import KEY_REUSED, answer, asked_of, from_the_books, not_found, refused, state_of
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.fingerprint import PAYOUT
from ledger.keys import Leg, check_id, operation_key
from ledger.payouts import PAID, Decision
from ledger.transfer import TransferState

if TYPE_CHECKING:
    from activities.decisions import PayoutDecision


async def decide(settings: Settings, transfer_id: str, decision: "PayoutDecision", timeout_seconds: float) -> Answer:
    """Decide about a payout, once, and say how it ended. Safe to repeat: who decides otherwise is told key_reused."""
    check_id(transfer_id, "transfer id")
    state = await state_of(settings, transfer_id, must_be_there=True)
    if state is None:
        return not_found(transfer_id)
    if state.terms != PAYOUT:
        raise MalformedRequest(f"{transfer_id} is no payout")
    why_not = None
    if not state.status.terminal:
        why_not = await _decide(settings, state, decision, timeout_seconds)
        state = await state_of(settings, transfer_id, must_be_there=True) or state
    return await _told(settings, state, decision.as_decision(), why_not)


async def _decide(
    settings: Settings, state: TransferState, decision: "PayoutDecision", timeout_seconds: float
) -> str | None:
    """Tell the payout's workflow, and wait for its end. Why it did not take the decision, if it did not."""
    from activities.messages import TransferOutcome
    from engine.approving import Refused
    from engine.deciding import decide_payout

    request = await asked_of(settings, state)
    with progress(f"{state.transfer.id}: the rail is looked up once more"):
        async with temporal(settings, timeout_seconds) as submitter:
            submitted = await submitter.transfer(request)  # should nobody work on it any more, somebody does now
            try:
                await decide_payout(submitter, state.transfer.id, decision, timeout_seconds)
            except Refused as no:
                return str(no)
            await submitter.outcome(submitted, TransferOutcome, timeout_seconds)
    return None


async def _told(settings: Settings, state: TransferState, decision: Decision, why_not: str | None) -> Answer:
    """What the books keep, whoever asked: this decision (and whether the rail said otherwise), another, or none."""
    id = state.transfer.id
    otherwise = Leg.REJECTED if decision.decided == PAID else Leg.ACCEPTED
    async with books(settings) as reader:
        kept = await reader.asked(operation_key(id, Leg.DECISION))
        contradicted = await reader.asked(operation_key(id, otherwise)) is not None
    if kept is None:
        return refused(state, "decision_refused", why_not or f"it was {state.status} without a decision")
    if differences := kept.differences(state.transfer.content() | decision.content()):
        fields = state.transfer.content() | {"transfer_id": id}
        return answer(fields, KEY_REUSED, KEY_REUSED, "; ".join(differences))
    return from_the_books(state, {"decision": "contradicted" if contradicted else decision.decided})
