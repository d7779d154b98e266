"""The rules of money: what a batch of requests does to the books. Pure: no I/O, no clock, no SQL.

Read `_decide_operation` first; it is the whole order of precedence:

    1. the key is known       the recorded outcome, whatever has happened to the accounts since
    2. other content          key_reused, naming what differs
    3. a leg came first       already_credited, already_debited, already_submitted, already_rejected
    4. the transfer's state   OutOfOrder: an accident, raised and not recorded
    5. version, accounts, money, limits    a rejection, pinned
    6. none of these          the postings, the fence, the transfer's change, the notification

To settle is to debit and then to credit; of a transfer of which all is well, `settling.py` does both at once.
"""

from collections.abc import Sequence
from dataclasses import replace

from ledger.account import Account, Guard
from ledger.books import Books, Recorded, Use
from ledger.errors import OutOfOrder
from ledger.fingerprint import LIMITS, SETTINGS, TERMS, Fingerprint
from ledger.keys import Leg, cash_account, notification_key, transit_account
from ledger.limits import SetLimits
from ledger.notification import Notification
from ledger.obstacles import first_obstacle, version_conflict
from ledger.operation import (
    MarkDelivered,
    OpenAccount,
    Operation,
    Outcome,
    OutcomeKind,
    Request,
    SetAccountStatus,
    Settle,
    Step,
)
from ledger.operations import credit, debit, refund
from ledger.rejections import Code, Rejection
from ledger.settling import settled_at_once
from ledger.transfer import LEGAL_CHANGES, Status, TransferState
from ledger.worked_out import given_back, worked_out


def decide(batch: Sequence[Request], books: Books) -> list[Outcome | OutOfOrder]:
    """Run a batch against the books, in order; change `books` and return one answer for each request.

    A rejected request leaves its neighbours alone, and so does one that is out of order: its accident is
    returned in its place, for the caller to raise. The same key twice in one batch is a replay.
    """
    return [_decide(request, books) for request in batch]


def _decide(request: Request, books: Books) -> Outcome | OutOfOrder:
    match request:
        case Operation() | Settle():
            try:
                return settle(request, books) if isinstance(request, Settle) else _decide_operation(request, books)
            except OutOfOrder as accident:
                return accident
        case OpenAccount():
            return _open_account(request, books)
        case SetAccountStatus():
            return _set_account_status(request, books)
        case SetLimits():
            return _set_limits(request, books)
        case MarkDelivered():
            books.changes.delivered += request.notification_keys
            return Outcome(OutcomeKind.APPLIED)


def settle(request: Settle, books: Books) -> Outcome:
    """Debit, then credit if there is something to be credited; if that is refused, refund: as the workflow does."""
    if (at_once := settled_at_once(request, books)) is not None:
        return at_once
    transfer, mark = request.transfer, request.mark
    debited = _decide_operation(debit(transfer, detail=mark), books)
    if not debited.applied or debited.state is None or debited.state.status is not Status.DEBITED:
        return debited
    credited = _decide_operation(credit(transfer, mark), books)
    if credited.applied:
        return credited
    return _decide_operation(refund(transfer, credited.code or credited.kind, mark), books)


def _decide_operation(operation: Operation, books: Books) -> Outcome:
    if (recorded := books.recorded(operation.key)) is not None:
        return _replay(operation, recorded, books)
    if differences := _other_transfer(operation, books):
        return _key_reused(differences, books.state_of(operation))
    if (came_first := _leg_came_first(operation, books)) is not None:
        return _pin(operation, came_first, books)
    if operation.step is not None:
        _begin(operation, operation.step, books)
    if operation.brings is not None or operation.gives_back is not None:
        operation = worked_out(operation, books)
    if (rejection := first_obstacle(operation, books)) is not None:
        if operation.must_arrive:
            raise OutOfOrder(f"{operation.key} must arrive, and cannot: {rejection.detail}")
        return _reject(operation, rejection, books)
    return _apply(operation, books)


# --- 1 and 2: the key, before anything that can change over time -----------------------------------------


def _replay(operation: Operation, recorded: Recorded, books: Books) -> Outcome:
    state = books.state_of(operation)
    # A fence was put by an operation that knew nothing of the kind of what it fences.
    recipe = None if recorded.kind is OutcomeKind.FENCED else operation.recipe
    if differences := recorded.fingerprint.differences(operation.content, recipe):
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
    recorded = books.recorded(operation.fences) if operation.fences else None
    if recorded is None:
        return None
    leg = recorded.key.rpartition("/")[2]
    if recorded.kind is OutcomeKind.APPLIED:
        return Rejection(_ALREADY.get(leg, Code.ALREADY_ENTERED), f"{recorded.key} is already in the books")
    if recorded.kind is OutcomeKind.REJECTED and (leg == Leg.DEBIT or operation.tells):
        return Rejection(Code.ALREADY_REJECTED, f"{recorded.key} was rejected: {recorded.detail}")
    return None


_ALREADY: dict[str, Code] = {
    Leg.CREDIT: Code.ALREADY_CREDITED,
    Leg.DEBIT: Code.ALREADY_DEBITED,
    Leg.SUBMIT: Code.ALREADY_SUBMITTED,
}


