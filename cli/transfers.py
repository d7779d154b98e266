"""transfer, status, cancel: the commands about one transfer. All of them answer with the same fields."""

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.answers import Answer, Exit
from cli.batches import batch_status, cancel_batch
from cli.entries import cancel as cancel_entry
from cli.entries import status as entry_status
from cli.reach import books, known_otherwise, progress, temporal, waiting, waits
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_id, operation_key
from ledger.money import say
from ledger.transfer import Status, TransferState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from activities.approvals import AwaitedRequest
    from activities.messages import TransferOutcome, TransferRequest
    from engine.submitting import Submitted, Submitter
    from ledger.fingerprint import Content

KEY_REUSED = "key_reused"
_EXITS = {Status.REJECTED: Exit.NO, Status.REFUNDED: Exit.NO, Status.CANCELLED: Exit.NO}
_COLOURS = {Exit.OK: "green", Exit.NO: "yellow", Exit.KEY_REUSED: "red"}
_SUBMIT_AGAIN = "submit it again with the same id, which finishes it"
_CANCEL_ANSWERS = {Status.CANCELLED: "cancelled", Status.REFUNDED: "refunded"}


async def transfer(
    settings: Settings,
    request: "TransferRequest",
    wait: bool,
    timeout_seconds: float,
    awaited: "AwaitedRequest | None" = None,
) -> Answer:
    """Submit a transfer and wait for its outcome, or until it waits for people. Safe to repeat, whatever happened."""
    from activities.approvals import ApprovalRequest
    from activities.messages import ScheduledRequest, TransferOutcome

    accepted, asked = Status.ACCEPTED, request
    if isinstance(request, ScheduledRequest):
        accepted, asked = Status.SCHEDULED, request.as_due()
        wait = await is_past(settings, request.transfer_id, request.due_at, "--at") and wait
    elif isinstance(request, ApprovalRequest):
        asked = request.as_plain()

    async def waited(submitter: "Submitter", submitted: "Submitted") -> "TransferOutcome":
        if (awaited is not None or isinstance(request, ApprovalRequest)) and wait:
            return await until_it_waits(submitter, submitted, timeout_seconds)
        if not wait and not submitted.replayed:
            return TransferOutcome(transfer_id=request.transfer_id, status=accepted)
        return await submitter.outcome(submitted, TransferOutcome, timeout_seconds)

    return await submit(settings, request, asked.content(), waited, timeout_seconds, awaited)


async def submit(
    settings: Settings,
    request: "TransferRequest",
    debit_content: "Content",
    waited: "Callable[[Submitter, Submitted], Awaitable[TransferOutcome]]",
    timeout_seconds: float,
    awaited: "AwaitedRequest | None" = None,
) -> Answer:
    """Submit a transfer of any kind, or as it is `awaited`, and answer with what is `waited` for, or key_reused."""
    from activities.messages import TransferOutcome
    from engine.claiming import claim
    from engine.results import KeyReused

    fields, key = request.model_dump(), operation_key(request.transfer_id, Leg.DEBIT)
    with progress(f"{request.transfer_id}: waiting for the outcome"):
        async with temporal(settings, timeout_seconds) as submitter:
            again, is_theirs = (
                partial(submitter.transfer, request, awaited),
                partial(known_otherwise, settings, key, debit_content),
            )
            submitted = await claim(submitter, again, TransferOutcome, is_theirs, timeout_seconds)
            fields |= _link(settings, submitter.client.namespace, request.transfer_id, submitted.run_id)
            if submitted.differences:
                return answer(fields, KEY_REUSED, KEY_REUSED, "; ".join(submitted.differences))
            try:
                outcome = await waited(submitter, submitted)
            except KeyReused as reused:
                return answer(fields, KEY_REUSED, KEY_REUSED, str(reused))
    return told(fields, outcome)


async def until_it_waits(submitter: "Submitter", submitted: "Submitted", timeout_seconds: float) -> "TransferOutcome":
    """Where a transfer is once it waits for people, a decision or its time; or how it ended. Raises Unanswered."""
    from activities.messages import TransferOutcome

    id = submitted.workflow_id.partition("/")[2]
    found = await waits(submitter, submitted.workflow_id, timeout_seconds)
    if found is None or (status := waiting(found)) is None:
        return await submitter.outcome(submitted, TransferOutcome, timeout_seconds)
    return TransferOutcome(transfer_id=id, status=status, detail="held" if found.is_held else None)


