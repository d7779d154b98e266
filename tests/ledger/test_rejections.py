"""Every business answer: what brings it about, that it is pinned, and that it moves nothing."""

from collections.abc import Callable

import pytest

from ledger.account import Account, AccountStatus, Guard
from ledger.books import Books
from ledger.operation import Operation
from ledger.operations import cancel, credit, debit, deposit
from ledger.rejections import Code
from ledger.transfer import Status
from tests.ledger.in_memory import ask, balances, books_with, is_out_of_order
from tests.support.examples import a_transfer


def yen_account(books: Books, id: str) -> None:
    """Add an account in yen."""
    books.open(Account(id, "JPY", Guard.DEBITS_MUST_NOT_EXCEED_CREDITS))


def set_status(books: Books, id: str, status: AccountStatus) -> None:
    """Set an account's status by hand."""
    books.accounts[id].status = status


DEBITS: dict[str, tuple[Code, Callable[[Books], Operation]]] = {
    "unknown source": (Code.ACCOUNT_NOT_FOUND, lambda books: debit(a_transfer(source="nobody"))),
    "unknown destination": (Code.ACCOUNT_NOT_FOUND, lambda books: debit(a_transfer(destination="nobody"))),
    "frozen source": (Code.ACCOUNT_FROZEN, lambda books: debit(a_transfer(source="frozen"))),
    "frozen destination": (Code.ACCOUNT_FROZEN, lambda books: debit(a_transfer(destination="frozen"))),
    "closed source": (Code.ACCOUNT_CLOSED, lambda books: debit(a_transfer(source="closed"))),
    "closed destination": (Code.ACCOUNT_CLOSED, lambda books: debit(a_transfer(destination="closed"))),
    "source in yen": (Code.CURRENCY_MISMATCH, lambda books: debit(a_transfer(source="yen"))),
    "destination in yen": (Code.CURRENCY_MISMATCH, lambda books: debit(a_transfer(destination="yen"))),
    "one cent short": (Code.INSUFFICIENT_FUNDS, lambda books: debit(a_transfer(amount_minor=100_01))),
    "another version": (Code.VERSION_CONFLICT, lambda books: debit(a_transfer(), expected_version=7)),
}


@pytest.mark.parametrize(("code", "make"), DEBITS.values(), ids=DEBITS.keys())
def test_a_debit_is_rejected(code: Code, make: Callable[[Books], Operation]) -> None:
    """The rejection has its code and a sentence, is pinned, ends the transfer, and moves nothing."""
    books = books_with(alice=100_00, bob=0, frozen=100_00, closed=100_00)
    yen_account(books, "yen")
    set_status(books, "frozen", AccountStatus.FROZEN)
    set_status(books, "closed", AccountStatus.CLOSED)

    (first,) = ask(books, make(books))
    (again,) = ask(books, make(books))

    assert (first.rejected, first.code, first.replayed) == (True, code, False)
    assert first.detail
    assert (again.rejected, again.code, again.detail, again.replayed) == (True, code, first.detail, True)
    assert books.transfers["T1"].status is Status.REJECTED
    assert books.transfers["T1"].reason == code
    assert books.changes.postings == []
    assert [notification.key for notification in books.changes.notifications] == ["T1/notify/rejected"]


def test_the_last_cent_can_be_spent() -> None:
    """The guard is "must not exceed": exactly the balance may go."""
    books = books_with(alice=100_00, bob=0)

    (outcome,) = ask(books, debit(a_transfer(amount_minor=100_00)))

    assert outcome.applied
    assert balances(books) == [0, 0, 100_00]


def test_insufficient_funds_says_what_there_is_and_what_is_needed() -> None:
    """The sentence is for people, in the currency's own decimals."""
    books = books_with(alice=5_00, bob=0)

    (outcome,) = ask(books, debit(a_transfer(amount_minor=25_00)))

    assert outcome.detail == "account alice has 5.00 USD, 25.00 USD needed"


@pytest.mark.parametrize(
    ("account_id", "code"),
    [
        ("nobody", Code.ACCOUNT_NOT_FOUND),
        ("frozen", Code.ACCOUNT_FROZEN),
        ("closed", Code.ACCOUNT_CLOSED),
        ("yen", Code.CURRENCY_MISMATCH),
    ],
)
def test_a_deposit_is_rejected(account_id: str, code: Code) -> None:
    """Money from outside needs an open account of its currency; there is no implicit opening."""
    books = books_with(frozen=0, closed=0)
    yen_account(books, "yen")
    set_status(books, "frozen", AccountStatus.FROZEN)
    set_status(books, "closed", AccountStatus.CLOSED)

    (outcome,) = ask(books, deposit("D1", account_id, 5_00, "USD"))

    assert (outcome.rejected, outcome.code) == (True, code)
    assert books.changes.postings == []
    assert "nobody" not in books.accounts