def _begin(operation: Operation, step: Step, books: Books) -> None:
    """Make sure that the transfer is where this operation starts from, entering it in the books if it is new."""
    state = books.state_of(operation)
    if state is None and not step.begins:
        raise OutOfOrder(f"{operation.key} came, but the books know no transfer {step.transfer.id!r}")
    if state is not None and state.status not in step.when:
        raise OutOfOrder(f"{operation.key} came, but transfer {step.transfer.id!r} is {state.status}")
    if state is not None and operation.captures is not None and state.terms is None:
        raise OutOfOrder(f"{operation.key} came as a capture, but transfer {step.transfer.id!r} is no hold")
    if state is None:
        terms = operation.recipe if operation.recipe in TERMS else None
        books.begin(TransferState(step.transfer, Status.ACCEPTED, version=1, terms=terms), operation.key)


# --- 5: the business's own answers (`obstacles.py`) -----------------------------------------------------------


def _reject(operation: Operation, rejection: Rejection, books: Books) -> Outcome:
    if operation.step is not None and operation.step.otherwise is not None:
        detail = rejection.detail if operation.detail is None else f"{rejection.detail} ({operation.detail})"
        _move(operation, operation.step.otherwise, rejection.code, detail, books)
    return _pin(operation, rejection, books)


def _pin(operation: Operation, rejection: Rejection, books: Books) -> Outcome:
    outcome = Outcome(OutcomeKind.REJECTED, rejection.code, rejection.detail, state=books.state_of(operation))
    books.record(operation, outcome)
    return outcome


# --- 6: it happens --------------------------------------------------------------------------------------------


def _apply(operation: Operation, books: Books) -> Outcome:
    for position, posting in enumerate(operation.postings):
        books.post(operation.key, position, posting)
    if operation.reverses is not None:
        books.reverse(operation.key, operation.reverses, operation.postings[0].amount_minor)
    for row in given_back(operation, books):
        books.give_back(row)
    for account_id, amount in books.taken(operation).items():
        if books.accounts[account_id].limits.per_day_minor is not None:
            books.use(Use(operation.key, account_id, books.now, amount))
    if operation.releases is not None:
        books.release(operation.releases, by=operation)
    if operation.approves is not None:
        books.approve(operation.approves.row())
    if operation.fences is not None and books.recorded(operation.fences) is None:
        books.fence(operation.fences, by=operation)
    if operation.step is not None and operation.step.then is not None:
        _move(operation, operation.step.then, operation.reason, operation.detail, books)
    said = operation.detail if operation.step and operation.step.then is None else None  # no event could keep it
    outcome = Outcome(OutcomeKind.APPLIED, detail=said, state=books.state_of(operation))
    books.record(operation, outcome)
    return outcome


def _move(operation: Operation, to: Status, reason: str | None, detail: str | None, books: Books) -> None:
    before = books.state_of(operation)
    assert before is not None, operation.key
    assert (before.status, to) in LEGAL_CHANGES, (operation.key, before.status, to)
    state = replace(before, status=to, version=before.version + 1, reason=reason, detail=detail)
    if to is Status.SETTLED:
        state = replace(state, captured_minor=operation.captures)
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
    if (recorded := _set_before(request, books)) is not None:
        return recorded
    account = books.accounts.get(request.account_id)
    if account is None:
        return _no_account(request.account_id)
    if account.status is request.status:
        return Outcome(OutcomeKind.APPLIED, replayed=True)
    expected = None if request.expected_version is None else (account.id, request.expected_version)
    if (conflict := version_conflict(expected, books)) is not None:
        return Outcome(OutcomeKind.REJECTED, conflict.code, conflict.detail)
    account.status = request.status
    return _now_set(request, account, SETTINGS, books)


def _set_limits(request: SetLimits, books: Books) -> Outcome:
    if (recorded := _set_before(request, books)) is not None:
        return recorded
    account = books.accounts.get(request.account_id)
    if account is None:
        return _no_account(request.account_id)
    if account.currency != request.currency:
        detail = f"account {account.id} is in {account.currency}, not {request.currency}"
        return Outcome(OutcomeKind.REJECTED, Code.CURRENCY_MISMATCH, detail)
    limits = request.on(account.limits)
    if account.limits == limits:
        return Outcome(OutcomeKind.APPLIED, replayed=True)
    account.limits = limits
    books.changes.limited.add(account.id)
    return _now_set(request, account, LIMITS, books)


def _set_before(request: SetAccountStatus | SetLimits, books: Books) -> Outcome | None:
    """The answer if the number of a change of an account's settings is taken."""
    recorded = books.operations.get(request.key) if request.key is not None else None
    if recorded is None:
        return None
    if differences := recorded.fingerprint.differences(request.content()):
        return _key_reused(differences, None)
    return Outcome(OutcomeKind.APPLIED, replayed=True)


def _no_account(account_id: str) -> Outcome:
    return Outcome(OutcomeKind.REJECTED, Code.ACCOUNT_NOT_FOUND, f"there is no account {account_id}")


def _now_set(request: SetAccountStatus | SetLimits, account: Account, recipe: str, books: Books) -> Outcome:
    books.touch(account)
    if request.key is not None:
        books.record_setting(request.key, request.content(), recipe)
    return Outcome(OutcomeKind.APPLIED)
