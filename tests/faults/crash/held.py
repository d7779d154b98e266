"""Held: scenarios of money that is put aside first."""

from activities.messages import TransferOutcome
from activities.terms import Decision, HoldRequest
from engine.deciding import decide
from engine.submitting import Submitted, Submitter
from tests.faults.crash.said import AMOUNT, PATIENCE, Said


def hold(id: str) -> HoldRequest:
    """All that the case is about, for longer than anybody waits."""
    return HoldRequest(
        transfer_id=id,
        source=f"{id}-a",
        destination=f"{id}-b",
        amount_minor=AMOUNT,
        currency="USD",
        expires_at=2**57,
    )


async def captured(submitter: Submitter, id: str) -> Said:
    """A hold of which most is captured."""
    return await capture(submitter, await submitter.transfer(hold(id)), id)


async def capture(submitter: Submitter, submitted: Submitted, id: str) -> Said:
    """All but one cent of it."""
    await decide(submitter, id, Decision(captures=AMOUNT - 1), PATIENCE)
    outcome = await submitter.outcome(submitted, TransferOutcome, PATIENCE)
    return Said(outcome.status, outcome.reason if outcome.captured_minor == AMOUNT - 1 else "captured otherwise")
