"""The rules in memory: a transfer's life, and that the key comes before anything that can change over time."""

import dataclasses

from ledger.account import AccountStatus
from ledger.errors import OutOfOrder
from ledger.operation import Outcome
from ledger.operations import cancel, credit, debit, deposit, refund
from ledger.rejections import Code
from ledger.rules import decide
from ledger.transfer import Status
from tests.ledger.in_memory import ask, balances, books_with
from tests.support.examples import a_transfer

# --- a whole life -------------------------------------------------------------------------------------------


def test_a_transfer_goes_through_transit() -> None:
    """The debit takes the money into transit, the credit gives it to the destination, and the transfer is settled."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer(amount_minor=25_00)

    (debited,) = ask(books, debit(transfer))
    assert debited.applied
    assert debited.state is not None
    assert debited.state.status is Status.DEBITED
    assert balances(books) == [75_00, 0, 25_00]

    (credited,) = ask(books, credit(transfer))
    assert credited.applied
    assert books.transfers["T1"].status is Status.SETTLED
    assert balances(books) == [75_00, 25_00, 0]


def test_a_refund_gives_the_money_back() -> None:
    """A debited transfer that is refunded leaves everybody with what they had, and says why it ended."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    ask(books, debit(transfer), refund(transfer, "account_closed", "account bob is closed"))

    assert balances(books) == [100_00, 0, 0]
    assert books.transfers["T1"].status is Status.REFUNDED
    assert books.transfers["T1"].reason == "account_closed"


def test_every_posting_records_both_balances_after_it() -> None:
    """An auditor reads an account's history from its postings alone."""
    books, transfer = books_with(alice=100_00, bob=7_00), a_transfer(amount_minor=25_00)

    ask(books, debit(transfer), credit(transfer))

    after = [(row.debit_balance_after, row.credit_balance_after) for row in books.changes.postings]
    assert after == [(75_00, 25_00), (0, 32_00)]


def test_only_an_ending_is_notified() -> None:
    """A debited transfer tells nobody; a settled one puts one notification into the outbox."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    ask(books, debit(transfer))
    assert books.changes.notifications == []

    ask(books, credit(transfer), credit(transfer))
    assert [notification.key for notification in books.changes.notifications] == ["T1/notify/settled"]


def test_every_change_of_status_is_an_event() -> None:
    """The events are numbered from 1 and each begins where the one before ended."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    ask(books, debit(transfer), credit(transfer))

    assert [(event.sequence, event.before, event.after) for event in books.changes.events] == [
        (1, None, Status.ACCEPTED),
        (2, Status.ACCEPTED, Status.DEBITED),
        (3, Status.DEBITED, Status.SETTLED),
    ]


# --- the key comes first --------------------------------------------------------------------------------------


def test_the_same_key_moves_the_money_once() -> None:
    """The second time, the recorded outcome is told and nothing moves."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    (first,) = ask(books, debit(transfer))
    (second,) = ask(books, debit(transfer))

    assert (first.applied, first.replayed) == (True, False)
    assert (second.applied, second.replayed) == (True, True)
    assert balances(books) == [75_00, 0, 25_00]


def test_the_same_key_twice_in_one_batch_moves_the_money_once() -> None:
    """Group commit may put a retry beside its first attempt; they must not both find the key free."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    outcomes = ask(books, debit(transfer), debit(transfer), debit(transfer))

    assert [outcome.replayed for outcome in outcomes] == [False, True, True]
    assert balances(books) == [75_00, 0, 25_00]


def test_a_replay_is_not_troubled_by_what_happened_since() -> None:
    """The account was emptied, frozen and closed after the debit; asked again, the debit is still applied."""
    books, transfer = books_with(alice=25_00, bob=0), a_transfer(amount_minor=25_00)
    ask(books, debit(transfer))

    for status in (AccountStatus.FROZEN, AccountStatus.CLOSED):
        books.accounts["alice"].status = status
        (again,) = ask(books, debit(transfer))
        assert (again.applied, again.replayed) == (True, True)


