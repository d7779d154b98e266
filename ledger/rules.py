"""The rules of money: what a batch of requests does to the books. Pure: no I/O, no clock, no SQL.

Read `_decide_operation` first; it is the whole order of precedence:

    1. the key is known       the recorded outcome, whatever has happened to the accounts since
    2. other content          key_reused, naming what differs
    3. a leg came first       already_credited, already_debited, already_rejected
    4. the transfer's state   OutOfOrder: an accident, raised and not recorded
    5. version, accounts, money    a rejection, pinned
    6. none of these          the postings, the fence, the transfer's change, the notification
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ledger.account import Account, AccountStatus, Guard
from ledger.books import Books, Notification, Recorded
from ledger.errors import OutOfOrder
from ledger.fingerprint import Fingerprint
from ledger.keys import Leg, cash_account, notification_key, transit_account
from ledger.money import MAX_MINOR, say
from ledger.operation import (
    MarkDelivered,
    OpenAccount,
    Operation,
    Outcome,
    OutcomeKind,
    Posting,
    Request,
    SetAccountStatus,
    Step,
)
from ledger.rejections import Code, Rejection
from ledger.transfer import LEGAL_CHANGES, Status, TransferState


def decide(batch: Sequence[Request], books: Books) -> list[Outcome | OutOfOrder]:
    """Run a batch against the books, in order; change `books` and return one answer for each request.

    A rejected request leaves its neighbours alone, and so does one that is out of order: its accident is
    returned in its place, for the caller to raise. The same key twice in one batch is a replay.
    """
    return [_decide(request, books) for request in batch]


def _decide(request: Request, books: Books) -> Outcome | OutOfOrder:
    match request:
        case Operation():
            try:
                return _decide_operation(request, books)
            except OutOfOrder as accident:
                return accident
        case OpenAccount():
            return _open_account(request, books)
        case SetAccountStatus():
            return _set_account_status(request, books)
        case MarkDelivered():
            books.changes.delivered.append(request.notification_key)
            return Outcome(OutcomeKind.APPLIED)


def _decide_operation(operation: Operation, books: Books) -> Outcome:
    if (recorded := books.operations.get(operation.key)) is not None:
        return _replay(operation, recorded, books)
    if differences := _other_transfer(operation, books):
        return _key_reused(differences, books.state_of(operation))
    if (came_first := _leg_came_first(operation, books)) is not None:
        return _pin(operation, came_first, books)
    if operation.step is not None:
        _begin(operation, operation.step, books)
    if (rejection := _first_rejection(operation, books)) is not None:
        if operation.must_arrive:
            raise OutOfOrder(f"{operation.key} must arrive, and cannot: {rejection.detail}")
        return _reject(operation, rejection, books)
    return _apply(operation, books)


# --- 1 and 2: the key, before anything that can change over time -----------------------------------------


def _replay(operation: Operation, recorded: Recorded, books: Books) -> Outcome:
    state = books.state_of(operation)
    if differences := recorded.fingerprint.differences(operation.content):
        return _key_reused(differences, state)
    return Outcome(recorded.kind, recorded.code, recorded.detail, replayed=True, state=state)


def _other_transfer(operation: Operation, books: Books) -> list[str]:
    state = books.state_of(operation)
    if state is None or state.transfer.content() == operation.content:
        return []
    return Fingerprint.of(state.transfer.content()).differences(operation.content)


def _key_reused(differences: list[str], state: TransferState | None) -> Outcome:
    return Outcome(OutcomeKind.KEY_REUSED, detail="; ".join(differences), state=state)


# --- 3 and 4: the other legs of the same transfer -----------------------------------------------------------


def _leg_came_first(operation: Operation, books: Books) -> Rejection | None:
    """The answer if the operation that this one fences has already been decided; None if it can be fenced."""
    recorded = books.operations.get(operation.fences) if operation.fences else None
    if recorded is None:
        return None
    leg = recorded.key.rpartition("/")[2]
    if recorded.kind is OutcomeKind.APPLIED:
        code = Code.ALREADY_CREDITED if leg == Leg.CREDIT else Code.ALREADY_DEBITED
        return Rejection(code, f"{recorded.key} is already in the books")
    if recorded.kind is OutcomeKind.REJECTED and leg == Leg.DEBIT:
        return Rejection(Code.ALREADY_REJECTED, f"{recorded.key} was rejected: {recorded.detail}")
    return None


def _begin(operation: Operation, step: Step, books: Books) -> None:
    """Make sure that the transfer is where this operation starts from, entering it in the books if it is new."""
    state = books.state_of(operation)
    if state is None and not step.begins:
        raise OutOfOrder(f"{operation.key} came, but the books know no transfer {step.transfer.id!r}")
    if state is not None and state.status not in step.when:
        raise OutOfOrder(f"{operation.key} came, but transfer {step.transfer.id!r} is {state.status}")
    if state is None:
        books.begin(TransferState(step.transfer, Status.ACCEPTED, version=1), operation.key)


# --- 5: the business's own answers ---------------------------------------------------------------------------


def _first_rejection(operation: Operation, books: Books) -> Rejection | None:
    """The first thing that stands in the way, in the order in which a person would look; None if nothing does."""
    for id, currency in operation.must_be_open.items():
        if (rejection := _unusable(id, currency, books, must_be_open=True)) is not None:
            return rejection
    for id, currency in operation.posted_accounts():
        if (rejection := _unusable(id, currency, books, must_be_open=False)) is not None:
            return rejection
    if (rejection := _version_conflict(operation.expected_version, books)) is not None:
        return rejection
    return _no_money(operation, books)


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


def _version_conflict(expected: tuple[str, int] | None, books: Books) -> Rejection | None:
    if expected is None:
        return None
    account, version = books.accounts[expected[0]], expected[1]
    if account.version == version:
        return None
    return Rejection(Code.VERSION_CONFLICT, f"account {account.id} is at version {account.version}, not {version}")


def _no_money(operation: Operation, books: Books) -> Rejection | None:
    """Guards and totals, posting by posting, each on top of the ones before it."""
    accounts: Mapping[str, Account] = books.accounts
    if len(operation.postings) > 1:
        accounts = {id: replace(books.accounts[id]) for id, _ in operation.posted_accounts()}
    for posting in operation.postings:
        debited, credited = accounts[posting.debit_account_id], accounts[posting.credit_account_id]
        if (rejection := _first_obstacle(posting, debited, credited, operation.must_arrive)) is not None:
            return rejection
        if accounts is not books.accounts:
            debited.debits_posted += posting.amount_minor
            credited.credits_posted += posting.amount_minor
    return None


def _first_obstacle(posting: Posting, debited: Account, credited: Account, must_arrive: bool) -> Rejection | None:
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


def _reject(operation: Operation, rejection: Rejection, books: Books) -> Outcome:
    if operation.step is not None and operation.step.otherwise is not None:
        _move(operation, operation.step.otherwise, rejection.code, rejection.detail, books)
    return _pin(operation, rejection, books)


def _pin(operation: Operation, rejection: Rejection, books: Books) -> Outcome:
    outcome = Outcome(OutcomeKind.REJECTED, rejection.code, rejection.detail, state=books.state_of(operation))
    books.record(operation, outcome)
    return outcome


# --- 6: it happens --------------------------------------------------------------------------------------------


def _apply(operation: Operation, books: Books) -> Outcome:
    for position, posting in enumerate(operation.postings):
        books.post(operation.key, position, posting)
    if operation.fences is not None and operation.fences not in books.operations:
        books.fence(operation.fences, by=operation)
    if operation.step is not None:
        _move(operation, operation.step.then, operation.reason, operation.detail, books)
    outcome = Outcome(OutcomeKind.APPLIED, state=books.state_of(operation))
    books.record(operation, outcome)
    return outcome


def _move(operation: Operation, to: Status, reason: str | None, detail: str | None, books: Books) -> None:
    before = books.state_of(operation)
    assert before is not None, operation.key
    assert (before.status, to) in LEGAL_CHANGES, (operation.key, before.status, to)
    state = TransferState(before.transfer, to, before.version + 1, reason, detail)
    books.move(state, before.status, operation.key)
    if to.terminal:
        books.changes.notifications.append(Notification(notification_key(state.transfer.id, to), state))


# --- settings: set, not add -----------------------------------------------------------------------------------


def _open_account(request: OpenAccount, books: Books) -> Outcome:
    account = books.accounts.get(request.account_id)
    if account is not None:
        wanted = {"currency": request.currency, "guard": request.guard}
        has = {"currency": account.currency, "guard": account.guard}
        differing = [f"{name}: {has[name]} -> {wanted[name]}" for name in wanted if has[name] != wanted[name]]
        if differing:
            return Outcome(OutcomeKind.REJECTED, Code.ACCOUNT_DIFFERS, "; ".join(differing))
        return Outcome(OutcomeKind.APPLIED, replayed=True)
    for own, guard in (
        (transit_account(request.currency), Guard.DEBITS_MUST_NOT_EXCEED_CREDITS),
        (cash_account(request.currency), Guard.CREDITS_MUST_NOT_EXCEED_DEBITS),
    ):
        if own not in books.accounts:
            books.open(Account(own, request.currency, guard))
    books.open(Account(request.account_id, request.currency, request.guard))
    return Outcome(OutcomeKind.APPLIED)


def _set_account_status(request: SetAccountStatus, books: Books) -> Outcome:
    if request.key is not None and (recorded := books.operations.get(request.key)) is not None:
        if differences := recorded.fingerprint.differences(request.content()):
            return _key_reused(differences, None)
        return Outcome(OutcomeKind.APPLIED, replayed=True)
    account = books.accounts.get(request.account_id)
    if account is None:
        return Outcome(OutcomeKind.REJECTED, Code.ACCOUNT_NOT_FOUND, f"there is no account {request.account_id}")
    if account.status is request.status:
        return Outcome(OutcomeKind.APPLIED, replayed=True)
    expected = None if request.expected_version is None else (account.id, request.expected_version)
    if (conflict := _version_conflict(expected, books)) is not None:
        return Outcome(OutcomeKind.REJECTED, conflict.code, conflict.detail)
    account.status = request.status
    books.touch(account)
    if request.key is not None:
        books.record_setting(request.key, request.content())
    return Outcome(OutcomeKind.APPLIED)
