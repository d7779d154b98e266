"""Mutants of the books' rules: no fence, accounts out of nothing, accidents told and recorded as answers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial, wraps

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from ledger import book, fingerprint, obstacles, operations, store
from ledger.account import Account, Guard
from ledger.books import Books
from ledger.errors import OutcomeUnknown, OutOfOrder
from ledger.failpoints import FailpointError
from ledger.operation import Operation, Outcome, OutcomeKind, Request
from ledger.rejections import Code, Rejection
from ledger.transfer import Transfer


def no_fence() -> None:
    """An undo is a movement like any other: what it undoes may still come."""
    refund, cancel = operations.refund, operations.cancel

    @wraps(refund)
    def refund_only(transfer: Transfer, reason: str, detail: str | None = None) -> Operation:
        return replace(refund(transfer, reason, detail), fences=None)

    @wraps(cancel)
    def cancel_only(transfer: Transfer, reason: str, detail: str | None = None) -> Operation:
        return replace(cancel(transfer, reason, detail), fences=None)

    operations.refund, operations.cancel = refund_only, cancel_only


def accounts_out_of_nothing() -> None:
    """A lock on a row that does not exist is taken for a lock: an unknown account is opened on the way."""
    unusable = obstacles._unusable

    def opened(account_id: str, currency: str, books: Books, must_be_open: bool) -> Rejection | None:
        if account_id not in books.accounts:
            books.open(Account(account_id, currency, Guard.NONE))
        return unusable(account_id, currency, books, must_be_open)

    obstacles._unusable = opened


def busy_is_insufficient_funds() -> None:
    """A conflict between two workers is told as a business answer."""
    answers = book.Ledger._answers

    async def told(self: book.Ledger, requests: Sequence[Request]) -> Sequence[book.Answer]:
        no_money = Outcome(OutcomeKind.REJECTED, Code.INSUFFICIENT_FUNDS, "the account is busy")
        return [no_money if _is_a_conflict(answer) else answer for answer in await answers(self, requests)]

    book.Ledger._answers = told  # type: ignore[method-assign]  # that is what a mutant is


def _is_a_conflict(answer: book.Answer) -> bool:
    cause = answer.__cause__ if isinstance(answer, OutcomeUnknown) else None
    return isinstance(cause, DBAPIError) and str(getattr(cause.orig, "sqlstate", "")).startswith("40")


def an_unknown_is_recorded() -> None:
    """An error from the database is pinned under the key as if it were a rejection."""
    transaction = book.Ledger._transaction

    async def pinned(self: book.Ledger, requests: Sequence[Request]) -> Sequence[Outcome | OutOfOrder]:
        try:
            return await transaction(self, requests)
        except (SQLAlchemyError, OSError, FailpointError):
            await self.writer.transaction(partial(_pin, requests), book._at_once)
            raise

    book.Ledger._transaction = pinned  # type: ignore[method-assign]  # that is what a mutant is


def _pin(requests: Sequence[Request], connection: Connection) -> None:
    books = store.load(connection, requests)
    for request in requests:
        if isinstance(request, Operation) and request.key not in books.operations:
            books.record(request, Outcome(OutcomeKind.REJECTED, "unavailable", "the database did not answer"))
    books.changes.operations[:] = [recorded._replace(transfer_id=None) for recorded in books.changes.operations]
    store.write(connection, books.changes)


def fingerprint_without_amount() -> None:
    """Two requests that differ in the amount alone are taken for the same."""
    fingerprint.RECIPES["v1"] = fingerprint.RECIPES["v1"] - {"amount_minor"}
