"""Entry: a movement that happens whole in one step: a split, an exchange, a reversal, a target balance.

It is asked until the books answer, and then it is over. There is nothing in between that a cancel could undo: whoever
wants the money back after it has moved asks for a movement the other way.
"""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.ledger import LedgerActivities
    from activities.messages import EntryRequest, LegOutcome
    from ledger.keys import Leg, operation_key
    from ledger.operation import OutcomeKind
    from workflows.asking import Asking, key_reused


@workflow.defn
class Entry:
    """One entry, once per id. The workflow id is `<kind>/<id>`."""

    @workflow.run
    async def run(self, request: EntryRequest) -> LegOutcome:
        """Applied; or rejected, and nothing moved. Raises `KeyReused` when the id had other content."""
        asking = Asking()
        key = operation_key(request.id, Leg(request.kind))
        outcome = await asking.until_answered(LedgerActivities.enter, request, key)
        asking.answered()
        if outcome.kind is OutcomeKind.KEY_REUSED:
            raise key_reused(outcome.detail)
        workflow.set_current_details("**applied**" if outcome.applied else f"**rejected**: {outcome.detail}")
        return outcome
