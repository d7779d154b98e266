"""split, exchange, reverse, set-balance: the commands that move money in one step. All answer with the same fields.

`status` and `cancel` of an entry are here, too; `cli/transfers.py` asks for them when an id is of no transfer.
"""

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from cli.answers import Answer, Exit
from cli.reach import books, known_otherwise, progress, temporal, waiting, waits
from engine.settings import Settings
from ledger.entries import LEGS, Entry, EntryReversal, Reversal, Reversible
from ledger.errors import MalformedRequest
from ledger.keys import check_id
from ledger.money import parse_amount, say
from ledger.operation import ENDING, Outcome, reason_of
from ledger.payouts import clearing_account
from ledger.transfer import Status, Transfer

if TYPE_CHECKING:
    from activities.approvals import AwaitedRequest
    from activities.messages import LegOutcome
    from engine.submitting import Submitted, Submitter

KEY_REUSED = "key_reused"
_COLOURS = {Exit.OK: "green", Exit.NO: "yellow", Exit.KEY_REUSED: "red"}


async def enter(
    settings: Settings, entry: Entry, timeout_seconds: float, awaited: "AwaitedRequest | None" = None
) -> Answer:
    """Submit an entry, or as it is `awaited`, and wait for its outcome or until it waits for people. Safe to repeat."""
    from activities.messages import EntryRequest, LegOutcome
    from engine.claiming import claim
    from engine.results import KeyReused

    request, operation = EntryRequest.of(entry), entry.operation()
    with progress(f"{entry.id}: waiting for the outcome"):
        async with temporal(settings, timeout_seconds) as submitter:
            submit = partial(submitter.enter, request, awaited)
            is_theirs = partial(known_otherwise, settings, operation.key, operation.content)
            submitted = await claim(submitter, submit, LegOutcome, is_theirs, timeout_seconds)
            if submitted.differences:
                return _answer(entry, KEY_REUSED, Exit.KEY_REUSED, KEY_REUSED, "; ".join(submitted.differences))
            if awaited is not None and await waits(submitter, submitted.workflow_id, timeout_seconds) is not None:
                return _answer(entry, Status.AWAITING_APPROVAL, Exit.OK, None)
            try:
                outcome = await submitter.outcome(submitted, LegOutcome, timeout_seconds)
            except KeyReused as reused:
                return _answer(entry, KEY_REUSED, Exit.KEY_REUSED, KEY_REUSED, str(reused))
    return _told(entry, outcome)


async def reverse(
    settings: Settings, reversal_id: str, of: str, kind: str | None, amount: str | None, timeout_seconds: float
) -> Answer:
    """Give back a settled transfer, a split or an exchange, or a part of it: its accounts and currency are its own."""
    check_id(reversal_id, "reversal id")
    check_id(of, "the original's id")
    originals = await _originals(settings, of, kind)
    if len(originals) > 1:
        kinds = ", ".join(_kind(original) for original in originals)
        raise MalformedRequest(f"{of} names more than one: {kinds}; say which one with --kind")
    if not originals:
        reason, detail = "transfer_not_found", f"the books know no {kind or 'transfer, split or exchange'} {of}"
        data = {"id": reversal_id, "kind": "reversal", "status": None, "reason": reason, "detail": detail}
        return Answer(data, Exit.NO, f"[bold]{reversal_id}[/]  [yellow]{reason}[/]  {detail}", hide=frozenset(data))
    (original,) = originals
    if isinstance(original, Reversible):
        currency = original.operation().postings[0].currency
        amount_minor = None if amount is None else parse_amount(amount, currency)
        return await enter(settings, EntryReversal.of_entry(reversal_id, original, amount_minor), timeout_seconds)
    rail, colon, _ = reversal_id.partition(":")
    if colon and original.destination == clearing_account(rail, original.currency):
        raise MalformedRequest(f"ids that begin with {rail}: are for what that rail returns; pick another one")
    amount_minor = original.amount_minor if amount is None else parse_amount(amount, original.currency)
    if amount_minor > original.amount_minor:
        raise MalformedRequest(f"transfer {of} was {say(original.amount_minor, original.currency)}")
    reversal = Reversal(reversal_id, of, original.destination, original.source, amount_minor, original.currency)
    return await enter(settings, reversal, timeout_seconds)


