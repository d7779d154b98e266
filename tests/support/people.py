"""People for tests: who asks for a transfer that needs approval, who approves of it, and who denies it."""

import asyncio
import time

from activities.approvals import ApprovalRequest, Consent, Denial, Standing
from activities.messages import TransferOutcome, TransferRequest
from engine import approving
from engine.approving import Denied
from engine.submitting import workflow_id
from ledger.limits import SetLimits
from tests.support.bank import PATIENCE, Bank

HOUR = 3600.0


async def guard(bank: Bank, approvals: int = 2) -> None:
    """More than 10.00 USD of Alice's at once takes this many approvals."""
    await bank.ledger.apply(SetLimits("alice", "USD", approval_above_minor=10_00, approvals=approvals))


def asked_for(request: TransferRequest, seconds: float = HOUR, due_in: float | None = None) -> ApprovalRequest:
    """The same request, asked for by Ines, for so many seconds."""
    now = time.time_ns() // 1000
    due_at = None if due_in is None else now + round(due_in * 1e6)
    more = {"initiator": "ines", "expires_at": now + round(seconds * 1e6), "due_at": due_at}
    return ApprovalRequest(**request.model_dump(), **more)


async def start(bank: Bank, request: ApprovalRequest) -> None:
    """Submit it, until an operator can see that it waits."""
    await bank.start(request)
    while not ((found := await bank.submitter.find(request.transfer_id)) and found.awaits_approval):
        await asyncio.sleep(0.05)


async def approve(bank: Bank, request: ApprovalRequest, approver: str) -> Standing:
    """Approve of it."""
    consent = Consent(transfer=request.as_plain(), approver=approver)
    standing = await approving.approve(bank.submitter, workflow_id(request.transfer_id), consent, PATIENCE)
    assert standing is not None
    return standing


async def deny(bank: Bank, request: ApprovalRequest, approver: str = "bea") -> Denied:
    """Deny it."""
    denial = Denial(approver=approver, reason="never heard of them")
    outcome = await approving.deny(bank.submitter, workflow_id(request.transfer_id), denial, PATIENCE)
    assert outcome is not None
    return outcome


async def end(bank: Bank, request: ApprovalRequest) -> TransferOutcome:
    """How it ended."""
    return await bank.outcome(await bank.start(request))
