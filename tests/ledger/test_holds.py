"""Holds in the books: a debit on terms, and then one capture, or one refund, and never both."""

import json

import pytest

from ledger.account import AccountStatus
from ledger.audit import audit
from ledger.book import Ledger
from ledger.entries import Reversal
from ledger.errors import MalformedRequest
from ledger.operation import Operation, SetAccountStatus
from ledger.operations import cancel, capture, credit, debit, hold, refund
from ledger.rejections import Code
from ledger.transfer import Status
from tests.ledger.in_memory import ask, balances, books_with, is_out_of_order
from tests.support import examples
from tests.support.examples import a_transfer, open_with

TERMS = {"expires_at": 2_000_000_000_000_000}


def place(id: str = "T1") -> Operation:
    """25.00 USD of Alice are held for Bob."""
    return hold(a_transfer(id), "hold-v1", TERMS)


def test_a_part_is_captured_and_the_rest_goes_back_in_the_same_entry() -> None:
    """20.00 of 25.00: Bob has them, Alice has the 5.00, and nothing stays in transit."""
    books = books_with(alice=100_00, bob=0)
    ask(books, place())
    held = balances(books)

    (captured,) = ask(books, capture(a_transfer(), 20_00))

    assert held == [75_00, 0, 25_00]
    assert balances(books) == [80_00, 20_00, 0]
    assert captured.state is not None
    assert (captured.state.status, captured.state.captured_minor) == (Status.SETTLED, 20_00)


def test_a_plain_transfer_cannot_be_captured() -> None:
    """An accident, and not a constraint's business: that would take its neighbours in the batch down with it."""
    books = books_with(alice=100_00, bob=0)
    ask(books, debit(a_transfer()))

    assert is_out_of_order(books, capture(a_transfer(), 20_00))


@pytest.mark.parametrize("amount", [0, -1, 25_01, True, 1.5])
def test_what_can_never_be_captured_is_malformed(amount: int) -> None:
    """Nothing, less than nothing, more than is held, and what is no whole number."""
    with pytest.raises(MalformedRequest):
        capture(a_transfer(), amount)


def test_a_capture_and_giving_it_back_exclude_each_other_whichever_is_first() -> None:
    """The second finds the fence, or that the money has arrived."""
    for first, second, code, ends in (
        (capture(a_transfer(), 20_00), refund(a_transfer(), "voided"), Code.ALREADY_CREDITED, [80_00, 20_00, 0]),
        (refund(a_transfer(), "voided"), capture(a_transfer(), 20_00), "T1/refund", [100_00, 0, 0]),
    ):
        books = books_with(alice=100_00, bob=0)

        _, _, late = ask(books, place(), first, second)

        assert (late.applied, late.code) == (False, code)
        assert balances(books) == ends


def test_a_second_capture_is_the_first_ones_replay_or_key_reused() -> None:
    """There is one capture: another amount changes nothing and is told what was captured."""
    books = books_with(alice=100_00, bob=0)
    _, first, again, other, whole = ask(
        books, place(), *(capture(a_transfer(), amount) for amount in (20_00, 20_00, 5_00)), credit(a_transfer())
    )

    assert [first.applied, again.replayed, other.key_reused, whole.key_reused] == [True] * 4
    assert other.detail == "captured_minor: 2000 -> 500"
    assert balances(books) == [80_00, 20_00, 0]


def test_a_hold_and_a_plain_transfer_of_one_id_are_two_requests() -> None:
    """Whichever is first has the id; the other one is told that it is used."""
    for first, second in ((place(), debit(a_transfer())), (debit(a_transfer()), place())):
        books = books_with(alice=100_00, bob=0)

        _, other = ask(books, first, second)

        assert other.key_reused
        assert "kind: " in (other.detail or "")
        assert balances(books) == [75_00, 0, 25_00]


