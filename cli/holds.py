"""hold, capture, void: money that is put aside first, and given to whom it belongs later."""

from typing import TYPE_CHECKING

from cli.answers import Answer
from cli.reach import progress, temporal
from cli.transfers import (
    KEY_REUSED,
    answer,
    asked_of,
    check_reason,
    from_the_books,
    is_past,
    not_found,
    state_of,
    submit,
    until_it_waits,
)
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.fingerprint import HOLD
from ledger.keys import check_id
from ledger.money import parse_amount
from ledger.transfer import Status, TransferState

if TYPE_CHECKING:
    from activities.approvals import AwaitedRequest
    from activities.messages import TransferOutcome
    from activities.terms import Decision, HoldRequest
    from engine.submitting import Submitted, Submitter


async def hold(
    settings: Settings, request: "HoldRequest", timeout_seconds: float, awaited: "AwaitedRequest | None" = None
) -> Answer:
    """Put money aside, and wait until it is, or waits for people. Safe to repeat, whatever happened before."""
    await is_past(settings, request.transfer_id, request.expires_at, "--expires")

    async def waited(submitter: "Submitter", submitted: "Submitted") -> "TransferOutcome":
        return await until_it_waits(submitter, submitted, timeout_seconds)

    return await submit(settings, request, request.content(), waited, timeout_seconds, awaited)


async def capture(settings: Settings, transfer_id: str, amount: str | None, timeout_seconds: float) -> Answer:
    """Give a hold, or a part of it, to its destination; the rest goes back at once."""
    from activities.terms import Decision

    check_id(transfer_id, "transfer id")
    state = await state_of(settings, transfer_id, must_be_there=True)
    if state is None:
        return not_found(transfer_id)
    asked = state.transfer
    captured = asked.amount_minor if amount is None else parse_amount(amount, asked.currency)
    return await _decide(settings, state, Decision(captures=captured), timeout_seconds)


async def void(settings: Settings, transfer_id: str, reason: str, timeout_seconds: float) -> Answer:
    """Give a hold back to its source."""
    from activities.terms import Decision

    check_id(transfer_id, "transfer id")
    check_reason(reason)
    state = await state_of(settings, transfer_id, must_be_there=True)
    if state is None:
        return not_found(transfer_id)
    return await _decide(settings, state, Decision(reason=reason), timeout_seconds)


async def _decide(settings: Settings, state: TransferState, decision: "Decision", timeout_seconds: float) -> Answer:
    """Tell the hold's workflow, wait for its end, and say from the books whether this is how it was decided."""
    from activities.messages import TransferOutcome
    from engine.deciding import decide

    id = state.transfer.id
    if state.terms != HOLD:
        raise MalformedRequest(f"{id} is no hold")
    if decision.captures is not None and decision.captures > state.transfer.amount_minor:
        raise MalformedRequest(f"{decision.captures} of {state.transfer.amount_minor} held")
    if not state.status.terminal:
        request = await asked_of(settings, state)
        with progress(f"{id}: waiting for the outcome"):
            async with temporal(settings, timeout_seconds) as submitter:
                submitted = await submitter.transfer(request)  # should nobody work on it any more, somebody does now
                await decide(submitter, id, decision, timeout_seconds)
                await submitter.outcome(submitted, TransferOutcome, timeout_seconds)
        state = await state_of(settings, id, must_be_there=True) or state
    return _decided(state, decision)


VOIDED = "voided"
"""The reason of a hold that was voided (`workflows/hold.py`, which takes too long to import for a command)."""


def _decided(state: TransferState, decision: "Decision") -> Answer:
    """captured, voided, or too_late; and key_reused for a capture of another amount than the one that happened."""
    settled = state.status is Status.SETTLED
    if settled and decision.captures is not None and state.captured_minor != decision.captures:
        fields = state.transfer.content() | {"transfer_id": state.transfer.id, "captured_minor": state.captured_minor}
        detail = f"captured_minor: {state.captured_minor} -> {decision.captures}"
        return answer(fields, KEY_REUSED, KEY_REUSED, detail)
    if settled and decision.captures is not None:
        return from_the_books(state, {"decision": "captured"})
    voided = decision.captures is None and state.reason == VOIDED
    return from_the_books(state, {"decision": "voided" if voided else "too_late"})
