"""People for tests: who asks for a transfer that needs approval, who approves of it, and who denies it."""

import asyncio
import json
import time

from activities.approvals import ApprovalRequest, AwaitedRequest, Consent, Denial, Standing
from activities.messages import EntryRequest, TransferOutcome, TransferRequest
from activities.terms import HoldRequest, PayoutRequest
from engine import approving
from engine.approving import Denied
from engine.entry_ids import entry_workflow_id
from engine.results import result_of
from engine.submitting import Submitted, workflow_id
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


def awaited(asked: HoldRequest | PayoutRequest | EntryRequest, seconds: float = HOUR) -> AwaitedRequest:
    """What Ines asks for, of another kind, for so many seconds."""
    return AwaitedRequest(asked=asked, initiator="ines", expires_at=time.time_ns() // 1000 + round(seconds * 1e6))


def id_of(request: AwaitedRequest) -> str:
    """Its workflow's."""
    asked = request.asked
    return (
        entry_workflow_id(asked.as_entry().key) if isinstance(asked, EntryRequest) else workflow_id(asked.transfer_id)
    )


async def submit(bank: Bank, request: AwaitedRequest) -> Submitted:
    """Submit it, as the starter does."""
    if isinstance(request.asked, EntryRequest):
        return await bank.submitter.enter(request.asked, request)
    return await bank.submitter.transfer(request.asked, request)


async def begin(bank: Bank, request: AwaitedRequest) -> Submitted:
    """Submit it, until an operator can see that it waits."""
    submitted = await submit(bank, request)
    while not ((found := await bank.submitter.find_workflow(id_of(request))) and found.awaits_approval):
        await asyncio.sleep(0.05)
    return submitted


async def agree(bank: Bank, request: AwaitedRequest, approver: str) -> Standing:
    """Approve of what an operator is shown of it."""
    found = await bank.submitter.find_workflow(id_of(request))
    assert found is not None
    assert found.asked is not None
    consent = Consent(asked=json.loads(found.asked), approver=approver)
    standing = await approving.approve(bank.submitter, id_of(request), consent, PATIENCE)
    assert standing is not None
    return standing


async def refuse(bank: Bank, request: AwaitedRequest, approver: str = "bea") -> Denied:
    """Deny it."""
    denial = Denial(approver=approver, reason="never heard of them")
    outcome = await approving.deny(bank.submitter, id_of(request), denial, PATIENCE)
    assert outcome is not None
    return outcome


async def ended(bank: Bank, request: AwaitedRequest) -> Denied:
    """How it ended, whichever kind it is of."""
    submitted = await submit(bank, request)
    handle = bank.client.get_workflow_handle(submitted.workflow_id, result_type=Denied)
    return await result_of(handle, PATIENCE)


def a_hold(bank: Bank, name: str = "H1") -> HoldRequest:
    """25.00 USD of Alice's, held for Bob."""
    return HoldRequest(**bank.request(name).model_dump(), expires_at=2**57)


def a_split(bank: Bank, name: str = "S1") -> EntryRequest:
    """25.00 USD of Alice's, for two others."""
    return EntryRequest.of(bank.split(name))


async def holds(bank: Bank, request: AwaitedRequest) -> None:
    """Wait until an operator sees that its money is held."""
    async with asyncio.timeout(PATIENCE):
        while not ((found := await bank.submitter.find_workflow(id_of(request))) and found.is_held):
            await asyncio.sleep(0.05)
