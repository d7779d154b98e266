"""Obstacles: what can stand in the way of an operation, in the order in which a person would look. Pure.

the accounts       there, open, in the right currency
expectations       a version, a quote that has not expired, a transfer that can be reversed
the money          guards and totals, posting by posting
the limits         of each account that something is taken from, and the approvals of people
"""

from collections.abc import Mapping
from dataclasses import replace

from ledger.account import Account, AccountStatus, Guard
from ledger.approval import approvers
from ledger.books import Books
from ledger.money import MAX_MINOR, say
from ledger.operation import Operation, OutcomeKind, Posting
from ledger.rejections import Code, Rejection
from ledger.transfer import Status
from ledger.worked_out import given_back_before


def first_obstacle(operation: Operation, books: Books) -> Rejection | None:
    """The first thing that stands in an operation's way; None if nothing does."""
    for id, currency in operation.must_be_open.items():
        if (rejection := _unusable(id, currency, books, must_be_open=True)) is not None:
            return rejection
    for id, currency in operation.posted_accounts():
        if (rejection := _unusable(id, currency, books, must_be_open=False)) is not None:
            return rejection
    for rejection in (
        version_conflict(operation.expected_version, books),
        _too_late(operation, books),
        _not_to_be_reversed(operation, books),
        _not_to_be_given_back(operation, books),
    ):
        if rejection is not None:
            return rejection
    return _no_money(operation, books) or _beyond_a_limit(operation, books) or _not_approved(operation, books)


def _unusable(account_id: str, currency: str, books: Books, must_be_open: bool) -> Rejection | None:
    account = books.accounts.get(account_id)
    if account is None:
        return Rejection(Code.ACCOUNT_NOT_FOUND, f"there is no account {account_id}")
    if must_be_open and account.status is not AccountStatus.OPEN:
        code = Code.ACCOUNT_FROZEN if account.status is AccountStatus.FROZEN else Code.ACCOUNT_CLOSED
        return Rejection(code, f"account {account_id} is {account.status}")
    if account.currency != currency:
        return Rejection(Code.CURRENCY_MISMATCH, f"account {account_id} is in {account.currency}, not {currency}")
    return None


def version_conflict(expected: tuple[str, int] | None, books: Books) -> Rejection | None:
    """Whether an account is still at the version (id and number) that somebody expects; None if it is."""
    if expected is None:
        return None
    account, version = books.accounts[expected[0]], expected[1]
    if account.version == version:
        return None
    return Rejection(Code.VERSION_CONFLICT, f"account {account.id} is at version {account.version}, not {version}")


def _too_late(operation: Operation, books: Books) -> Rejection | None:
    if operation.valid_until is None or books.now <= operation.valid_until:
        return None
    return Rejection(Code.QUOTE_EXPIRED, f"it was to happen {(books.now - operation.valid_until) / 1e6:.1f} s earlier")


def _not_to_be_reversed(operation: Operation, books: Books) -> Rejection | None:
    """A reversal gives back a settled transfer, between its own accounts, and never more of it than there was."""
    if operation.reverses is None:
        return None
    (posting,), original = operation.postings, books.transfers.get(operation.reverses)
    if original is None:
        return Rejection(Code.TRANSFER_NOT_FOUND, f"there is no transfer {operation.reverses}")
    transfer = original.transfer
    if original.status is not Status.SETTLED:
        return Rejection(Code.NOT_SETTLED, f"transfer {transfer.id} is {original.status}")
    back = (transfer.destination, transfer.source, transfer.currency)
    if (posting.debit_account_id, posting.credit_account_id, posting.currency) != back:
        detail = f"transfer {transfer.id} is given back from {back[0]} to {back[1]} in {back[2]}"
        return Rejection(Code.DIFFERS_FROM_ORIGINAL, detail)
    left = original.moved_minor - books.reversed.get(transfer.id, 0)
    if posting.amount_minor > left:
        detail = f"of transfer {transfer.id}, {say(left, transfer.currency)} can still be given back"
        return Rejection(Code.EXCEEDS_ORIGINAL, detail)
    return None


