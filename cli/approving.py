"""approve, deny; and which transfers have to wait for that: those above what their source account pays without."""

import time
from getpass import getuser
from typing import TYPE_CHECKING, Any

from cli import transfers
from cli.answers import Answer, Exit
from cli.reach import books, progress, temporal
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.keys import check_id
from ledger.transfer import Status

if TYPE_CHECKING:
    from activities.approvals import Consent, Denial, Standing
    from activities.messages import TransferRequest

LOOK_SECONDS = 2
"""How long the books may take to say whether people must be asked. Without an answer, the worker asks them."""


async def routed(
    settings: Settings, request: "TransferRequest", initiator: str | None, expires_in_hours: float
) -> "TransferRequest":
    """The request as it must be submitted. Whatever is decided here, no debit passes without its approvals.

    When the books do not say in time, it is submitted as one that may have to wait: its workflow asks them first, and
    waits for nobody if nobody is needed. A plain one would be refused for good above a threshold.

    The initiator is who is logged in, unless somebody is named. Raises MalformedRequest if there is nobody.
    """
    if not await _must_be_approved(settings, request):
        return request
    from activities.approvals import ApprovalRequest

    expires_at = time.time_ns() // 1000 + round(expires_in_hours * 3_600_000_000)
    try:
        asks = initiator or getuser()
    except (OSError, KeyError, ImportError):
        raise MalformedRequest("--initiator is needed: nobody is logged in") from None
    return ApprovalRequest(**request.model_dump(), initiator=asks, expires_at=expires_at)


async def _must_be_approved(settings: Settings, request: "TransferRequest") -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.database import Bounds

    try:
        async with books(settings, Bounds(LOOK_SECONDS, LOOK_SECONDS)) as reader:
            account = await reader.account(request.source)
    except FileNotFoundError:
        return False  # no books, no threshold
    except (SQLAlchemyError, OSError):
        return True
    return account is not None and account.limits.approvals_for(request.amount_minor) > 0


async def approve(settings: Settings, consent: "Consent", timeout_seconds: float) -> Answer:
    """Approve of a transfer. Safe to repeat: each person counts once."""
    from engine.approving import Refused, approve

    transfer_id = consent.transfer.transfer_id
    with progress(f"{transfer_id}: approving"):
        async with temporal(settings, timeout_seconds) as submitter:
            try:
                standing = await approve(submitter, consent, timeout_seconds)
            except Refused as refused:
                return await _refused(settings, transfer_id, str(refused))
    if standing is None:
        return await transfers.status(settings, transfer_id)
    return _standing(consent, standing)


async def deny(settings: Settings, transfer_id: str, denial: "Denial", timeout_seconds: float) -> Answer:
    """Deny a transfer that waits for approval, and say how it ended."""
    from engine.approving import Refused, deny

    check_id(transfer_id, "transfer id")
    if not denial.reason.isprintable():
        raise MalformedRequest("--reason must be printable characters")
    with progress(f"{transfer_id}: denying"):
        async with temporal(settings, timeout_seconds) as submitter:
            try:
                await deny(submitter, transfer_id, denial, timeout_seconds)
            except Refused as refused:
                return await _refused(settings, transfer_id, str(refused))
    return await transfers.status(settings, transfer_id)


async def _refused(settings: Settings, transfer_id: str, detail: str) -> Answer:
    """Nothing was done: where the transfer is, and why."""
    now = await transfers.status(settings, transfer_id)
    reason = "approval_refused"
    headline = f"[bold]{transfer_id}[/]  [yellow]{reason}[/]"
    data = {"transfer_id": transfer_id, "status": now.data["status"], "reason": reason, "detail": detail}
    return Answer(data, Exit.NO, headline, hide=frozenset({"transfer_id", "reason"}))


def _standing(consent: "Consent", standing: "Standing") -> Answer:
    is_recorded = standing.kind == "applied"
    waits = Status.AWAITING_APPROVAL if standing.missing else Status.ACCEPTED
    data: dict[str, Any] = {
        "transfer_id": consent.transfer.transfer_id,
        "status": str(waits) if is_recorded else str(standing.kind),
        "reason": None if is_recorded else str(standing.kind),
        "detail": standing.detail,
        "replayed": standing.replayed,
        "approver": consent.approver,
        "approved_by": list(standing.approvers),
        "missing": standing.missing,
    }
    said = "approved" if is_recorded else "key_reused"
    again = " [dim](it counts once)[/]" if standing.replayed else ""
    headline = f"[bold]{consent.transfer.transfer_id}[/]  [green]{said}[/] by {consent.approver}{again}"
    exit = Exit.OK if is_recorded else Exit.KEY_REUSED
    return Answer(data, exit, headline, hide=frozenset({"transfer_id", "replayed", "approver"}))
