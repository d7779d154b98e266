"""Contradicted: a rail speaks of a payout that has ended otherwise. It is looked up, and what it says then is kept."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.late_words import LateAnswer, LateWord, LateWordActivities
    from ledger.keys import Leg, operation_key
    from workflows.asking import Asking
    from workflows.search_attributes import NEEDS_ATTENTION


@workflow.defn
class Contradicted:
    """One callback that came after the end. The workflow id is `contradicted/<rail>/<event id>`."""

    @workflow.run
    async def run(self, word: LateWord) -> LateAnswer:
        """What contradicts the books, if anything does, with NeedsAttention left on: nothing moves by itself."""
        asking = Asking()
        key = operation_key(word.transfer_id, Leg.SUBMIT)
        answer = await asking.until_answered(LateWordActivities.look_after_all, word, key)
        asking.answered()
        if answer.contradicted is not None:
            said = f"**Needs attention.** {word.rail} contradicts how {word.transfer_id} ended: {answer.contradicted}"
            workflow.set_current_details(f"{said}. To correct it: `starter.py correct {word.transfer_id}`")
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])
        return answer