def test_a_hold_that_was_cancelled_before_it_was_placed_is_fenced() -> None:
    """The fence is put by a cancel that knows no terms, and holds for a debit on terms all the same."""
    books = books_with(alice=100_00, bob=0)

    _, late = ask(books, cancel(a_transfer(), "asked"), place())

    assert late.fenced
    assert balances(books) == [100_00, 0, 0]


def test_terms_that_are_not_the_kinds_own_are_malformed() -> None:
    """All of them and no others, of a kind that there is."""
    for recipe, terms in (("hold-v1", {}), ("hold-v1", TERMS | {"more": 1}), ("v1", {}), ("lease-v1", TERMS)):
        with pytest.raises(MalformedRequest):
            hold(a_transfer(), recipe, terms)


async def test_the_rest_goes_back_even_to_an_account_that_was_frozen(ledger: Ledger) -> None:
    """What was not captured is the source's own; and the audit finds nothing to say about any of it."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([place(), SetAccountStatus("alice", AccountStatus.FROZEN)])

    captured = await ledger.apply(capture(a_transfer(), 1))
    again = await ledger.apply(capture(a_transfer(), 1))

    assert (captured.applied, again.replayed) == (True, True)
    assert await examples.balances(ledger, "alice", "bob", "transit:USD") == [99_99, 1, 0]
    assert (await audit(ledger)).violations == ()


async def test_a_capture_to_an_account_that_was_closed_is_rejected_and_can_be_refunded(ledger: Ledger) -> None:
    """As a credit would be: pinned, and the money goes back."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([place(), SetAccountStatus("bob", AccountStatus.CLOSED)])

    captured = await ledger.apply(capture(a_transfer(), 20_00))
    refunded = await ledger.apply(refund(a_transfer(), "account_closed"))

    assert (captured.code, refunded.applied) == (Code.ACCOUNT_CLOSED, True)
    assert await examples.balances(ledger, "alice", "bob", "transit:USD") == [100_00, 0, 0]
    assert (await audit(ledger)).violations == ()


async def test_what_is_held_is_counted_until_it_is_decided(ledger: Ledger) -> None:
    """Of holds only: a plain transfer in transit is nobody's to have back."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([place("H1"), place("H2"), place("H3"), debit(a_transfer("T1"))])
    before = await ledger.held("alice")
    await ledger.apply_all([capture(a_transfer("H1"), 1), refund(a_transfer("H2"), "voided")])

    assert (before, await ledger.held("alice"), await ledger.held("bob")) == (75_00, 25_00, 0)


async def test_no_more_is_given_back_of_a_hold_than_was_captured(ledger: Ledger) -> None:
    """A reversal is of what the destination got, not of what was held."""
    await open_with(ledger, alice=100_00, bob=50_00)
    await ledger.apply_all([place(), capture(a_transfer(), 20_00)])

    too_much = await ledger.apply(Reversal("R1", "T1", "bob", "alice", 20_01, "USD").operation())
    all_of_it = await ledger.apply(Reversal("R2", "T1", "bob", "alice", 20_00, "USD").operation())

    assert (too_much.code, all_of_it.applied) == (Code.EXCEEDS_ORIGINAL, True)
    assert await examples.balances(ledger, "alice", "bob") == [100_00, 50_00]
    assert (await audit(ledger)).violations == ()


async def test_the_outside_is_told_how_much_was_captured(ledger: Ledger) -> None:
    """A capture's notification has the field; a plain transfer's has none."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([place("H1"), capture(a_transfer("H1"), 20_00)])
    await ledger.apply_all([debit(a_transfer("T1")), credit(a_transfer("T1"))])

    told = [await ledger.notification(f"{id}/notify/settled") for id in ("H1", "T1")]
    bodies = [json.loads(notification.body) for notification in told if notification]

    assert [body.get("captured_minor") for body in bodies] == [20_00, None]
    assert [body["amount_minor"] for body in bodies] == [25_00, 25_00]
