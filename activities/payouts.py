"""Payouts as workflows see them: ask a rail, and take what it gives back.

The books are told before the rail is asked for the first time (`ledger/payouts.py`), and their row says since when its
key has been in use. What is allowed after a silence is the rails' own business (`rails/rail.py`).
"""

import time
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum

from pydantic import StrictStr, model_validator
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.decisions import Decided, as_decided
from activities.messages import SHORT_TEXT, Asked, LegOutcome, Message, Text
from activities.terms import PayoutRequest
from ledger import payouts
from ledger.book import Ledger
from ledger.corrections import read_contradiction
from ledger.entries import Reversal
from ledger.errors import OutOfOrder
from ledger.failpoints import passing
from ledger.fingerprint import PAYOUT
from ledger.keys import Leg, check_id, operation_key
from ledger.operation import OutcomeKind
from ledger.rejections import Code
from ledger.transfer import Status, Transfer, TransferState
from rails.rail import Accepted, NoAnswer, Payment, Rail, pay


class Said(StrEnum):
    """What is known of a payment outside."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    RECALLED = "recalled"
    """The rail was never asked, and never will be."""


class RailAnswer(Message):
    """What decides a payout. `reference` is the rail's name for the payment, `code` its word for why not.

    `decided_by` is who spoke for a rail that is silent; `contradicted` is the decision against which it has spoken.
    """

    said: Said
    reference: str | None = None
    code: str | None = None
    detail: str | None = None
    decided_by: str | None = None
    contradicted: str | None = None

    @classmethod
    def of(cls, decided: Decided) -> "RailAnswer":
        """What stands, as a message."""
        answer, contradicted = decided.answer, decided.contradicted
        also = {"decided_by": decided.by, "contradicted": contradicted and contradicted[:SHORT_TEXT]}
        if isinstance(answer, Accepted):
            return cls(said=Said.ACCEPTED, reference=answer.reference[:SHORT_TEXT], **also)
        detail = answer.detail and answer.detail[:SHORT_TEXT]
        return cls(said=Said.REJECTED, code=answer.code[:SHORT_TEXT], detail=detail, **also)


class ReturnRequest(Asked):
    """A rail has given back the payment with this key. `return_id` is the rail's name for that, once for each."""

    rail: StrictStr
    return_id: StrictStr
    payment_key: StrictStr

    @model_validator(mode="after")
    def _could_be_done(self) -> "ReturnRequest":
        check_id(self.reversal_id, "return id")
        return self

    @property
    def reversal_id(self) -> str:
        """The id of the movement that the return is in our books."""
        return f"{self.rail}:{self.return_id}"

    @property
    def transfer_id(self) -> str:
        """The payout it is about. Of a key that is none of ours, nothing that the books know."""
        return self.payment_key.removesuffix(operation_key("", Leg.SUBMIT))


class Callback(Asked):
    """A rail has said, signed, that it has decided about a payout. It is a reason to ask it, and no evidence."""

    rail: StrictStr
    event_id: Text


HEARD_BEFORE = "it was heard before"
"""Why a payout that waits refuses a callback."""


class Woken(Message):
    """The rail is asked at once."""


class PayoutActivities:
    """The books, and the rails by name."""

    def __init__(self, ledger: Ledger, rails: Mapping[str, Rail]) -> None:
        self._ledger = ledger
        self._rails = rails

    @activity.defn
    async def submit(self, request: PayoutRequest) -> RailAnswer:
        """Ask the rail to pay, under `<transfer id>/submit`, and tell what it answered.

        Raises NoAnswer (retried) when it did not, and when the payment's key is too old to ask again blindly. Once a
        person has decided about it, nothing is submitted any more.
        """
        now = time.time()  # before the look for a decision: a request is not valid for long after it
        rail, key = self._rails.get(request.rail), operation_key(request.transfer_id, Leg.SUBMIT)
        if rail is None:
            raise ApplicationError(f"this worker has no rail called {request.rail!r}", type="NoSuchRail")
        begun = await self._ledger.apply(payouts.submission(request.as_transfer()))
        if begun.kind is OutcomeKind.FENCED:
            return RailAnswer(said=Said.RECALLED)
        since = await self._ledger.recorded_at(key)
        if begun.kind is not OutcomeKind.APPLIED or since is None:
            raise OutOfOrder(f"{key} is {begun.kind}: {begun.detail}")
        payment = Payment(key, request.amount_minor, request.currency, request.beneficiary, since / 1_000_000)
        if (decided := await as_decided(self._ledger, rail, payment, request.as_transfer())) is not None:
            return RailAnswer.of(decided)
        await passing("rail.before_submit", [key])
        try:
            answer = await pay(rail, payment, now)
        except NoAnswer as silence:
            wait = silence.retry_after_seconds
            delay = None if wait is None else timedelta(seconds=wait)
            name = type(silence).__name__
            raise ApplicationError(str(silence), type=name, next_retry_delay=delay) from silence
        await passing("rail.after_submit", [key])
        return RailAnswer.of(Decided(answer))

    @activity.defn
    async def take_return(self, request: ReturnRequest) -> LegOutcome:
        """Give a returned payout, or its correction, back to its source, as a reversal under `<rail>:<return id>`.

        Rejected, and not recorded, if it is no payout over this rail. Raises (retried) while the payout has not ended:
        that it was returned says that it will have been paid.
        """
        state = await self._ledger.transfer(request.transfer_id)
        if state is None or not over(request.rail, state):
            detail = f"there is no payout {request.transfer_id} over {request.rail}"
            return LegOutcome(kind=OutcomeKind.REJECTED, code=Code.TRANSFER_NOT_FOUND, detail=detail[:SHORT_TEXT])
        if not state.status.terminal:
            raise ApplicationError(f"{request.transfer_id} has not ended yet", type="NotYet")
        paid = await self._paid(state)
        entry = Reversal(request.reversal_id, paid.id, paid.destination, paid.source, paid.amount_minor, paid.currency)
        await passing("activity.before_work", [entry.key])
        outcome = await self._ledger.apply(entry.operation())
        await passing("activity.before_completion", [entry.key])
        return LegOutcome.of(outcome)

    async def _paid(self, state: TransferState) -> Transfer:
        """What a return gives back: the payout; or if that was refunded, the correction that took the money again.

        Raises (retried) while that is on its way.
        """
        found = await read_contradiction(self._ledger, state) if state.status is Status.REFUNDED else None
        if found is None or not isinstance(found.correction, Transfer):
            return state.transfer
        if not found.corrected and await self._ledger.transfer(found.correction.id) is not None:
            raise ApplicationError(f"{found.correction.id} has not ended yet", type="NotYet")
        return found.correction if found.corrected else state.transfer


def over(rail: str, state: TransferState) -> bool:
    """Whether a transfer is a payout over this rail."""
    return state.terms == PAYOUT and state.transfer.destination == payouts.clearing_account(
        rail, state.transfer.currency
    )
