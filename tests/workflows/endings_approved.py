"""Limits that are set, and every ending of a transfer that waits for approval: stories like those of `endings.py`."""

from activities.approvals import ApprovalRequest, AwaitedRequest
from activities.limits import LimitChange
from activities.messages import EntryRequest
from activities.terms import Decision, HoldRequest, PayoutRequest
from engine.deciding import decide
from engine.limits import set_limits
from engine.submitting import workflow_id
from ledger.limits import NONE, SetLimits
from ledger.operation import OpenAccount
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from tests.support.people import (
    HOUR,
    agree,
    approve,
    asked_for,
    awaited,
    begin,
    deny,
    ended,
    guard,
    id_of,
    refuse,
    start,
    submit,
)


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


async def hold_approved(bank: Bank) -> str:
    """Two people approve of a hold: the run that waits is over, and another one holds."""
    return await _approved_of(bank, _hold(bank, "hold-approved"))


async def hold_denied(bank: Bank) -> str:
    """One denies a hold."""
    request = await _asked(bank, _hold(bank, "hold-denied"))
    await refuse(bank, request, "carl")
    return id_of(request)


async def payout_approved(bank: Bank) -> str:
    """Two people approve of a payout: another run pays it."""
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))
    return await _approved_of(bank, bank.payout("payout-approved"))


async def payout_approval_expired(bank: Bank) -> str:
    """Nobody approves of a payout in time."""
    request = await _asked(bank, bank.payout("payout-expired"), seconds=2)
    await ended(bank, request)
    return id_of(request)


async def entry_approved(bank: Bank) -> str:
    """Two people approve of a split: another run pays it."""
    return await _approved_of(bank, EntryRequest.of(bank.split("entry-approved")))


async def entry_denied(bank: Bank) -> str:
    """One denies a split: it is fenced, and the outside is told."""
    request = await _asked(bank, EntryRequest.of(bank.split("entry-denied")))
    await refuse(bank, request, "carl")
    return id_of(request)


async def entry_called_off_waiting_for_approval(bank: Bank) -> str:
    """One approves of a split; then it is called off."""
    request = await _asked(bank, EntryRequest.of(bank.split("entry-called-off-waiting")))
    await agree(bank, request, "bea")
    await bank.submitter.cancel_workflow(id_of(request), "changed my mind")
    await ended(bank, request)
    return id_of(request)


async def entry_approval_not_needed(bank: Bank) -> str:
    """The threshold leaves it alone: the run that would wait is over at once."""
    await guard(bank, approvals=1)
    request = awaited(EntryRequest.of(bank.split("entry-not-needed", bob=1, carol=1)))
    submitted = await submit(bank, request)
    await ended(bank, request)
    return f"{submitted.workflow_id}#{submitted.run_id}"


def _hold(bank: Bank, name: str) -> HoldRequest:
    return HoldRequest(**bank.request(name).model_dump(), expires_at=2**57)


async def _asked(
    bank: Bank, asked: HoldRequest | PayoutRequest | EntryRequest, seconds: float = HOUR
) -> AwaitedRequest:
    await guard(bank)
    request = awaited(asked, seconds)
    await begin(bank, request)
    return request


async def _approved_of(bank: Bank, asked: HoldRequest | PayoutRequest | EntryRequest) -> str:
    """The run that has waited, once it is over; its kind's own goes on to its end."""
    request = await _asked(bank, asked)
    submitted = await submit(bank, request)
    for name in ("bea", "carl"):
        await agree(bank, request, name)
    if isinstance(asked, HoldRequest):
        await _captured(bank, asked)
    await ended(bank, request)
    return f"{submitted.workflow_id}#{submitted.run_id}"


async def _captured(bank: Bank, asked: HoldRequest) -> None:
    await bank.reaches(asked, Status.DEBITED)
    await decide(bank.submitter, asked.transfer_id, Decision(captures=asked.amount_minor), PATIENCE)


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
    hold_approved,
    hold_denied,
    payout_approved,
    payout_approval_expired,
    entry_approved,
    entry_denied,
    entry_called_off_waiting_for_approval,
    entry_approval_not_needed,
)
"""All of them."""
