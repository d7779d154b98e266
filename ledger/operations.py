"""The catalogue of operations: every way money can be moved, each as data for the rules to decide.

    deposit    cash -> account
    debit      source -> transit          accepted -> debited, or rejected
    hold       the same, on terms
    credit     transit -> destination     debited -> settled
    capture    the same with a part; the rest goes back to the source
    refund     transit -> source          debited -> refunded, and fences the credit
    cancel     nothing moves              accepted -> cancelled, and fences the debit
    approve    nothing moves              one person agrees to a debit, or to an entry
    batch      nothing moves              a file belongs to the id

A new kind of movement is a new function here; `rules.py` does not change.
"""

import re
from dataclasses import replace

from ledger.approval import Approval
from ledger.errors import MalformedRequest
from ledger.fingerprint import BATCH, CAPTURE, TERMS, Content
from ledger.keys import Leg, cash_account, check_account_id, check_id, operation_key, transit_account
from ledger.money import check_amount, decimals, say
from ledger.operation import Operation, Posting, Step
from ledger.transfer import NOT_DEBITED, Status, Transfer


def deposit(deposit_id: str, account_id: str, amount_minor: int, currency: str) -> Operation:
    """Money comes in from outside: the cash account is debited, the customer's account credited."""
    check_id(deposit_id, "deposit id")
    check_account_id(account_id)
    check_amount(amount_minor)
    decimals(currency)
    return Operation(
        key=operation_key(deposit_id, Leg.DEPOSIT),
        content={"account": account_id, "amount_minor": amount_minor, "currency": currency},
        postings=(Posting(cash_account(currency), account_id, amount_minor, currency),),
        must_be_open={account_id: currency},
    )


def debit(transfer: Transfer, expected_version: int | None = None, detail: str | None = None) -> Operation:
    """Take the money from the source into transit.

    The destination is looked at too, so that the ordinary mistake (an unknown, closed or foreign-currency
    destination) is a rejection without any movement. `expected_version` is the source account's.
    """
    return Operation(
        key=operation_key(transfer.id, Leg.DEBIT),
        content=transfer.content(),
        postings=(_posting(transfer, transfer.source, transit_account(transfer.currency)),),
        must_be_open={transfer.source: transfer.currency, transfer.destination: transfer.currency},
        step=Step(transfer, when=NOT_DEBITED, then=Status.DEBITED, otherwise=Status.REJECTED, begins=True),
        expected_version=None if expected_version is None else (transfer.source, expected_version),
        detail=detail,
    )


def hold(transfer: Transfer, recipe: str, terms: Content) -> Operation:
    """Take the money from the source into transit, on terms: what becomes of it is decided later.

    The same key as a debit's, so that the same id is either a hold or a plain transfer, and never both.
    """
    if recipe not in TERMS or terms.keys() != TERMS[recipe]:
        raise MalformedRequest(f"these are no terms of {recipe}: {', '.join(sorted(terms))}")
    return replace(debit(transfer), content=transfer.content() | dict(terms), recipe=recipe)


def credit(transfer: Transfer, detail: str | None = None) -> Operation:
    """Give the money in transit to the destination. Rejected, it leaves the transfer debited: refund it."""
    return Operation(
        key=operation_key(transfer.id, Leg.CREDIT),
        content=transfer.content(),
        postings=(_posting(transfer, transit_account(transfer.currency), transfer.destination),),
        must_be_open={transfer.destination: transfer.currency},
        step=Step(transfer, when=_DEBITED, then=Status.SETTLED),
        detail=detail,
    )


def capture(transfer: Transfer, captured_minor: int) -> Operation:
    """Give a part of the money in transit (minor units) to the destination, and the rest back to the source, at once.

    The same key as a credit's, so that there is one capture or none, and none after a refund. The source's status is
    not asked: the rest is its own.
    """
    check_amount(captured_minor)
    rest = transfer.amount_minor - captured_minor
    if rest < 0:
        raise MalformedRequest(
            f"{say(captured_minor, transfer.currency)} of {say(transfer.amount_minor, transfer.currency)} held"
        )
    whole = credit(transfer)
    if rest == 0:
        postings = whole.postings
    else:
        transit = transit_account(transfer.currency)
        postings = (
            Posting(transit, transfer.destination, captured_minor, transfer.currency),
            Posting(transit, transfer.source, rest, transfer.currency),
        )
    content = transfer.content() | {"captured_minor": captured_minor}
    return replace(whole, content=content, recipe=CAPTURE, postings=postings, captures=captured_minor)


def refund(transfer: Transfer, reason: str, detail: str | None = None) -> Operation:
    """Give the money in transit back to the source, and fence the credit, in one transaction.

    If the credit is already in the books the answer is `already_credited` and nothing moves. The source's
    status is not asked: a refund to an account that was frozen or closed meanwhile still arrives.
    """
    return Operation(
        key=operation_key(transfer.id, Leg.REFUND),
        content=transfer.content(),
        postings=(_posting(transfer, transit_account(transfer.currency), transfer.source),),
        step=Step(transfer, when=_DEBITED, then=Status.REFUNDED),
        fences=operation_key(transfer.id, Leg.CREDIT),
        reason=reason,
        detail=plain(detail),
        must_arrive=True,
        releases=operation_key(transfer.id, Leg.DEBIT),
    )


def cancel(transfer: Transfer, reason: str, detail: str | None = None) -> Operation:
    """End a transfer that was not debited yet, by a fence under the debit's key. Nothing moves."""
    return Operation(
        key=operation_key(transfer.id, Leg.CANCEL),
        content=transfer.content(),
        step=Step(transfer, when=NOT_DEBITED, then=Status.CANCELLED, begins=True),
        fences=operation_key(transfer.id, Leg.DEBIT),
        reason=reason,
        detail=plain(detail),
    )


def approve(approval: Approval) -> Operation:
    """Note that somebody approves of what the books need not have heard of. Nothing moves."""
    return Operation(key=approval.key, content=approval.content(), recipe=approval.recipe, approves=approval)


def batch(batch_id: str, sha256: str, lines: int) -> Operation:
    """A file belongs to a batch's id. Nothing moves; another file under the same id is `key_reused`, for ever."""
    check_id(batch_id, "batch id")
    if not re.fullmatch("[0-9a-f]{64}", sha256) or type(lines) is not int or lines < 0:
        raise MalformedRequest("a batch's file is told by its SHA-256, in hexadecimal, and its number of lines")
    return Operation(operation_key(batch_id, Leg.BATCH), {"sha256": sha256, "lines": lines}, recipe=BATCH)


DETAIL_LENGTH = 256
"""The longest detail, in characters."""


def plain(detail: str | None) -> str | None:
    """A detail may come from anybody who can cancel: what no database stores as text becomes a space."""
    if detail is None:
        return None
    return "".join(sign if sign.isprintable() else " " for sign in detail[:DETAIL_LENGTH])


_DEBITED = frozenset({Status.DEBITED})


def _posting(transfer: Transfer, debit_account_id: str, credit_account_id: str) -> Posting:
    return Posting(debit_account_id, credit_account_id, transfer.amount_minor, transfer.currency)
