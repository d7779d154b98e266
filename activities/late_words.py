"""Late words: a rail speaks of a payout that has ended otherwise, or of which Temporal knows nothing any more.

What it says in a callback is no evidence. It is looked up under the payment's own key, and what it says then is kept in
the books if it contradicts them (`ledger/corrections.py`). Nothing moves: that is for a person to say.
"""

from collections.abc import Mapping
from datetime import timedelta

from pydantic import StrictBool, StrictStr
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.decisions import word_of
from activities.messages import SHORT_TEXT, Asked, Message, Text
from activities.payouts import over
from activities.terms import PayoutRequest, asked_again
from ledger import payouts
from ledger.book import Ledger
from ledger.corrections import read_contradiction
from ledger.failpoints import passing
from ledger.keys import Leg, operation_key
from ledger.operation import OutcomeKind
from ledger.transfer import Status, TransferState
from rails.rail import Accepted, NoAnswer, NotKnown, Payment, Rail


class LateWord(Asked):
    """A rail has said something, signed, about the payment with this key. `event_id` is the same in every repeat.

    `accepted` is what it said, unless a release said it that did not tell.
    """

    rail: StrictStr
    event_id: Text
    payment_key: Text
    accepted: StrictBool | None = None

    @property
    def transfer_id(self) -> str:
        """The payout it is about. Of a key that is none of ours, nothing that the books know."""
        return self.payment_key.removesuffix(operation_key("", Leg.SUBMIT))


class LateAnswer(Message):
    """What the rail says that the books do not, if there is anything that is still to be corrected."""

    contradicted: str | None = None


class LateWordActivities:
    """The books, and the rails by name."""

    def __init__(self, ledger: Ledger, rails: Mapping[str, Rail]) -> None:
        self._ledger = ledger
        self._rails = rails

    @activity.defn
    async def look_after_all(self, word: LateWord) -> LateAnswer:
        """Look the payment up, and keep what contradicts the books. A payout that has not ended asks by itself.

        Raises ApplicationError (retried) when the rail does not answer, and while it does not show what it has said
        against the books: the word comes once, and a list may lag behind it.
        """
        state = await self._ledger.transfer(word.transfer_id)
        if state is None or not over(word.rail, state) or not state.status.terminal:
            return LateAnswer()
        if (payment := await self._payment(state)) is None:
            return LateAnswer()
        rail = self._rails.get(word.rail)
        if rail is None:
            raise ApplicationError(f"this worker has no rail called {word.rail!r}", type="NoSuchRail")
        try:
            known = await rail.look_up(payment)
        except NoAnswer as silence:
            wait = silence.retry_after_seconds
            delay = None if wait is None else timedelta(seconds=wait)
            raise ApplicationError(str(silence), type=type(silence).__name__, next_retry_delay=delay) from silence
        if isinstance(known, NotKnown):
            if rail.look_up_misses_nothing or word.accepted in (None, state.status is Status.SETTLED):
                return LateAnswer()
            raise ApplicationError(f"{rail.name} does not show {payment.key} yet", type="NotYet")
        if isinstance(known, Accepted) is (state.status is Status.SETTLED):
            return LateAnswer()
        operation = payouts.contradiction(state.transfer, isinstance(known, Accepted), word_of(known))
        await passing("activity.before_work", [operation.key])
        await self._ledger.apply(operation)
        await passing("activity.before_completion", [operation.key])
        contradiction = await read_contradiction(self._ledger, state)
        if contradiction is None or contradiction.corrected:
            return LateAnswer()
        return LateAnswer(contradicted=f"{operation.key}: {word_of(known)}"[:SHORT_TEXT])

    async def _payment(self, state: TransferState) -> Payment | None:
        """What the rail was asked for; None if it never was."""
        transfer = state.transfer
        key = operation_key(transfer.id, Leg.SUBMIT)
        since = await self._ledger.recorded_at(key)
        if since is None or (await self._ledger.apply(payouts.submission(transfer))).kind is not OutcomeKind.APPLIED:
            return None
        request = asked_again(transfer, await self._ledger.asked(operation_key(transfer.id, Leg.DEBIT)))
        assert isinstance(request, PayoutRequest), transfer.id
        return Payment(key, transfer.amount_minor, transfer.currency, request.beneficiary, since / 1_000_000)
