"""Entry: a movement that happens whole in one step: a split, an exchange, a reversal, a target balance.

    enter, notify                 applied, or rejected
    withdraw, notify              cancelled: a cancel came before it had happened
    withdraw finds it, notify     as it has ended: too late

It is asked until the books answer, and then it is over. A cancel has nothing to undo: either the fence under its key is
first, or the entry is. Whoever wants the money back after it has moved asks for a movement the other way.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.messages import SHORT_TEXT, EntryRequest, LegOutcome, WithdrawalRequest
    from ledger.keys import Leg, entry_cancel_key, operation_key
    from ledger.operation import ENDING, OutcomeKind
    from workflows.asking import Asking, key_reused
    from workflows.notification import deliver

CANCELLED = "cancelled"
"""The reason of an entry that somebody called off."""


@workflow.defn
class Entry:
    """One entry, once per id. The workflow id is `<kind>/<id>`."""

    def __init__(self) -> None:
        self._asking = Asking()

    @workflow.run
    async def run(self, request: EntryRequest) -> LegOutcome:
        """Applied; or rejected or fenced, and nothing moved. Raises `KeyReused` when the id had other content."""
        key = operation_key(request.id, Leg(request.kind))
        if _cancelled() and workflow.patched(_PATCH):
            return await self.withdrawn(request, CANCELLED, workflow.cancellation_reason())
        outcome = await self._asking.unless_cancelled(LedgerActivities.enter, request, key)
        if outcome is None and workflow.patched(_PATCH):
            return await self.withdrawn(request, CANCELLED, workflow.cancellation_reason())
        if outcome is None:
            outcome = await self._asking.until_answered(LedgerActivities.enter, request, key)
        return await self._end(outcome)

    async def withdrawn(self, request: EntryRequest, reason: str, detail: str | None) -> LegOutcome:
        """See to it that it never happens, unless it has."""
        key = entry_cancel_key(operation_key(request.id, Leg(request.kind)))
        why = WithdrawalRequest(entry=request, reason=reason, detail=(detail or None) and detail[:SHORT_TEXT])
        return await self._end(await self._asking.until_answered(LedgerActivities.withdraw, why, key))

    async def _end(self, outcome: LegOutcome) -> LegOutcome:
        self._asking.answered()
        if outcome.kind is OutcomeKind.KEY_REUSED:
            raise key_reused(outcome.detail)
        said = "applied" if outcome.applied else ENDING[outcome.kind]
        workflow.set_current_details(f"**{said}**" + (f": {outcome.detail}" if outcome.detail else ""))
        if outcome.notification is not None:  # an older worker's answer names none, nor do histories from before
            await deliver(outcome.notification)
        return outcome


_PATCH = "entries can be cancelled"
"""Of a history in which a cancel changed nothing. One without a cancel has the same commands with and without."""


def _cancelled() -> bool:
    """See `legs.py`: a cancel may not be raised."""
    return workflow.cancellation_reason() is not None
