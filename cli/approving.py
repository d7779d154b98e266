"""approve, deny; and what has to wait for that: whatever is above what the accounts that pay do without."""

import json
import time
from getpass import getuser
from typing import TYPE_CHECKING, Any

from cli import entries, transfers
from cli.answers import Answer, Exit
from cli.reach import books, progress, temporal
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.keys import check_id
from ledger.transfer import Status

if TYPE_CHECKING:
    from activities.approvals import AwaitedRequest, Consent, Denial, Standing
    from activities.messages import TransferRequest
    from activities.terms import HoldRequest, PayoutRequest
    from engine.submitting import Submitter
    from ledger.entries import Entry
    from ledger.operation import Operation

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
    from ledger.operations import debit

    people = await _people(settings, debit(request.as_transfer()), initiator, expires_in_hours)
    if people is None:
        return request
    from activities.approvals import ApprovalRequest

    return ApprovalRequest(**request.model_dump(), initiator=people[0], expires_at=people[1])


async def awaited(
    settings: Settings,
    request: "HoldRequest | PayoutRequest",
    initiator: str | None,
    expires_in_hours: float,
    no_later_than: int | None = None,
) -> "AwaitedRequest | None":
    """The same of a hold or a payout: what waits, if people must be asked, and `no_later_than` an instant."""
    from activities.approvals import AwaitedRequest
    from activities.terms import DebitOnTerms

    operation = DebitOnTerms.of(request).as_operation()
    people = await _people(settings, operation, initiator, expires_in_hours, no_later_than)
    return people and AwaitedRequest(asked=request, initiator=people[0], expires_at=people[1])


async def awaited_entry(
    settings: Settings,
    entry: "Entry",
    initiator: str | None,
    expires_in_hours: float,
    no_later_than: int | None = None,
) -> "AwaitedRequest | None":
    """The same of an entry."""
    people = await _people(settings, entry.operation(), initiator, expires_in_hours, no_later_than)
    if people is None:
        return None
    from activities.approvals import AwaitedRequest
    from activities.messages import EntryRequest

    return AwaitedRequest(asked=EntryRequest.of(entry), initiator=people[0], expires_at=people[1])


async def _people(
    settings: Settings,
    operation: "Operation",
    initiator: str | None,
    expires_in_hours: float,
    no_later_than: int | None = None,
) -> tuple[str, int] | None:
    """Who asks people, and until when they can answer (an instant); None if nobody must be asked."""
    if not await _must_be_approved(settings, operation):
        return None
    expires_at = time.time_ns() // 1000 + round(expires_in_hours * 3_600_000_000)
    try:
        asks = initiator or getuser()
    except (OSError, KeyError, ImportError):
        raise MalformedRequest("--initiator is needed: nobody is logged in") from None
    return asks, expires_at if no_later_than is None else min(expires_at, no_later_than)


async def _must_be_approved(settings: Settings, operation: "Operation") -> bool:
    from sqlalchemy.exc import SQLAlchemyError

    from ledger.approvals import read_standing
    from ledger.database import Bounds

    try:
        async with books(settings, Bounds(LOOK_SECONDS, LOOK_SECONDS)) as reader:
            return (await read_standing(reader, operation)).needed > 0
    except FileNotFoundError:
        return False  # no books, no threshold
    except (SQLAlchemyError, OSError):
        return True


def parse_asked(text: str) -> dict[str, str | int]:
    """What somebody approves of, as `status` shows it. Raises MalformedRequest."""
    try:
        asked = json.loads(text)
    except ValueError as error:
        raise MalformedRequest(f"--asked is no JSON ({error}); copy what status shows as asked") from None
    if not isinstance(asked, dict) or not all(type(value) in (str, int) for value in asked.values()):
        raise MalformedRequest("--asked must be one JSON object; copy what status shows as asked")
    return asked


