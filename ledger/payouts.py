"""Payouts: the operations of a transfer that leaves our books over an outside rail, between its debit and its end.

    submission    nothing moves    from here on the rail may have been asked: only its answer decides
    recall        nothing moves    fences the submission; rejected if that was first, and then it is too late
    paid          transit -> the rail's account, whatever stands in the way: the money is gone already

Before the rail is asked for the first time, the books say that it may be. So whoever wants the money back, also in
another run, years later or at the same time, has one place to win or to lose: the submission's key.
"""

from dataclasses import replace

from ledger.keys import Leg, operation_key
from ledger.operation import Operation, Step
from ledger.operations import credit, plain
from ledger.transfer import Status, Transfer


def clearing_account(rail: str, currency: str) -> str:
    """The account of what a rail has taken, such as `bank:USD`. An operator opens it, as any other."""
    return f"{rail}:{currency}"


def submission(transfer: Transfer) -> Operation:
    """Say that the rail may be asked from now on. Fenced, it must not be."""
    return Operation(key=operation_key(transfer.id, Leg.SUBMIT), content=transfer.content(), step=_stays(transfer))


def recall(transfer: Transfer, reason: str, detail: str | None = None) -> Operation:
    """See to it that the rail is never asked. Rejected with `already_submitted` if it may have been."""
    return Operation(
        key=operation_key(transfer.id, Leg.RECALL),
        content=transfer.content(),
        step=_stays(transfer),
        fences=operation_key(transfer.id, Leg.SUBMIT),
        reason=reason,
        detail=plain(detail),
    )


def paid(transfer: Transfer) -> Operation:
    """The rail has it. A credit, under the credit's key, that asks nobody: an account's status changes no fact."""
    return replace(credit(transfer), must_be_open={}, must_arrive=True)


def _stays(transfer: Transfer) -> Step:
    return Step(transfer, when=frozenset({Status.DEBITED}), then=None)
