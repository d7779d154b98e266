"""Totals that would not fit: refused before the money leaves, so that a refund never meets a full total."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.money import MAX_MINOR
from ledger.operation import Operation, Outcome, Posting
from ledger.operations import credit, debit, deposit, refund
from ledger.rejections import Code
from ledger.rules import decide
from ledger.transfer import Status
from tests.ledger.in_memory import ask, balances, books_with
from tests.support.examples import a_transfer


def test_a_total_never_exceeds_what_the_databases_hold() -> None:
    """Totals only grow, up to 2^63-1: a deposit that would pass it is rejected, not wrapped around."""
    books = books_with(alice=0)
    (fits,) = ask(books, deposit("D1", "alice", MAX_MINOR, "USD"))
    assert fits.applied

    (too_much,) = ask(books, deposit("D2", "alice", 1, "USD"))

    assert (too_much.rejected, too_much.code) == (True, Code.TOTAL_OVERFLOW)
    assert books.accounts["alice"].balance == MAX_MINOR


def test_a_debit_needs_room_for_its_refund() -> None:
    """A refund credits the source once more; if that could not fit, the money must not leave."""
    books = books_with(alice=MAX_MINOR, bob=0)

    (outcome,) = ask(books, debit(a_transfer(amount_minor=1)))

    assert (outcome.rejected, outcome.code) == (True, Code.TOTAL_OVERFLOW)
    assert balances(books) == [MAX_MINOR, 0, 0]


def test_a_debit_with_room_for_its_refund_can_be_refunded() -> None:
    """The largest transfer that the totals allow goes out and comes back."""
    books, transfer = books_with(alice=MAX_MINOR - 5, bob=0), a_transfer(amount_minor=5)

    debited, refunded = ask(books, debit(transfer), refund(transfer, "asked"))

    assert debited.applied
    assert refunded.applied
    assert balances(books) == [MAX_MINOR - 5, 0, 0]


def test_a_credit_that_would_not_fit_is_rejected_and_refunded() -> None:
    """The destination's total is full: the money goes back to the source."""
    books, transfer = books_with(alice=100, bob=MAX_MINOR - 100), a_transfer(amount_minor=50)
    books.accounts["bob"].credits_posted = MAX_MINOR - 10
    ask(books, debit(transfer))

    credited, refunded = ask(books, credit(transfer), refund(transfer, "total_overflow"))

    assert (credited.rejected, credited.code) == (True, Code.TOTAL_OVERFLOW)
    assert refunded.applied
    assert books.accounts["alice"].balance == 100


def test_two_debits_in_transit_have_room_for_both_of_their_refunds() -> None:
    """Each alone would fit; together their refunds would not. The second must not leave."""
    books = books_with(alice=MAX_MINOR - 5, bob=0)

    first, second = ask(books, *(debit(a_transfer(id, amount_minor=5)) for id in ("T1", "T2")))

    assert first.applied
    assert (second.rejected, second.code) == (True, Code.TOTAL_OVERFLOW)
    (refunded,) = ask(books, refund(a_transfer("T1", amount_minor=5), "asked"))
    assert refunded.applied


@given(st.lists(st.tuples(st.sampled_from(["deposit", "debit", "credit", "refund"]), st.integers(0, 9)), max_size=60))
def test_whatever_is_in_transit_can_always_be_refunded(steps: list[tuple[str, int]]) -> None:
    """With totals that overflow above 16: after any history, all refunds at once still fit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ledger.obstacles.MAX_MINOR", 16)
        books = books_with(alice=8, bob=8)
        asked = [a_transfer(f"T{n}", *[("alice", "bob"), ("bob", "alice")][n % 2], n % 4 + 1) for n in range(60)]
        for position, (name, number) in enumerate(steps):
            transfer = asked[number]
            match name:
                case "deposit":
                    operation = deposit(f"D{position}", transfer.source, number + 1, "USD")
                case "debit":
                    operation = debit(asked[position])
                case "credit":
                    operation = credit(transfer)
                case _:
                    operation = refund(transfer, "asked")
            decide([operation], books)
        debited = [t for t in asked if t.id in books.transfers and books.transfers[t.id].status is Status.DEBITED]

        refunds = decide([refund(transfer, "asked") for transfer in debited], books)

        assert all(isinstance(answer, Outcome) and answer.applied for answer in refunds)
        assert max(max(a.debits_posted, a.credits_posted) for a in books.accounts.values()) <= 16
        assert books.accounts["transit:USD"].balance == 0


def test_postings_of_one_operation_are_checked_on_top_of_each_other() -> None:
    """Each alone could be paid, both together cannot; and what one brings in, the next may spend."""
    books = books_with(alice=10, bob=0, carol=0)
    to_bob, to_carol = Posting("alice", "bob", 7, "USD"), Posting("alice", "carol", 7, "USD")
    onwards = Posting("bob", "carol", 7, "USD")

    too_much, passed_on = ask(
        books,
        Operation(key="E1/credit", content={}, postings=(to_bob, to_carol)),
        Operation(key="E2/credit", content={}, postings=(to_bob, onwards)),
    )

    assert (too_much.rejected, too_much.code) == (True, Code.INSUFFICIENT_FUNDS)
    assert passed_on.applied
    assert [books.accounts[id].balance for id in ("alice", "bob", "carol")] == [3, 0, 7]
