"""Payouts: the operations of a transfer that leaves our books over an outside rail, between its debit and its end.

    submission      nothing moves    from here on the rail may have been asked: only its answer decides
    recall          nothing moves    fences the submission; rejected if that was first, and then it is too late
    decision        nothing moves    the rail is silent for good: a person says what it has done, once
    contradiction   nothing moves    the rail says otherwise, whenever it does
    paid            transit -> the rail's account, whatever stands in the way: the money is gone already

Before the rail is asked for the first time, the books say that it may be. So whoever wants the money back, also in
another run, years later or at the same time, has one place to win or to lose: the submission's key.
"""

from dataclasses import dataclass, replace

from ledger.errors import MalformedRequest
from ledger.fingerprint import DECISION
from ledger.keys import Leg, check_person, operation_key
from ledger.operation import Operation, Step
from ledger.operations import DETAIL_LENGTH, credit, plain
from ledger.transfer import Status, Transfer

PAID, NOT_PAID = "paid", "not_paid"
"""What can be decided about a payout."""


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


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person has decided about a payout, and on which evidence: the rail's reference, a letter. Pure.

    Raises MalformedRequest when the books could not keep it as it is.
    """

    decided: str
    by: str
    evidence: str

    def __post_init__(self) -> None:
        check_person(self.by, "who decides")
        if self.decided not in (PAID, NOT_PAID):
            raise MalformedRequest(f"a payout is decided to be {PAID} or {NOT_PAID}, not {self.decided!r}")
        if not self.evidence or self.evidence != plain(self.evidence):
            raise MalformedRequest(f"the evidence must be 1 to {DETAIL_LENGTH} printable characters")

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly, beside the transfer."""
        return {"decided": self.decided, "by": self.by, "evidence": self.evidence}

    def __str__(self) -> str:
        return f"{self.decided}, says {self.by}: {self.evidence}"


def decision(transfer: Transfer, decision: Decision) -> Operation:
    """Keep what a person has decided. One key for all people: the first stands, and another one is `key_reused`."""
    return Operation(
        key=operation_key(transfer.id, Leg.DECISION),
        content=transfer.content() | decision.content(),
        recipe=DECISION,
        step=_stays(transfer),
        detail=plain(str(decision)),
    )


def contradiction(transfer: Transfer, accepted: bool, word: str) -> Operation:
    """Keep that the rail says it has accepted (or rejected) what was decided otherwise, and its own word for it."""
    return Operation(
        key=operation_key(transfer.id, Leg.ACCEPTED if accepted else Leg.REJECTED),
        content=transfer.content(),
        step=replace(_stays(transfer), when=frozenset(Status)),
        detail=plain(word),
    )


def paid(transfer: Transfer) -> Operation:
    """The rail has it. A credit, under the credit's key, that asks nobody: an account's status changes no fact."""
    return replace(credit(transfer), must_be_open={}, must_arrive=True)


def _stays(transfer: Transfer) -> Step:
    return Step(transfer, when=frozenset({Status.DEBITED}), then=None)