def _not_to_be_given_back(operation: Operation, books: Books) -> Rejection | None:
    """The same of an entry: it is in the books exactly as it is named, and no more of it comes back than is left."""
    if operation.gives_back is None:
        return None
    original = operation.gives_back.original
    recorded = books.operations.get(original.key)
    if recorded is None:
        return Rejection(Code.ENTRY_NOT_FOUND, f"there is no entry {original.key}")
    if recorded.kind is not OutcomeKind.APPLIED:
        return Rejection(Code.NOT_SETTLED, f"entry {original.key} was {recorded.kind}")
    if differences := recorded.fingerprint.differences(original.content(), original.recipe):
        return Rejection(Code.DIFFERS_FROM_ORIGINAL, f"entry {original.key}: {'; '.join(differences)}")
    before = given_back_before(original, books)
    if operation.gives_back.amount_minor > (left := original.left(before)):
        currency = original.operation().postings[0].currency
        return Rejection(
            Code.EXCEEDS_ORIGINAL, f"of entry {original.key}, {say(left, currency)} can still be given back"
        )
    return None


def _no_money(operation: Operation, books: Books) -> Rejection | None:
    """Guards and totals, posting by posting, each on top of the ones before it."""
    accounts: Mapping[str, Account] = books.accounts
    if len(operation.postings) > 1:
        accounts = {id: replace(books.accounts[id]) for id, _ in operation.posted_accounts()}
    for posting in operation.postings:
        debited, credited = accounts[posting.debit_account_id], accounts[posting.credit_account_id]
        if (rejection := _in_the_way(posting, debited, credited, operation.must_arrive)) is not None:
            return rejection
        if accounts is not books.accounts:
            debited.debits_posted += posting.amount_minor
            credited.credits_posted += posting.amount_minor
    return None


def _in_the_way(posting: Posting, debited: Account, credited: Account, must_arrive: bool) -> Rejection | None:
    """A guard, or a total that would not fit.

    Of all but a refund the turnover must fit (both totals of an account together). So a refund always does: what can
    still come back to an account is part of its debits, and what can still leave transit is part of its credits.
    """
    amount = posting.amount_minor
    if debited.guard is Guard.DEBITS_MUST_NOT_EXCEED_CREDITS and debited.balance < amount:
        return _insufficient(debited, amount)
    if credited.guard is Guard.CREDITS_MUST_NOT_EXCEED_DEBITS and credited.balance < amount:
        return _insufficient(credited, amount)
    fullest = max(debited.debits_posted, credited.credits_posted)
    if not must_arrive:
        turnovers = (account.debits_posted + account.credits_posted for account in (debited, credited))
        fullest = max(turnovers)
    if fullest + amount > MAX_MINOR:
        return Rejection(Code.TOTAL_OVERFLOW, f"a total would exceed {MAX_MINOR} minor units")
    return None


def _insufficient(account: Account, amount: int) -> Rejection:
    has, needed = say(account.balance, account.currency), say(amount, account.currency)
    return Rejection(Code.INSUFFICIENT_FUNDS, f"account {account.id} has {has}, {needed} needed")


def _beyond_a_limit(operation: Operation, books: Books) -> Rejection | None:
    """More than an account may pay at once, or in a day together with what it has paid."""
    for id, amount in books.taken(operation).items():
        account = books.accounts[id]
        at_once, in_a_day = account.limits.per_transfer_minor, account.limits.per_day_minor
        asked = say(amount, account.currency)
        if at_once is not None and amount > at_once:
            detail = f"account {id} may pay {say(at_once, account.currency)} at once, {asked} asked"
            return Rejection(Code.LIMIT_EXCEEDED, detail)
        left = amount if in_a_day is None else max(in_a_day - books.used.get(id, 0), 0)
        if in_a_day is not None and amount > left:
            may, rest = say(in_a_day, account.currency), say(left, account.currency)
            detail = f"account {id} may pay {may} in 24 hours, of which {rest} is left, {asked} asked"
            return Rejection(Code.LIMIT_EXCEEDED, detail)
    return None


def _not_approved(operation: Operation, books: Books) -> Rejection | None:
    """More than an account pays without approval, and too few people have approved of exactly this."""
    for id, amount in books.taken(operation).items():
        limits = books.accounts[id].limits
        if not (needed := limits.approvals_for(amount)):
            continue
        intent = operation.intent
        given = len(approvers(intent, books.approvals.get(intent.owner, [])))
        if given < needed:
            above = say(limits.approval_above_minor or 0, books.accounts[id].currency)
            detail = f"account {id} pays more than {above} with {needed} approvals, {given} given"
            return Rejection(Code.APPROVAL_REQUIRED, detail)
    return None
