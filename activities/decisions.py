"""Decisions: what a person says a rail has done that is silent for good, and what becomes of it.

    decide        recorded once, under `<transfer id>/decision`, and not before the rail's key window is over
    as_decided    nothing is submitted any more; the rail is looked up once more, and its own word stands above all

A person speaks for a rail that does not. So what the rail says after all decides as long as the books have not followed
the person, and is kept in the books beside the decision that it contradicts.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import StrictStr, model_validator
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import Asked, Message, Text
from activities.terms import PayoutRequest
from ledger import payouts
from ledger.book import Ledger
from ledger.failpoints import passing
from ledger.keys import Leg, operation_key
from ledger.operation import OutcomeKind
from ledger.transfer import Status, Transfer
from rails.rail import Accepted, Answer, NoAnswer, NotKnown, Payment, Rail, Rejected, valid_seconds

LAST_LOOK_SECONDS = 3.0
"""How long the last look-up may take, within an attempt of five seconds."""

POLL_SECONDS = 5.0


class PayoutDecision(Asked):
    """What a person decides about a payout (`paid`, `not_paid`), who, and on which evidence."""

    decided: StrictStr
    by: StrictStr
    evidence: Text

    @model_validator(mode="after")
    def _could_be_kept(self) -> "PayoutDecision":
        self.as_decision()
        return self

    def as_decision(self) -> payouts.Decision:
        """The same in the ledger's words. Raises MalformedRequest."""
        return payouts.Decision(self.decided, self.by, self.evidence)


class DecisionRequest(Asked):
    """A decision and the payout that it is about."""

    payout: PayoutRequest
    decision: PayoutDecision


class DecisionAnswer(Message):
    """Whether a decision is in the books; `refused` says why it is not."""

    refused: str | None = None


class DecisionActivities:
    """The books, and the rails by name."""

    def __init__(self, ledger: Ledger, rails: Mapping[str, Rail]) -> None:
        self._ledger = ledger
        self._rails = rails

    @activity.defn
    async def decide(self, request: DecisionRequest) -> DecisionAnswer:
        """Record a decision, once. Refused when it is not due yet, when there is another one, or too late."""
        transfer = request.payout.as_transfer()
        operation = payouts.decision(transfer, request.decision.as_decision())
        await passing("activity.before_work", [operation.key])
        if await self._ledger.asked(operation.key) is None and (why_not := await self._not_due(request)) is not None:
            return DecisionAnswer(refused=why_not)
        outcome = await self._ledger.apply(operation)
        await passing("activity.before_completion", [operation.key])
        if outcome.kind is not OutcomeKind.APPLIED:
            return DecisionAnswer(refused=f"it is decided otherwise ({outcome.detail})")
        return DecisionAnswer()

    async def _not_due(self, request: DecisionRequest) -> str | None:
        id, rail = request.payout.transfer_id, self._rails.get(request.payout.rail)
        state = await self._ledger.transfer(id)
        submitted_at = await self._ledger.recorded_at(operation_key(id, Leg.SUBMIT))
        if state is None or submitted_at is None:
            return "the rail has not been asked yet"
        if state.status is not Status.DEBITED:
            return f"it is {state.status} already"
        if rail is None:
            return f"this worker has no rail called {request.payout.rail}, and cannot know how long its keys live"
        over_at = submitted_at / 1_000_000 + rail.key_window_seconds
        if time.time() < over_at:
            until = datetime.fromtimestamp(over_at, UTC)
            return (
                f"{rail.name} keeps its key until {until:%Y-%m-%dT%H:%M:%SZ}: until then it is asked, and nobody else"
            )
        return None


@dataclass(frozen=True, slots=True)
class Decided:
    """What stands: an answer, by whom if it is not the rail's own, and what the rail has contradicted."""

    answer: Answer
    by: str | None = None
    contradicted: str | None = None


async def as_decided(ledger: Ledger, rail: Rail, payment: Payment, transfer: Transfer) -> Decided | None:
    """What stands of a payout about which a person has decided; None if nobody has.

    No request is made any more by whoever sees the decision. One by somebody who did not see it may still be on its
    way: only after that time (twice, for a commit takes its time too) is the rail looked up, once. If it says nothing
    then, the decision stands. Raises ApplicationError (to be retried) before.
    """
    key = operation_key(transfer.id, Leg.DECISION)
    recorded, decided_at = await ledger.asked(key), await ledger.recorded_at(key)
    if recorded is None or decided_at is None:
        return None
    wait = decided_at / 1_000_000 + 2 * valid_seconds(rail) - time.time()
    if wait > 0:
        delay = timedelta(seconds=min(wait, POLL_SECONDS))
        raise ApplicationError("a request may still be on its way", type="NotYet", next_retry_delay=delay)
    asked = json.loads(recorded.text)
    decision = payouts.Decision(asked["decided"], asked["by"], asked["evidence"])
    known = await _last_look(rail, payment)
    if isinstance(known, NotKnown):
        paid = decision.decided == payouts.PAID
        return Decided(Accepted(decision.evidence) if paid else Rejected(decision.evidence), by=decision.by)
    if isinstance(known, Accepted) is (decision.decided == payouts.PAID):
        return Decided(known)
    await ledger.apply(payouts.contradiction(transfer, isinstance(known, Accepted), word_of(known)))
    return Decided(known, contradicted=str(decision))


async def _last_look(rail: Rail, payment: Payment) -> Answer | NotKnown:
    """What the rail says; NotKnown if nothing. A rail that misses nothing and does not know it will never pay it."""
    try:
        async with asyncio.timeout(LAST_LOOK_SECONDS):
            known = await rail.look_up(payment)
    except (NoAnswer, TimeoutError):
        return NotKnown()
    if isinstance(known, NotKnown) and rail.look_up_misses_nothing:
        return Rejected("not_known", f"{rail.name} has never heard of {payment.key}")
    return known


def word_of(answer: Answer) -> str:
    """The rail's own word: its reference, or its code and what it says about it."""
    if isinstance(answer, Accepted):
        return answer.reference
    return answer.code + (f": {answer.detail}" if answer.detail else "")