async def _originals(settings: Settings, id: str, kind: str | None) -> list[Transfer | Reversible]:
    """What an id names that can be given back; with a kind, only of that one."""
    async with books(settings) as reader:
        state, entries = await reader.transfer(id), await reader.entries(id)
    found: list[Transfer | Reversible] = [] if state is None else [state.transfer]
    found += [entry for entry, _ in entries if isinstance(entry, Reversible)]
    return [original for original in found if kind in (None, _kind(original))]


def _kind(original: Transfer | Reversible) -> str:
    return str(original.leg) if isinstance(original, Reversible) else "transfer"


async def status(settings: Settings, id: str) -> Answer | None:
    """How an entry ended, or that it is under way; of several kinds with the same id, the first. None if of none."""
    if (ended := await recorded(settings, id)) is not None:
        return _told(*ended)
    async with temporal(settings, 10) as submitter:
        found = await find(submitter, id)
    if found is None or found.replayed:
        return await _after_all(settings, id, found)
    kind = found.workflow_id.partition("/")[0]
    status = str(waiting(found) or Status.ACCEPTED)
    data = {"id": id, "kind": kind, "status": status, "reason": None, "detail": None, "replayed": False}
    hide = frozenset(data)
    if found.asked is not None:
        data["asked"] = found.asked
    return Answer(data, Exit.OK, f"[bold]{id}[/]  {kind}  [green]{status}[/]", hide=hide)


async def cancel(settings: Settings, id: str, reason: str, timeout_seconds: float) -> Answer | None:
    """Ask for an entry never to happen, and wait for the answer: cancelled, or too_late. None if nobody knows it."""
    from activities.messages import LegOutcome
    from engine.results import KeyReused

    ended, found = await recorded(settings, id), None
    if ended is None:
        with progress(f"{id}: cancelling"):
            async with temporal(settings, timeout_seconds) as submitter:
                found = await find(submitter, id)
                if found is not None and not found.replayed:
                    await submitter.cancel_workflow(found.workflow_id, reason)
                    with suppress(KeyReused):
                        await submitter.outcome(found, LegOutcome, timeout_seconds)
        ended = await recorded(settings, id)
    if ended is None:
        return await _after_all(settings, id, found)
    answer = _told(*ended)
    answer.data["cancel"] = "cancelled" if ended[1].fenced else "too_late"
    return answer


async def find(submitter: "Submitter", id: str) -> "Submitted | None":
    """The first workflow of an entry with this id that Temporal knows; one that is running before one that is not."""
    there = [found for leg in LEGS if (found := await submitter.find_workflow(f"{leg}/{id}")) is not None]
    return min(there, key=lambda found: found.replayed, default=None)


async def recorded(settings: Settings, id: str) -> tuple[Entry, Outcome] | None:
    """The entry of an id and how it ended; of several kinds, the first. None if the books know none."""
    async with books(settings) as reader:
        found = await reader.entries(id)
    return found[0] if found else None


async def _after_all(settings: Settings, id: str, found: "Submitted | None") -> Answer | None:
    """It may have ended between two looks. Raises Unanswered for one that closed before the books heard of it."""
    from engine.results import Unanswered

    if found is None:
        return None
    if (ended := await recorded(settings, id)) is not None:
        return _told(*ended)
    raise Unanswered(f"nobody is working on {id}, and the books do not know it; submit it again with the same id")


def _told(entry: Entry, outcome: "LegOutcome | Outcome") -> Answer:
    status, exit = ENDING[outcome.kind], Exit.OK if outcome.applied else Exit.NO
    reason = reason_of(outcome.kind, outcome.code, outcome.detail)
    return _answer(entry, status, exit, reason, outcome.detail, outcome.replayed)


def _answer(
    entry: Entry, status: str, exit: Exit, reason: str | None, detail: str | None = None, replayed: bool = False
) -> Answer:
    """The fields of every answer about an entry; what was asked comes last."""
    data: dict[str, Any] = {
        "id": entry.id,
        "kind": str(entry.leg),
        "status": str(status),
        "reason": reason,
        "detail": detail,
        "replayed": replayed,
        **entry.content(),
    }
    again = "  [dim](the recorded outcome: nothing moved now)[/]" if replayed else ""
    headline = f"[bold]{entry.id}[/]  {entry.leg}  [{_COLOURS[exit]}]{status}[/]{again}"
    return Answer(data, exit, headline, hide=frozenset({"id", "kind", "status", "replayed"}))
