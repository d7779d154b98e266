"""Payouts in the books: before a rail is asked it is said that it may be, and that can be won by one side only."""

from ledger.account import AccountStatus
from ledger.audit import audit
from ledger.book import Ledger
from ledger.entries import Reversal
from ledger.operation import OpenAccount, Operation, OutcomeKind, SetAccountStatus
from ledger.operations import debit, hold, refund
from ledger.payouts import clearing_account, paid, recall, submission
from ledger.rejections import Code
from ledger.transfer import Status, Transfer
from tests.ledger.in_memory import books_with, is_out_of_order
from tests.support import examples
from tests.support.examples import a_transfer, open_with

TERMS = {"rail": "bank", "beneficiary": "acct-1"}


def payout(id: str = "P1") -> Transfer:
    """25.00 USD of Alice's, over the bank."""
    return a_transfer(id, destination=clearing_account("bank", "USD"))


async def open_books(ledger: Ledger) -> None:
    """Alice has 100.00 USD, Bob and the bank's account nothing."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(OpenAccount(clearing_account("bank", "USD"), "USD"))


def place(id: str = "P1") -> Operation:
    """Its debit."""
    return hold(payout(id), "payout-v1", TERMS)


async def test_a_recall_and_a_submission_exclude_each_other_whichever_is_first(ledger: Ledger) -> None:
    """The second finds the first: there is one key to win or to lose, for every run there ever is."""
    await open_books(ledger)
    await ledger.apply_all([place("P1"), place("P2")])

    recalled = await ledger.apply(recall(payout("P1"), "cancelled"))
    late_submission = await ledger.apply(submission(payout("P1")))
    submitted = await ledger.apply(submission(payout("P2")))
    late_recall = await ledger.apply(recall(payout("P2"), "cancelled"))

    assert (recalled.applied, late_submission.kind) == (True, OutcomeKind.FENCED)
    assert (submitted.applied, late_recall.code) == (True, Code.ALREADY_SUBMITTED)
    assert await examples.balances(ledger, "alice", "bank:USD", "transit:USD") == [50_00, 0, 50_00]
    assert (await audit(ledger)).ok


async def test_neither_moves_anything_nor_ends_the_payout(ledger: Ledger) -> None:
    """Only the rail's answer, or the refund after a recall, does."""
    await open_books(ledger)
    await ledger.apply(place())
    again = [await ledger.apply(submission(payout())) for _ in range(2)]

    assert [outcome.replayed for outcome in again] == [False, True]
    assert await examples.status(ledger, "P1") is Status.DEBITED
    assert await ledger.recorded_at("P1/submit") is not None
    assert await ledger.recorded_at("P1/credit") is None


async def test_what_was_paid_outside_is_booked_whatever_has_become_of_the_account(ledger: Ledger) -> None:
    """The rail's account was closed meanwhile. The money is gone all the same."""
    await open_books(ledger)
    await ledger.apply_all([place(), submission(payout()), SetAccountStatus("bank:USD", AccountStatus.CLOSED)])

    outcome = await ledger.apply(paid(payout()))

    assert outcome.applied
    assert await examples.balances(ledger, "alice", "bank:USD", "transit:USD") == [75_00, 25_00, 0]
    assert (await audit(ledger)).ok


async def test_a_return_is_a_reversal_once(ledger: Ledger) -> None:
    """It has the rail's id of the return; a second return of the same payout exceeds it."""
    await open_books(ledger)
    await ledger.apply_all([place(), submission(payout()), paid(payout())])
    first = Reversal("bank:ret_1", "P1", "bank:USD", "alice", 25_00, "USD").operation()
    second = Reversal("bank:ret_2", "P1", "bank:USD", "alice", 25_00, "USD").operation()

    outcomes = [await ledger.apply(operation) for operation in (first, first, second)]

    assert [outcome.replayed for outcome in outcomes] == [False, True, False]
    assert outcomes[2].code == Code.EXCEEDS_ORIGINAL
    assert await examples.balances(ledger, "alice", "bank:USD") == [100_00, 0]


def test_a_payout_that_has_not_been_debited_cannot_be_submitted() -> None:
    """An accident, not an answer: nothing is recorded under its key."""
    assert is_out_of_order(books_with(alice=100_00), submission(payout()))


async def test_the_audit_names_a_payout_that_settled_without_being_submitted(ledger: Ledger) -> None:
    """Money that left the books without anybody having asked a rail is found."""
    await open_books(ledger)
    await ledger.apply_all([place("P1"), paid(payout("P1"))])
    await ledger.apply_all([place("P2"), refund(payout("P2"), "cancelled")])
    await ledger.apply_all([debit(a_transfer("T1")), submission(a_transfer("T1"))])

    found = [(violation.check, violation.subject) for violation in (await audit(ledger)).violations]

    assert sorted(found) == [("payouts", "P1"), ("payouts", "P2"), ("payouts", "T1")]