def told(fields: dict[str, Any], outcome: "TransferOutcome") -> Answer:
    """The answer that an outcome makes."""
    fields = fields | {"captured_minor": outcome.captured_minor}
    return answer(fields, outcome.status, outcome.reason, outcome.detail, replayed=outcome.replayed)


async def is_past(settings: Settings, transfer_id: str, instant: int, option: str) -> bool:
    """Whether an instant of a transfer is over. Raises MalformedRequest if that was before anybody has heard of it."""
    if instant > time.time_ns() // 1000:
        return False
    if await state_of(settings, transfer_id) is None and (await _find(settings, transfer_id, True))[1] is None:
        raise MalformedRequest(f"{option} is in the past")
    return True


async def status(settings: Settings, transfer_id: str) -> Answer:
    """Where a transfer is: from the books, and from Temporal as long as the books have not heard of it."""
    from engine.results import Unanswered

    check_id(transfer_id, "transfer id")
    state = await state_of(settings, transfer_id)
    link, known = await _find(settings, transfer_id, must_answer=state is None)
    if state is None and known is not None and not known.replayed:
        return answer({"transfer_id": transfer_id, "asked": known.asked} | link, waiting(known) or Status.ACCEPTED)
    state = state or await state_of(settings, transfer_id, must_be_there=True)  # it may have ended between the looks
    if state is not None:
        return from_the_books(state, link)
    if known is None:
        return (
            await entry_status(settings, transfer_id)
            or await batch_status(settings, transfer_id)
            or not_found(transfer_id)
        )
    raise Unanswered(f"{transfer_id} was closed before the books heard of it; {_SUBMIT_AGAIN}")


async def cancel(settings: Settings, transfer_id: str, reason: str, timeout_seconds: float) -> Answer:
    """Ask for a transfer to be cancelled, and wait for the answer: cancelled, refunded, or too_late."""
    from engine.results import Unanswered

    check_id(transfer_id, "transfer id")
    check_reason(reason)
    state, known = await state_of(settings, transfer_id), True
    if state is None or not state.status.terminal:
        known = await _cancel(settings, transfer_id, reason, timeout_seconds)
        state = await state_of(settings, transfer_id, must_be_there=True)
    if state is None and not known:
        entry = await cancel_entry(settings, transfer_id, reason, timeout_seconds)
        return entry or await cancel_batch(settings, transfer_id, reason, timeout_seconds) or not_found(transfer_id)
    if state is None or not state.status.terminal:
        raise Unanswered(f"nobody is working on {transfer_id}; {_SUBMIT_AGAIN}, then cancel it")
    link, _ = await _find(settings, transfer_id, must_answer=False)
    return from_the_books(state, link | {"cancel": _CANCEL_ANSWERS.get(state.status, "too_late")})


def check_reason(reason: str) -> None:
    """Raises MalformedRequest for a reason that the record cannot hold as it is."""
    if len(reason) > 256 or not reason.isprintable():
        raise MalformedRequest("--reason must be at most 256 printable characters")


async def _cancel(settings: Settings, transfer_id: str, reason: str, timeout_seconds: float) -> bool:
    """Cancel the running workflow, if there is one, and wait for its end. False if Temporal knows none at all."""
    from activities.messages import TransferOutcome

    with progress(f"{transfer_id}: cancelling"):
        async with temporal(settings, timeout_seconds) as submitter:
            found = await submitter.find(transfer_id)
            if found is None:
                return False
            if not found.replayed:
                await submitter.cancel(transfer_id, reason)
                await submitter.outcome(found, TransferOutcome, timeout_seconds)
    return True


