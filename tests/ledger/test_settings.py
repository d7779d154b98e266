"""Settings say "set", not "add": doing one again changes nothing. Only one with a number is remembered."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from ledger.account import AccountStatus, Guard
from ledger.audit import audit
from ledger.book import Ledger
from ledger.books import Books
from ledger.operation import OpenAccount, SetAccountStatus
from ledger.operations import deposit
from ledger.rejections import Code
from tests.ledger.in_memory import ask, books_with
from tests.support.examples import open_with


def test_the_first_account_of_a_currency_opens_its_transit_and_cash() -> None:
    """Nobody has to set a currency up: its own accounts come with the first customer's."""
    books = Books()

    ask(books, OpenAccount("alice", "USD"), OpenAccount("bob", "USD"))

    assert set(books.changes.opened) == {"transit:USD", "cash:USD", "alice", "bob"}
    assert books.accounts["transit:USD"].guard is Guard.DEBITS_MUST_NOT_EXCEED_CREDITS
    assert books.accounts["cash:USD"].guard is Guard.CREDITS_MUST_NOT_EXCEED_DEBITS


def test_opening_an_account_again_changes_nothing() -> None:
    """The same settings are applied already; money that came in meanwhile stays."""
    books = Books()
    ask(books, OpenAccount("alice", "USD"), deposit("D1", "alice", 10_00, "USD"))

    (again,) = ask(books, OpenAccount("alice", "USD"))

    assert (again.applied, again.replayed) == (True, True)
    assert books.accounts["alice"].balance == 10_00


def test_opening_an_account_differently_is_told_and_changes_nothing() -> None:
    """Currency and guard are settled for ever when an account is opened."""
    books = Books()
    ask(books, OpenAccount("alice", "USD"))

    (differs,) = ask(books, OpenAccount("alice", "EUR", Guard.NONE))

    assert (differs.rejected, differs.code) == (True, Code.ACCOUNT_DIFFERS)
    assert differs.detail == "currency: USD -> EUR; guard: debits_must_not_exceed_credits -> none"
    assert books.accounts["alice"].currency == "USD"
    assert "transit:EUR" not in books.accounts


def test_opening_a_closed_account_does_not_reopen_it() -> None:
    """The status is a setting of its own."""
    books = books_with(alice=0)
    ask(books, SetAccountStatus("alice", AccountStatus.CLOSED))

    ask(books, OpenAccount("alice", "USD"))

    assert books.accounts["alice"].status is AccountStatus.CLOSED


@pytest.mark.parametrize("status", [AccountStatus.FROZEN, AccountStatus.CLOSED])
def test_setting_a_status_again_changes_nothing(status: AccountStatus) -> None:
    """The second time the account has it already, and its version stays."""
    books = books_with(alice=0)

    first, again = ask(books, SetAccountStatus("alice", status), SetAccountStatus("alice", status))

    assert (first.applied, first.replayed) == (True, False)
    assert (again.applied, again.replayed) == (True, True)
    assert (books.accounts["alice"].status, books.accounts["alice"].version) == (status, 2)


def test_any_status_can_be_set_from_any_other() -> None:
    """A closed account may be opened again: closing is a decision of people, not the end of a life."""
    for before in AccountStatus:
        for after in AccountStatus:
            books = books_with(alice=0)
            books.accounts["alice"].status = before
            ask(books, SetAccountStatus("alice", after))
            assert books.accounts["alice"].status is after


def test_a_status_with_an_old_version_is_a_conflict() -> None:
    """Somebody has changed the account since the caller looked: nothing is set."""
    books = books_with(alice=0)
    ask(books, deposit("D1", "alice", 5, "USD"))

    (conflict,) = ask(books, SetAccountStatus("alice", AccountStatus.FROZEN, expected_version=1))

    assert (conflict.rejected, conflict.code) == (True, Code.VERSION_CONFLICT)
    assert books.accounts["alice"].status is AccountStatus.OPEN