@pytest.mark.parametrize(
    ("status", "code"), [(AccountStatus.FROZEN, Code.ACCOUNT_FROZEN), (AccountStatus.CLOSED, Code.ACCOUNT_CLOSED)]
)
def test_a_credit_is_rejected_by_its_destination(status: AccountStatus, code: Code) -> None:
    """The destination was closed after the debit: the money stays in transit, for the refund."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer(amount_minor=25_00)
    ask(books, debit(transfer))
    set_status(books, "bob", status)

    (outcome,) = ask(books, credit(transfer))

    assert (outcome.rejected, outcome.code) == (True, code)
    assert books.transfers["T1"].status is Status.DEBITED
    assert balances(books) == [75_00, 0, 25_00]
    assert books.changes.notifications == []


def test_a_credit_does_not_ask_for_the_sources_status() -> None:
    """The money has left the source already; closing it does not stop the transfer."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))
    set_status(books, "alice", AccountStatus.CLOSED)

    (outcome,) = ask(books, credit(transfer))

    assert outcome.applied


# --- versions -------------------------------------------------------------------------------------------------


def test_a_debit_applies_at_the_version_it_expects() -> None:
    """The caller has seen the account at version 1, and it still is."""
    books = books_with(alice=100_00, bob=0)

    (outcome,) = ask(books, debit(a_transfer(), expected_version=1))

    assert outcome.applied


def test_every_posting_makes_a_new_version() -> None:
    """Two callers who saw the same version cannot both go: the second is told of a conflict."""
    books = books_with(alice=100_00, bob=0)
    first, second = a_transfer("T1"), a_transfer("T2")

    outcomes = ask(books, debit(first, expected_version=1), debit(second, expected_version=1))

    assert [outcome.code for outcome in outcomes] == [None, Code.VERSION_CONFLICT]
    assert outcomes[1].detail == "account alice is at version 2, not 1"


def test_the_expected_version_is_not_part_of_the_content() -> None:
    """A retry that has read the account anew is still the same debit."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer(), expected_version=1))

    (again,) = ask(books, debit(a_transfer(), expected_version=2))

    assert (again.applied, again.replayed) == (True, True)


# --- guards ---------------------------------------------------------------------------------------------------


def test_an_unguarded_account_may_go_below_zero() -> None:
    """Equity and clearing accounts have no guard."""
    books = books_with(bob=0)
    books.open(Account("equity", "USD", Guard.NONE))

    (outcome,) = ask(books, debit(a_transfer(source="equity", amount_minor=25_00)))

    assert outcome.applied
    assert books.accounts["equity"].balance == -25_00


def test_an_asset_account_cannot_be_credited_below_zero() -> None:
    """For what we own, credits must not exceed debits: crediting takes from it."""
    books, transfer = books_with(alice=100_00), a_transfer(destination="till", amount_minor=25_00)
    books.open(Account("till", "USD", Guard.CREDITS_MUST_NOT_EXCEED_DEBITS))
    ask(books, debit(transfer))

    (outcome,) = ask(books, credit(transfer))

    assert (outcome.rejected, outcome.code) == (True, Code.INSUFFICIENT_FUNDS)


def test_every_code_of_the_picture_can_be_brought_about() -> None:
    """The codes are a public contract; one that nothing returns would be a promise about nothing."""
    rejected = {code for code, _ in DEBITS.values()}
    others = {Code.TOTAL_OVERFLOW, Code.ALREADY_CREDITED, Code.ALREADY_DEBITED, Code.ALREADY_REJECTED}
    of_settings, of_payouts = {Code.ACCOUNT_DIFFERS}, {Code.ALREADY_SUBMITTED}
    of_entries = {Code.QUOTE_EXPIRED, Code.TRANSFER_NOT_FOUND, Code.NOT_SETTLED}
    of_entries |= {Code.DIFFERS_FROM_ORIGINAL, Code.EXCEEDS_ORIGINAL, Code.ENTRY_NOT_FOUND, Code.ALREADY_ENTERED}

    of_limits = {Code.LIMIT_EXCEEDED, Code.APPROVAL_REQUIRED}  # `test_limits.py`, `test_approval.py`
    assert rejected | others | of_settings | of_payouts | of_entries | of_limits == set(Code)


def test_a_cancel_asks_nothing_of_the_accounts() -> None:
    """A transfer between accounts that do not exist can be cancelled: nothing has to move for it."""
    books = books_with()

    (outcome,) = ask(books, cancel(a_transfer(source="nobody", destination="nowhere"), "asked"))

    assert outcome.applied
    assert not is_out_of_order(books, debit(a_transfer(source="nobody", destination="nowhere")))