def answer(
    fields: dict[str, Any], status: str, reason: str | None = None, detail: str | None = None, replayed: bool = False
) -> Answer:
    """The fields of every answer about a transfer, in the order of the contract."""
    known = None if status == KEY_REUSED else Status(status)
    data = {
        "transfer_id": fields["transfer_id"],
        "status": str(status),
        "reason": reason,
        "detail": detail,
        "replayed": replayed,
        "amount_minor": fields.get("amount_minor"),
        "currency": fields.get("currency"),
        "from": fields.get("source"),
        "to": fields.get("destination"),
        "run_id": fields.get("run_id"),
        "ui_url": fields.get("ui_url"),
        "iso20022_status": known.iso20022 if known else None,
    }
    data |= {
        name: fields[name] for name in ("captured_minor", "cancel", "decision", "asked") if fields.get(name) is not None
    }
    exit = _EXITS.get(known, Exit.OK) if known else Exit.KEY_REUSED
    shown_above = frozenset({"transfer_id", "status", "replayed", "amount_minor", "currency"})
    return Answer(data, exit, _headline(data, exit), hide=shown_above)


def _headline(data: dict[str, Any], exit: Exit) -> str:
    amount = f"  {say(data['amount_minor'], data['currency'])}" if data["amount_minor"] else ""
    again = "  [dim](the recorded outcome: nothing moved now)[/]" if data["replayed"] else ""
    return f"[bold]{data['transfer_id']}[/]  [{_COLOURS[exit]}]{data['status']}[/]{amount}{again}"


def from_the_books(state: TransferState, more: dict[str, Any]) -> Answer:
    """The answer about a transfer that the books know."""
    fields = (
        state.transfer.content() | {"transfer_id": state.transfer.id, "captured_minor": state.captured_minor} | more
    )
    return answer(fields, state.status, state.reason, state.detail)


def refused(state: TransferState, reason: str, why: str) -> Answer:
    """The answer about a transfer of which nothing was done: where it is, and why."""
    data = from_the_books(state, {}).data | {"reason": reason, "detail": why}
    headline = f"[bold]{state.transfer.id}[/]  [yellow]{reason}[/]"
    return Answer(data, Exit.NO, headline, hide=frozenset({"transfer_id", "reason"}))


def not_found(transfer_id: str) -> Answer:
    """The answer about a transfer that neither the books nor Temporal know."""
    reason = "transfer_not_found"
    detail = "nobody has heard of this id so far; if it was submitted, submit it again with the same id"
    data = {"transfer_id": transfer_id, "status": None, "reason": reason, "detail": detail}
    shown_above = frozenset({"transfer_id", "reason"})
    return Answer(data, Exit.NO, f"[bold]{transfer_id}[/]  [yellow]{reason}[/]", hide=shown_above)


async def state_of(settings: Settings, transfer_id: str, must_be_there: bool = False) -> TransferState | None:
    """What the books say about a transfer; None if they have not heard of it.

    Books that do not exist have not heard of anything either, but that is no answer: where one is given because of
    it, they `must_be_there`, and FileNotFoundError says where they were looked for.
    """
    try:
        async with books(settings) as reader:
            return await reader.transfer(transfer_id)
    except FileNotFoundError:
        if must_be_there:
            raise
        return None


async def asked_of(settings: Settings, state: TransferState) -> "TransferRequest":
    """What the caller of a transfer asked for, from the books, to ask it again."""
    from activities.terms import asked_again

    async with books(settings) as reader:
        debit = await reader.asked(operation_key(state.transfer.id, Leg.DEBIT))
    return asked_again(state.transfer, debit)


async def _find(settings: Settings, transfer_id: str, must_answer: bool) -> "tuple[dict[str, Any], Submitted | None]":
    """The link to a transfer's workflow, and what Temporal knows of it. Nothing of both if it need not answer."""
    from engine.connection import NotReachable
    from engine.results import Unanswered

    try:
        async with temporal(settings, 10) as submitter:
            found = await submitter.find(transfer_id)
            namespace = submitter.client.namespace
    except (NotReachable, Unanswered):
        if must_answer:
            raise
        return {}, None
    return (_link(settings, namespace, transfer_id, found.run_id) if found else {}), found


def _link(settings: Settings, namespace: str, transfer_id: str, run_id: str | None) -> dict[str, Any]:
    from engine.connection import workflow_url
    from engine.submitting import workflow_id

    return {"run_id": run_id, "ui_url": workflow_url(settings, namespace, workflow_id(transfer_id), run_id)}
