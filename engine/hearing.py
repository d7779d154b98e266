"""Hearing: tell a payout that waits for its rail that the rail has spoken, so that it asks at once."""

from temporalio.client import Client

from activities.payouts import Callback, Woken
from engine.approving import Refused, update
from engine.submitting import Submitter, workflow_id
from ledger.keys import Leg, operation_key

PATIENCE_SECONDS = 5.0
"""How long a rail is kept waiting. It says again what was not taken."""


async def hear(client: Client, payment_key: str, callback: Callback) -> bool:
    """Wake the payout. False if nobody waits for it: it has ended, it was heard before, or it is none of ours.

    Raises Unanswered. Nothing is lost by a callback that nobody hears: the payout goes on asking by itself.
    """
    ending = operation_key("", Leg.SUBMIT)
    if not payment_key.endswith(ending):
        return False
    try:
        id = workflow_id(payment_key.removesuffix(ending))
        woken = await update(Submitter(client), id, "hear", callback, Woken, PATIENCE_SECONDS)
    except Refused:
        return False
    return woken is not None
