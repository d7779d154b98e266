"""correct: the one movement that makes the books true again after a rail has contradicted how a payout ended."""

from cli.answers import Answer
from cli.entries import enter
from cli.reach import books
from cli.transfers import not_found, refused, state_of, transfer
from engine.settings import Settings
from ledger.corrections import read_contradiction
from ledger.entries import Reversal
from ledger.errors import MalformedRequest
from ledger.fingerprint import PAYOUT
from ledger.keys import CORRECTION, check_id


async def correct(settings: Settings, transfer_id: str, timeout_seconds: float) -> Answer:
    """Correct a payout that a rail contradicts, once, and say how that ended. Safe to repeat.

    One that was rejected (there is no money) is tried again, under the next id, by asking again.
    """
    from activities.messages import TransferRequest

    check_id(transfer_id, "transfer id")
    state = await state_of(settings, transfer_id, must_be_there=True)
    if state is None:
        return not_found(transfer_id)
    if state.terms != PAYOUT:
        raise MalformedRequest(f"{transfer_id} is no payout")
    async with books(settings) as reader:
        contradiction = await read_contradiction(reader, state)
    if contradiction is None:
        return refused(state, "nothing_contradicted", f"no rail says that it did not end as it did ({state.status})")
    correction = contradiction.correction
    if correction is None and contradiction.corrected:
        return refused(state, "nothing_contradicted", "its rail, or other reversals, gave all of it back")
    if correction is None:
        raise MalformedRequest(f"{transfer_id} is too long: there is no room for {CORRECTION} behind it")
    if isinstance(correction, Reversal):
        answer = await enter(settings, correction, timeout_seconds)
    else:
        request = TransferRequest(transfer_id=correction.id, **correction.content())
        answer = await transfer(settings, request, True, timeout_seconds)
    answer.data["corrects"] = transfer_id
    return answer
