"""Approved: scenarios of what waits for people. The approval is given as soon as it is asked for."""

import asyncio
import time
from contextlib import suppress

from activities.approvals import ApprovalRequest, AwaitedRequest, Consent
from activities.limits import LimitChange
from activities.messages import EntryRequest, LegOutcome, TransferOutcome, TransferRequest
from engine.approving import Refused, approve
from engine.limits import set_limits
from engine.submitting import Submitter, workflow_id
from ledger.entries import Share, Split
from tests.faults.crash.held import capture, hold
from tests.faults.crash.said import AMOUNT, PATIENCE, Said


async def _guard(submitter: Submitter, id: str) -> int:
    """Everything above nothing needs one approval. How long people have to give it (an instant)."""
    change = LimitChange(account_id=f"{id}-a", currency="USD", approval_above_minor=0, approvals=1)
    await set_limits(submitter, change, PATIENCE)
    return time.time_ns() // 1000 + 3_600_000_000


async def approved_hold(submitter: Submitter, id: str) -> Said:
    """The approval is given as soon as it is asked for, and most of it captured as soon as it is held."""
    expires_at = await _guard(submitter, id)
    asked = hold(id)
    submitted = await submitter.transfer(asked, AwaitedRequest(asked=asked, initiator="ines", expires_at=expires_at))
    if submitted.running:
        with suppress(Refused):  # it may have been approved by the call before, and be a hold by now
            await approve(submitter, workflow_id(id), Consent(asked=asked.content(), approver="bea"), PATIENCE)
    while (found := await submitter.find(id)) is not None and not found.replayed and not found.is_held:
        await asyncio.sleep(0.1)
    return await capture(submitter, submitted, id)


async def approved_split(submitter: Submitter, id: str) -> Said:
    """The approval is given as soon as it is asked for."""
    expires_at = await _guard(submitter, id)
    asked = EntryRequest.of(Split(id, f"{id}-a", "USD", (Share(f"{id}-b", AMOUNT),)))
    submitted = await submitter.enter(asked, AwaitedRequest(asked=asked, initiator="ines", expires_at=expires_at))
    if submitted.running:
        with suppress(Refused):  # it may have been approved by the call before
            consent = Consent(asked=asked.content, approver="bea")
            await approve(submitter, submitted.workflow_id, consent, PATIENCE)
    outcome = await submitter.outcome(submitted, LegOutcome, PATIENCE)
    return Said(outcome.kind, outcome.code)


async def approved(submitter: Submitter, id: str) -> Said:
    """The approval is given as soon as it is asked for."""
    expires_at = await _guard(submitter, id)
    asked = TransferRequest(
        transfer_id=id, source=f"{id}-a", destination=f"{id}-b", amount_minor=AMOUNT, currency="USD"
    )
    submitted = await submitter.transfer(ApprovalRequest(**asked.model_dump(), initiator="ines", expires_at=expires_at))
    if submitted.running:
        await approve(submitter, workflow_id(id), Consent(transfer=asked, approver="bea"), PATIENCE)
    outcome = await submitter.outcome(submitted, TransferOutcome, PATIENCE)
    return Said(outcome.status, outcome.reason)
