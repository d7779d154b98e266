"""Settling at once: what the rules would decide of a transfer of which all is well, worked out in one go.

Most of a bulk is transfers that the books have not met, between open accounts with money in them. For one of those, its
debit and its credit change the books in one known way: three accounts' totals, and nine rows that follow from what was
asked and from three balances. So one `Settled` stands for all nine, and the database makes the rows of it
(`settled_rows.py`). Whatever is not plainly well is left to the rules, so that there is one set of them: tests play
both and compare every answer and every row. Pure.
"""

from ledger.account import Account, AccountStatus, Guard
from ledger.books import Books, Changes, Event, Recorded, RecordedPosting, Settled
from ledger.fingerprint import Fingerprint
from ledger.keys import Leg, notification_key, operation_key, transit_account
from ledger.limits import NO_LIMITS
from ledger.money import MAX_MINOR
from ledger.notification import Notification
from ledger.operation import Outcome, OutcomeKind, Posting, Settle
from ledger.transfer import Status, TransferState


def settled_at_once(request: Settle, books: Books) -> Outcome | None:
    """Debit and credit a transfer; or change nothing, and None, if anything at all needs a closer look."""
    transfer, accounts = request.transfer, books.accounts
    if transfer.id in books.transfers:
        return None
    source, destination = accounts.get(transfer.source), accounts.get(transfer.destination)
    transit, amount = accounts.get(transit_account(transfer.currency)), transfer.amount_minor
    if source is None or destination is None or transit is None:
        return None
    if not _all_is_well(amount, transfer.currency, source, transit, destination):
        return None
    changes, settled = books.changes, TransferState(transfer, Status.SETTLED, 3, None, request.mark)
    balance_in_transit = transit.credits_posted - transit.debits_posted + amount
    source.debits_posted += amount
    transit.credits_posted += amount
    transit.debits_posted += amount
    destination.credits_posted += amount
    for account in (source, transit, transit, destination):
        books.touch(account)
    books.transfers[transfer.id] = settled
    balances = (source.balance, balance_in_transit, destination.balance)
    changes.settled[transfer.id] = Settled(settled, *balances, len(changes.postings))
    return Outcome(OutcomeKind.APPLIED, state=settled)


def _all_is_well(amount: int, currency: str, source: Account, transit: Account, destination: Account) -> bool:
    """Whether no obstacle of either operation can be in the way (`obstacles.py`)."""
    room = MAX_MINOR - amount
    return (
        source.status is AccountStatus.OPEN is destination.status
        and source.limits == NO_LIMITS
        and source.currency == currency == destination.currency == transit.currency
        and (source.guard is not Guard.DEBITS_MUST_NOT_EXCEED_CREDITS or source.balance >= amount)
        and transit.guard is Guard.DEBITS_MUST_NOT_EXCEED_CREDITS
        and destination.guard is not Guard.CREDITS_MUST_NOT_EXCEED_DEBITS
        and source.debits_posted + source.credits_posted <= room
        and destination.debits_posted + destination.credits_posted <= room
        and transit.debits_posted + transit.credits_posted <= room - amount
    )


def unfold(changes: Changes) -> None:
    """Put in the place of each `Settled` all that it stands for: what the rules would have recorded, in their order."""
    postings: list[RecordedPosting] = []
    written = 0
    for one in changes.settled.values():
        postings += changes.postings[written : one.postings_before]
        written = one.postings_before
        postings += _unfold(one, changes)
    changes.postings = postings + changes.postings[written:]
    changes.settled = {}


def _unfold(one: Settled, changes: Changes) -> tuple[RecordedPosting, RecordedPosting]:
    transfer, mark = one.state.transfer, one.state.detail
    debit, credit = operation_key(transfer.id, Leg.DEBIT), operation_key(transfer.id, Leg.CREDIT)
    changes.begun[transfer.id] = one.state
    content = Fingerprint.of(transfer.content())
    changes.operations += (Recorded(k, content, OutcomeKind.APPLIED, transfer_id=transfer.id) for k in (debit, credit))
    changes.events += (
        Event(transfer.id, 1, None, Status.ACCEPTED, debit),
        Event(transfer.id, 2, Status.ACCEPTED, Status.DEBITED, debit, None, mark),
        Event(transfer.id, 3, Status.DEBITED, Status.SETTLED, credit, None, mark),
    )
    changes.notifications.append(Notification(notification_key(transfer.id, Status.SETTLED), one.state))
    transit = transit_account(transfer.currency)
    taken = Posting(transfer.source, transit, transfer.amount_minor, transfer.currency)
    given = Posting(transit, transfer.destination, transfer.amount_minor, transfer.currency)
    left_in_transit = one.transit_after_debit - transfer.amount_minor
    return (
        RecordedPosting(debit, 0, taken, one.source_after, one.transit_after_debit),
        RecordedPosting(credit, 0, given, left_in_transit, one.destination_after),
    )