def test_a_replay_tells_the_transfers_present_state() -> None:
    """A debit asked again after the transfer has settled says so, so that the caller does not go on."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer), credit(transfer))

    (again,) = ask(books, debit(transfer))

    assert again.state is not None
    assert again.state.status is Status.SETTLED


def test_a_rejection_is_pinned() -> None:
    """Funds that arrive later do not change the answer: a new try is a new transfer id."""
    books, transfer = books_with(alice=0, bob=0), a_transfer(amount_minor=25_00)
    (first,) = ask(books, debit(transfer))
    ask(books, deposit("D1", "alice", 100_00, "USD"))

    (second,) = ask(books, debit(transfer))

    assert (first.rejected, first.code, first.replayed) == (True, Code.INSUFFICIENT_FUNDS, False)
    assert (second.rejected, second.code, second.replayed) == (True, Code.INSUFFICIENT_FUNDS, True)
    assert second.detail == first.detail
    assert balances(books) == [100_00, 0, 0]


def test_a_reused_key_names_what_differs() -> None:
    """The same key with other content is its own answer, says every field, and moves nothing."""
    books = books_with(alice=100_00, bob=0, carol=0)
    ask(books, debit(a_transfer(amount_minor=25_00)))

    (reused,) = ask(books, debit(a_transfer(destination="carol", amount_minor=99_00)))

    assert reused.key_reused
    assert reused.detail == "amount_minor: 2500 -> 9900; destination: bob -> carol"
    assert balances(books) == [75_00, 0, 25_00]


def test_a_reused_key_is_told_before_the_balance_is_looked_at() -> None:
    """More than the account has, under a used key, is a reused key and not insufficient funds."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer(amount_minor=25_00)))

    (reused,) = ask(books, debit(a_transfer(amount_minor=900_00)))

    assert reused.key_reused


def test_a_leg_of_the_same_transfer_with_other_content_is_a_reused_key() -> None:
    """A credit of more than was debited is refused, although the credit's own key is still free."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer(amount_minor=25_00)))

    for operation in (credit, lambda t: refund(t, "asked"), lambda t: cancel(t, "asked")):
        (reused,) = ask(books, operation(a_transfer(amount_minor=99_00)))
        assert (reused.key_reused, reused.detail) == (True, "amount_minor: 2500 -> 9900")

    (credited,) = ask(books, credit(a_transfer(amount_minor=25_00)))
    assert credited.applied


def test_a_reused_key_leaves_the_recorded_outcome_alone() -> None:
    """After the refused try, the original request is still answered as before."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer(amount_minor=25_00)), debit(a_transfer(amount_minor=26_00)))

    (again,) = ask(books, debit(a_transfer(amount_minor=25_00)))

    assert (again.applied, again.replayed) == (True, True)


def test_a_rejection_leaves_its_neighbours_alone() -> None:
    """In one batch, the one that cannot be paid is rejected and the ones around it are paid."""
    books = books_with(alice=100_00, bob=0)
    asked = [a_transfer("T1", amount_minor=30_00), a_transfer("T2", amount_minor=500_00), a_transfer("T3")]

    outcomes = ask(books, *[debit(transfer) for transfer in asked])

    assert [outcome.applied for outcome in outcomes] == [True, False, True]
    assert balances(books) == [45_00, 0, 55_00]


def test_a_batch_is_decided_in_its_order() -> None:
    """Whoever comes first gets the money, and a deposit counts for what comes after it."""
    books = books_with(alice=10_00, bob=0)
    first, second, third = (a_transfer(id, amount_minor=10_00) for id in ("T1", "T2", "T3"))

    outcomes = ask(books, debit(first), debit(second), deposit("D1", "alice", 10_00, "USD"), debit(third))

    assert [outcome.applied for outcome in outcomes] == [True, False, True, True]


def test_an_accident_leaves_its_neighbours_alone() -> None:
    """A leg that is out of order is answered in its own place; the rest of the batch is decided."""
    books = books_with(alice=100_00, bob=0)

    before, accident, after = decide(
        [debit(a_transfer("T1")), credit(a_transfer("T2")), debit(a_transfer("T3"))], books
    )

    assert isinstance(before, Outcome)
    assert before.applied
    assert isinstance(accident, OutOfOrder)
    assert isinstance(after, Outcome)
    assert after.applied


def test_a_recipe_that_looks_at_more_does_not_turn_old_keys_into_conflicts() -> None:
    """A stored fingerprint is compared under its own recipe: a content with a new field is still the same content."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))
    later = dataclasses.replace(debit(transfer), content={**transfer.content(), "purpose": "rent"})

    (again,) = ask(books, later)

    assert (again.applied, again.replayed) == (True, True)
