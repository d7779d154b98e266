"""Limits that are set, and every ending of a transfer that waits for approval: stories like those of `endings.py`."""

from activities.approvals import ApprovalRequest
from activities.limits import LimitChange
from engine.limits import set_limits
from engine.submitting import workflow_id
from ledger.limits import NONE, SetLimits
from tests.support.bank import PATIENCE, Bank
from tests.support.people import HOUR, approve, asked_for, deny, guard, start


async def limits_set(bank: Bank) -> str:
    """An account gets a daily limit."""
    await set_limits(bank.submitter, LimitChange(account_id="carol", currency="USD", per_day_minor=1), PATIENCE)
    await bank.ledger.apply(SetLimits("carol", "USD", per_day_minor=NONE))
    return "account/carol/limits/currency=USD,per_day_minor=1"


async def approved(bank: Bank) -> str:
    """Two people approve, one of them twice; then it settles."""
    request = await _waiting(bank, "approved")
    for name in ("bea", "bea", "carl"):
        await approve(bank, request, name)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def approved_and_due_later(bank: Bank) -> str:
    """Two people approve, and then its time comes."""
    request = await _waiting(bank, "approved-due", due_in=2)
    for name in ("bea", "carl"):
        await approve(bank, request, name)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def denied(bank: Bank) -> str:
    """One approves, another denies."""
    request = await _waiting(bank, "denied")
    await approve(bank, request, "bea")
    await deny(bank, request, "carl")
    return workflow_id(request.transfer_id)


async def approval_expired(bank: Bank) -> str:
    """Nobody approves in time."""
    request = await _waiting(bank, "expired", seconds=2)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def cancelled_while_waiting_for_approval(bank: Bank) -> str:
    """One approves; then it is called off."""
    request = await _waiting(bank, "called-off-waiting")
    await approve(bank, request, "bea")
    await bank.cancel(request)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def approval_not_needed(bank: Bank) -> str:
    """The threshold was taken away meanwhile: it does not wait."""
    request = asked_for(bank.request("not-needed"))
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def _waiting(bank: Bank, name: str, seconds: float = HOUR, due_in: float | None = None) -> ApprovalRequest:
    await guard(bank)
    request = asked_for(bank.request(name), seconds, due_in)
    await start(bank, request)
    return request


STORIES = (
    limits_set,
    approved,
    approved_and_due_later,
    denied,
    approval_expired,
    cancelled_while_waiting_for_approval,
    approval_not_needed,
)
"""All of them."""
