"""What the legs of one transfer do to each other: fences, legs that came first, legs that came out of order."""

from ledger.account import AccountStatus
from ledger.operations import cancel, credit, debit, refund
from ledger.rejections import Code
from ledger.transfer import Status
from tests.ledger.in_memory import ask, balances, books_with, is_out_of_order
from tests.support.examples import a_transfer


def test_a_late_credit_after_a_refund_is_fenced() -> None:
    """The refund fences the credit's key in its own transaction, so a zombie attempt finds the fence."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer), refund(transfer, "asked"))

    (late,) = ask(books, credit(transfer))

    assert (late.fenced, late.code) == (True, "T1/refund")
    assert balances(books) == [100_00, 0, 0]


def test_a_refund_after_the_credit_is_already_credited() -> None:
    """The money has arrived: nothing is given back, and the transfer stays settled."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer), credit(transfer))

    (refused,) = ask(books, refund(transfer, "asked"))

    assert (refused.rejected, refused.code) == (True, Code.ALREADY_CREDITED)
    assert books.transfers["T1"].status is Status.SETTLED
    assert balances(books) == [75_00, 25_00, 0]


def test_a_refund_after_a_rejected_credit_gives_the_money_back() -> None:
    """The credit was refused by the destination; the refund needs no fence, and the credit stays refused."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))
    books.accounts["bob"].status = AccountStatus.CLOSED
    (refused,) = ask(books, credit(transfer))
    assert (refused.code, books.transfers["T1"].status) == (Code.ACCOUNT_CLOSED, Status.DEBITED)

    (refunded,) = ask(books, refund(transfer, "account_closed"))
    books.accounts["bob"].status = AccountStatus.OPEN
    (late,) = ask(books, credit(transfer))

    assert refunded.applied
    assert (late.code, late.replayed) == (Code.ACCOUNT_CLOSED, True)
    assert balances(books) == [100_00, 0, 0]


def test_a_cancel_before_the_debit_fences_it() -> None:
    """The transfer has ended before it began: a late debit takes nothing, even though it is the first debit."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    (cancelled,) = ask(books, cancel(transfer, "asked"))
    assert cancelled.applied
    assert books.transfers["T1"].status is Status.CANCELLED

    (late,) = ask(books, debit(transfer))

    assert (late.fenced, late.code) == (True, "T1/cancel")
    assert balances(books) == [100_00, 0, 0]


def test_a_fence_knows_the_content_it_fenced() -> None:
    """A late debit with another amount is a reused key, not merely fenced."""
    books = books_with(alice=100_00, bob=0)
    ask(books, cancel(a_transfer(amount_minor=25_00), "asked"))

    (late,) = ask(books, debit(a_transfer(amount_minor=26_00)))

    assert late.key_reused


def test_a_cancel_after_the_debit_is_already_debited() -> None:
    """The money is on its way: it is for a refund to bring it back."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))

    (refused,) = ask(books, cancel(transfer, "asked"))

    assert (refused.rejected, refused.code) == (True, Code.ALREADY_DEBITED)
    assert books.transfers["T1"].status is Status.DEBITED


def test_a_cancel_after_a_rejected_debit_is_already_rejected() -> None:
    """The transfer ended by itself; its ending does not change."""
    books, transfer = books_with(alice=0, bob=0), a_transfer()
    ask(books, debit(transfer))

    (refused,) = ask(books, cancel(transfer, "asked"))

    assert (refused.rejected, refused.code) == (True, Code.ALREADY_REJECTED)
    assert books.transfers["T1"].status is Status.REJECTED


def test_a_second_refund_is_the_first_one_told_again() -> None:
    """Another reason is not another refund: the reason is not part of what was asked."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer), refund(transfer, "asked"))

    (again,) = ask(books, refund(transfer, "timed_out"))

    assert (again.applied, again.replayed) == (True, True)
    assert balances(books) == [100_00, 0, 0]


# --- out of order ---------------------------------------------------------------------------------------------


def test_a_credit_or_refund_of_an_unknown_transfer_is_an_accident() -> None:
    """The books never saw the debit: they must not invent an answer, nor remember one."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()

    assert is_out_of_order(books, credit(transfer))
    assert is_out_of_order(books, refund(transfer, "asked"))

    (debited,) = ask(books, debit(transfer))
    assert debited.applied


def test_a_credit_or_refund_after_an_ending_without_a_debit_is_an_accident() -> None:
    """Neither a rejected nor a cancelled transfer has money in transit that could be given to anybody."""
    books = books_with(alice=10_00, bob=0)
    rejected, cancelled = a_transfer("T1", amount_minor=99_00), a_transfer("T2")
    ask(books, debit(rejected), cancel(cancelled, "asked"))

    for transfer in (rejected, cancelled):
        assert is_out_of_order(books, credit(transfer))
        assert is_out_of_order(books, refund(transfer, "asked"))
    assert balances(books) == [10_00, 0, 0]


def test_a_refund_that_cannot_arrive_is_an_accident() -> None:
    """Money that was taken is never told "no" on its way back; what stands in its way is for a person to mend."""
    books, transfer = books_with(alice=100_00, bob=0), a_transfer()
    ask(books, debit(transfer))
    alice = books.accounts.pop("alice")
    assert is_out_of_order(books, refund(transfer, "asked"))

    books.accounts["alice"] = alice
    (mended,) = ask(books, refund(transfer, "asked"))
    assert mended.applied


def test_a_refund_arrives_at_an_account_that_was_frozen_or_closed_meanwhile() -> None:
    """The source's status is not asked: the money was theirs, and has nowhere else to go."""
    for status in (AccountStatus.FROZEN, AccountStatus.CLOSED):
        books, transfer = books_with(alice=100_00, bob=0), a_transfer()
        ask(books, debit(transfer))
        books.accounts["alice"].status = status

        (refunded,) = ask(books, refund(transfer, "asked"))

        assert refunded.applied
        assert balances(books) == [100_00, 0, 0]