def test_a_status_with_the_right_version_is_set_and_can_be_asked_again() -> None:
    """The retry of a versioned write that has happened is applied, although its version is now old."""
    books = books_with(alice=0)
    request = SetAccountStatus("alice", AccountStatus.FROZEN, expected_version=1)

    first, again = ask(books, request, request)

    assert (first.applied, first.replayed) == (True, False)
    assert (again.applied, again.replayed) == (True, True)


def test_the_status_of_an_unknown_account_cannot_be_set() -> None:
    """It is told, and no account appears."""
    books = books_with()

    (unknown,) = ask(books, SetAccountStatus("nobody", AccountStatus.FROZEN))

    assert (unknown.rejected, unknown.code) == (True, Code.ACCOUNT_NOT_FOUND)
    assert "nobody" not in books.accounts


def test_settings_are_not_remembered_under_a_key() -> None:
    """Told, not pinned: the answer may be another one tomorrow."""
    books = books_with()
    ask(books, SetAccountStatus("alice", AccountStatus.FROZEN))
    ask(books, OpenAccount("alice", "USD"))

    (now,) = ask(books, SetAccountStatus("alice", AccountStatus.FROZEN))

    assert now.applied
    assert books.operations == {}


def test_a_late_attempt_of_a_numbered_setting_does_not_undo_a_later_one() -> None:
    """The zombie carries the number of its own look, which is taken: nothing changes, whatever it says."""
    books = books_with(alice=0)
    freeze = SetAccountStatus("alice", AccountStatus.FROZEN, number=1)
    first, again, later = ask(books, freeze, freeze, SetAccountStatus("alice", AccountStatus.OPEN, number=2))

    (zombie,) = ask(books, freeze)

    assert [(o.applied, o.replayed) for o in (first, again, later)] == [(True, False), (True, True), (True, False)]
    assert (zombie.applied, zombie.replayed) == (True, True)
    assert books.accounts["alice"].status is AccountStatus.OPEN


def test_a_number_belongs_to_whoever_was_first() -> None:
    """Two looked at the same time: the second is told what was set instead, and looks again."""
    books = books_with(alice=0)
    ask(books, SetAccountStatus("alice", AccountStatus.FROZEN, number=1))

    (second,) = ask(books, SetAccountStatus("alice", AccountStatus.CLOSED, number=1))

    assert (second.key_reused, second.detail) == (True, "status: frozen -> closed")
    assert books.accounts["alice"].status is AccountStatus.FROZEN


def test_a_numbered_setting_that_changes_nothing_takes_no_number() -> None:
    """Nor does one that is not done: the next look finds the same number free."""
    books = books_with(alice=0)

    same, conflict = ask(
        books,
        SetAccountStatus("alice", AccountStatus.OPEN, number=1),
        SetAccountStatus("alice", AccountStatus.FROZEN, expected_version=7, number=1),
    )

    assert (same.replayed, conflict.code) == (True, Code.VERSION_CONFLICT)
    assert books.operations == {}


async def test_the_next_setting_is_one_more_than_the_last(ledger: Ledger) -> None:
    """Also beyond nine, where the order of texts is not that of numbers; neighbours in the alphabet count apart."""
    await open_with(ledger, alice=0, alice2=0)
    statuses = [AccountStatus.FROZEN, AccountStatus.OPEN]

    for number in range(1, 13):
        assert await ledger.next_setting("alice") == number
        assert (await ledger.apply(SetAccountStatus("alice", statuses[(number - 1) % 2], number=number))).applied

    assert await ledger.next_setting("alice2") == 1
    assert (await audit(ledger)).ok


async def test_of_two_workers_that_set_under_one_number_one_is_told(new_database: Callable[[], str]) -> None:
    """The account's lock and the unique key decide, on whichever worker they come."""
    url = new_database()
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(Ledger.open(url))
        other = await stack.enter_async_context(Ledger.open(url)) if url.startswith("postgresql") else ledger
        await open_with(ledger, alice=0)

        answers = await asyncio.gather(
            ledger.apply(SetAccountStatus("alice", AccountStatus.FROZEN, number=1)),
            other.apply(SetAccountStatus("alice", AccountStatus.CLOSED, number=1)),
        )

        assert sorted(answer.kind for answer in answers) == ["applied", "key_reused"]
        assert (await audit(ledger)).ok
