"""Settling at once: what the rules would decide of a transfer of which all is well, worked out in one go.

Most of a bulk is transfers that the books have not met, between open accounts with money in them. For one of those, its
debit and its credit change the books in one known way, and this is that way, at a quarter of the cost of asking the
rules twice. Whatever is not plainly well is left to them, so that there is one set of rules: a test plays both and
compares every row. Pure.
"""

from ledger.account import Account, AccountStatus, Guard
from ledger.books import Books, Event, Notification, Recorded, RecordedPosting
from ledger.fingerprint import Fingerprint
from ledger.keys import Leg, notification_key, operation_key, transit_account
from ledger.limits import NO_LIMITS
from ledger.money import MAX_MINOR
from ledger.operation import Outcome, OutcomeKind, Posting, Settle
from ledger.transfer import Status, Transfer, TransferState


def settled_at_once(request: Settle, books: Books) -> Outcome | None:
    """Debit and credit a transfer; or change nothing, and None, if anything at all needs a closer look."""
    transfer, accounts = request.transfer, books.accounts
    if transfer.id in books.transfers:
        return None
    source, destination = accounts.get(transfer.source), accounts.get(transfer.destination)
    transit = accounts.get(transit_account(transfer.currency))
    if source is None or destination is None or transit is None:
        return None
    if not _all_is_well(transfer, source, transit, destination):
        return None
    debit, credit = operation_key(transfer.id, Leg.DEBIT), operation_key(transfer.id, Leg.CREDIT)
    changes, settled = books.changes, TransferState(transfer, Status.SETTLED, 3, None, request.mark)
    changes.postings += (
        _post(books, debit, source, transit, transfer.amount_minor),
        _post(books, credit, transit, destination, transfer.amount_minor),
    )
    changes.events += (
        Event(transfer.id, 1, None, Status.ACCEPTED, debit),
        Event(transfer.id, 2, Status.ACCEPTED, Status.DEBITED, debit, None, request.mark),
        Event(transfer.id, 3, Status.DEBITED, Status.SETTLED, credit, None, request.mark),
    )
    fingerprint = Fingerprint(_canonical(transfer))
    for key in (debit, credit):
        recorded = Recorded(key, fingerprint, OutcomeKind.APPLIED, None, None, transfer.id)
        books.operations[key] = recorded
        changes.operations.append(recorded)
    books.transfers[transfer.id] = changes.begun[transfer.id] = settled
    changes.notifications.append(Notification(notification_key(transfer.id, Status.SETTLED), settled))
    return Outcome(OutcomeKind.APPLIED, state=settled)


def _all_is_well(transfer: Transfer, source: Account, transit: Account, destination: Account) -> bool:
    """Whether no obstacle of either operation can be in the way (`obstacles.py`)."""
    amount, currency, room = transfer.amount_minor, transfer.currency, MAX_MINOR - transfer.amount_minor
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


def _post(books: Books, key: str, debited: Account, credited: Account, amount_minor: int) -> RecordedPosting:
    debited.debits_posted += amount_minor
    credited.credits_posted += amount_minor
    books.touch(debited)
    books.touch(credited)
    posting = Posting(debited.id, credited.id, amount_minor, debited.currency)
    return RecordedPosting(key, 0, posting, debited.balance, credited.balance)


def _canonical(transfer: Transfer) -> str:
    """The canonical text of a transfer's content (`fingerprint.py`); nothing in it has a sign to escape."""
    amount, currency, destination, source = (
        transfer.amount_minor, transfer.currency, transfer.destination, transfer.source,
    )  # fmt: skip  # in the order of their names
    return f'{{"amount_minor":{amount},"currency":"{currency}","destination":"{destination}","source":"{source}"}}'