async def approve(settings: Settings, id: str, consent: "Consent", timeout_seconds: float) -> Answer:
    """Approve of a transfer or an entry. Safe to repeat: each person counts once."""
    from engine.approving import Refused, WaitsForNobody, approve

    check_id(id, "id")
    with progress(f"{id}: approving"):
        async with temporal(settings, timeout_seconds) as submitter:
            workflow = await _workflow(submitter, id)
            try:
                standing = await approve(submitter, workflow, consent, timeout_seconds)
            except WaitsForNobody as refused:
                recorded = await _recorded(settings, workflow, consent)
                if recorded is None:
                    return await _refused(settings, workflow, str(refused))
                standing = recorded
            except Refused as refused:
                return await _refused(settings, workflow, str(refused))
    if standing is None:
        return await transfers.status(settings, id)
    return _standing(workflow, consent, standing)


async def _recorded(settings: Settings, workflow: str, consent: "Consent") -> "Standing | None":
    """The answer to a repeat, when its approval was the last one: what the books have of it; None if they do not.

    What was waiting is then what it is without approvals, and does not know of them.
    """
    from activities.approvals import Standing, strange
    from ledger.approvals import read_approvers
    from ledger.keys import Leg, approval_key, operation_key
    from ledger.operation import OutcomeKind

    kind, _, id = workflow.partition("/")
    owner = id if kind == "transfer" else operation_key(id, Leg(kind))
    async with books(settings) as reader:
        given = await reader.asked(approval_key(owner, consent.approver))
        people = tuple(sorted(await read_approvers(reader, owner)))
    if given is None:
        return None
    said = {**consent.content(), "approver": consent.approver}
    differences = given.differences(said) + strange(said, given)
    if not differences:
        return Standing(approvers=people, replayed=True)
    return Standing(kind=OutcomeKind.KEY_REUSED, approvers=people, detail="; ".join(differences))


async def deny(settings: Settings, id: str, denial: "Denial", timeout_seconds: float) -> Answer:
    """Deny what waits for approval, and say how it ended."""
    from engine.approving import Refused, deny

    check_id(id, "id")
    if not denial.reason.isprintable():
        raise MalformedRequest("--reason must be printable characters")
    with progress(f"{id}: denying"):
        async with temporal(settings, timeout_seconds) as submitter:
            workflow = await _workflow(submitter, id)
            try:
                await deny(submitter, workflow, denial, timeout_seconds)
            except Refused as refused:
                return await _refused(settings, workflow, str(refused))
    return await transfers.status(settings, id)


async def _workflow(submitter: "Submitter", id: str) -> str:
    """Who is to be told: the transfer that waits, or else the entry of this id that is under way."""
    from engine.submitting import workflow_id

    transfer = await submitter.find(id)
    if transfer is not None and transfer.awaits_approval:
        return transfer.workflow_id
    entry = await entries.find(submitter, id)
    return workflow_id(id) if entry is None or entry.replayed else entry.workflow_id


def _names(workflow: str) -> dict[str, Any]:
    """How an answer names it: as `status` does."""
    kind, _, id = workflow.partition("/")
    return {"transfer_id": id} if kind == "transfer" else {"id": id, "kind": kind}


async def _refused(settings: Settings, workflow: str, detail: str) -> Answer:
    """Nothing was done: where it is, and why."""
    id = workflow.partition("/")[2]
    now = await transfers.status(settings, id)
    reason = "approval_refused"
    headline = f"[bold]{id}[/]  [yellow]{reason}[/]"
    data = _names(workflow) | {"status": now.data["status"], "reason": reason, "detail": detail}
    return Answer(data, Exit.NO, headline, hide=frozenset({"transfer_id", "id", "kind", "reason"}))


def _standing(workflow: str, consent: "Consent", standing: "Standing") -> Answer:
    is_recorded = standing.kind == "applied"
    waits = Status.AWAITING_APPROVAL if standing.missing else Status.ACCEPTED
    data = _names(workflow) | {
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
    headline = f"[bold]{workflow.partition('/')[2]}[/]  [green]{said}[/] by {consent.approver}{again}"
    exit = Exit.OK if is_recorded else Exit.KEY_REUSED
    return Answer(data, exit, headline, hide=frozenset({"transfer_id", "id", "kind", "replayed", "approver"}))
