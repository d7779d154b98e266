"""The ledger as workflows see it. Translation only: no rule about money lives here.

A business answer is a value that an activity returns. An exception is an accident, which Temporal retries with
the same key until there is an answer; only a request that can never succeed is raised as not retryable.
"""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.messages import (
    AccountChange,
    AccountOpening,
    DepositRequest,
    EntryRequest,
    LegOutcome,
    TransferRequest,
    UndoRequest,
    WithdrawalRequest,
)
from activities.terms import CaptureRequest, DebitOnTerms
from ledger import operations, payouts
from ledger.book import Ledger
from ledger.entries import Entry
from ledger.errors import MalformedRequest
from ledger.failpoints import passing
from ledger.keys import notification_key
from ledger.operation import ENDING, OpenAccount, Operation, OutcomeKind, Request


class LedgerActivities:
    """Each method is one operation of the ledger under its own key. Idempotent, all of them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @activity.defn
    async def debit(self, request: TransferRequest) -> LegOutcome:
        """Source to transit, under `<transfer id>/debit`."""
        return await self._apply(operations.debit(request.as_transfer()))

    @activity.defn
    async def debit_on_terms(self, request: DebitOnTerms) -> LegOutcome:
        """Source to transit, under `<transfer id>/debit`, and what becomes of it is decided later."""
        return await self._apply(request.as_operation())

    @activity.defn
    async def capture(self, request: CaptureRequest) -> LegOutcome:
        """A part from transit to the destination, the rest to the source, under `<transfer id>/credit`."""
        return await self._apply(request.as_operation())

    @activity.defn
    async def credit(self, request: TransferRequest) -> LegOutcome:
        """Transit to destination, under `<transfer id>/credit`."""
        return await self._apply(operations.credit(request.as_transfer()))

    @activity.defn
    async def refund(self, request: UndoRequest) -> LegOutcome:
        """Transit back to the source, under `<transfer id>/refund`, with a fence under the credit's key."""
        return await self._apply(operations.refund(request.transfer.as_transfer(), request.reason, request.detail))

    @activity.defn
    async def cancel(self, request: UndoRequest) -> LegOutcome:
        """A fence under the debit's key, by `<transfer id>/cancel`. Nothing moves."""
        return await self._apply(operations.cancel(request.transfer.as_transfer(), request.reason, request.detail))

    @activity.defn
    async def recall(self, request: UndoRequest) -> LegOutcome:
        """A fence under the submission's key, by `<transfer id>/recall`: the rail is never asked. Nothing moves."""
        return await self._apply(payouts.recall(request.transfer.as_transfer(), request.reason, request.detail))

    @activity.defn
    async def paid(self, request: TransferRequest) -> LegOutcome:
        """Transit to the rail's account, under `<transfer id>/credit`, whatever stands in the way."""
        return await self._apply(payouts.paid(request.as_transfer()))

    @activity.defn
    async def deposit(self, request: DepositRequest) -> LegOutcome:
        """Outside cash to an account, under `<deposit id>/deposit`."""
        return await self._apply(request.as_operation())

    @activity.defn
    async def enter(self, request: EntryRequest) -> LegOutcome:
        """A whole entry, under `<id>/<kind>`: a split, an exchange, a reversal, a target."""
        return await self._told(request.as_entry(), await self._apply(request.as_entry().operation()))

    @activity.defn
    async def withdraw(self, request: WithdrawalRequest) -> LegOutcome:
        """A fence under an entry's key, by `<id>/<kind>/cancel`, unless it has ended; then how it has ended."""
        entry = request.entry.as_entry()
        fence = await self._apply(entry.cancellation(request.reason, request.detail))
        ended = await self._apply(entry.operation())  # never the first to be asked: the key is fenced, or was taken
        return await self._told(entry, ended.model_copy(update={"replayed": fence.replayed}))

    @activity.defn
    async def open_account(self, request: AccountOpening) -> LegOutcome:
        """Set: the account exists. No key: doing it again changes nothing."""
        return await self._apply(OpenAccount(request.account_id, request.currency))

    @activity.defn
    async def set_account_status(self, request: AccountChange) -> LegOutcome:
        """Set: the account has this status, if it is still at the expected version, and the number is free."""
        return await self._apply(request.as_setting())

    @activity.defn
    async def next_setting(self, request: AccountChange) -> int:
        """Look: which number this change of the account's settings would have. Changes nothing."""
        return await self._ledger.next_setting(request.account_id)

    async def _told(self, entry: Entry, outcome: LegOutcome) -> LegOutcome:
        """The outcome of an entry, with the key of its notification, if there is one."""
        if outcome.kind is OutcomeKind.KEY_REUSED:
            return outcome
        key = notification_key(entry.key, ENDING[outcome.kind])
        is_there = await self._ledger.notification(key) is not None
        return outcome.model_copy(update={"notification": key if is_there else None})

    async def _apply(self, request: Request) -> LegOutcome:
        keys = [request.key] if isinstance(request, Operation) else []
        await passing("activity.before_work", keys)
        try:
            outcome = await self._ledger.apply(request)
        except MalformedRequest as error:
            raise ApplicationError(str(error), type="MalformedRequest", non_retryable=True) from error
        await passing("activity.before_completion", keys)
        return LegOutcome.of(outcome)
