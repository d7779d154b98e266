"""Sweep: what a terminated or lost workflow has left unfinished in the books is finished. One step, on a schedule.

It decides nothing about money: it starts the ordinary workflows again, and they ask the ledger. See
`activities/sweeping.py` for what is started again and what is left alone.
"""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.messages import SweepRequest, SweepSummary
    from activities.sweeping import LONGEST, SweepActivities
    from workflows.asking import RETRIES

ATTEMPT = timedelta(seconds=LONGEST + 60)
SILENCE = timedelta(seconds=30)
"""How long an attempt may say nothing before its worker is taken for dead."""


@workflow.defn
class Sweep:
    """One sweep. It may run beside others, and be ended at any point."""

    @workflow.run
    async def run(self, request: SweepRequest) -> SweepSummary:
        """Sweep once, and say what was found."""
        summary = await workflow.execute_activity_method(
            SweepActivities.sweep,
            request,
            summary=f"what has stood still for {request.older_than_seconds:g} s",
            start_to_close_timeout=ATTEMPT,
            heartbeat_timeout=SILENCE,
            retry_policy=RETRIES,
        )
        workflow.set_current_details(_details(summary))
        return summary


def _details(summary: SweepSummary) -> str:
    """What operators see, as Markdown."""
    transfers = f"{summary.running} running, {summary.restarted} started again"
    notifications = f"{summary.notifications_restarted} started again"
    found = [
        f"{summary.looked_at} unfinished transfers: {transfers}.",
        f"{summary.notifications_looked_at} undelivered notifications: {notifications}.",
    ]
    if summary.disagreeing:
        named = ", ".join(f"`{id}`" for id in summary.disagreeing_ids)
        found.append(f"**The books and Temporal disagree** about {summary.disagreeing}: {named}")
    if summary.unanswered:
        found.append(f"No answer about {summary.unanswered}; the next sweep asks again.")
    if summary.more:
        found.append("There is more; the next sweep goes on.")
    return "\n\n".join(found)
