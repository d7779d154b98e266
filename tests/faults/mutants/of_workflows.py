"""Mutants of the workflows and of submitting: silence taken for a no, and the SDK's defaults."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError

from activities.messages import LegOutcome
from engine.submitting import Submitter
from ledger import rules
from ledger.books import Books, Recorded
from ledger.errors import OutOfOrder
from ledger.operation import Operation, Outcome, OutcomeKind
from workflows import asking

Activity = Callable[[Any, Any], Awaitable[Any]]


def refund_on_timeout() -> None:
    """A leg that does not answer in time is taken for a rejection, as in Temporal's own money-transfer samples."""

    async def gives_up(self: asking.Asking, activity: Activity, question: Any, summary: str) -> Any:
        try:
            return await asking._round(activity, question, summary, timedelta(seconds=3))
        except ActivityError:
            return LegOutcome(kind=OutcomeKind.REJECTED, code="timeout", detail="no answer in time")

    asking.Asking.unless_cancelled = gives_up  # type: ignore[method-assign]  # that is what a mutant is


def default_cancellation_type() -> None:
    """A cancelled workflow goes on at once, while the leg's attempt may still commit."""

    async def default_round(activity: Activity, question: Any, summary: str, length: timedelta, *_: Any) -> Any:
        return await workflow.execute_activity_method(
            activity,
            question,
            summary=summary,
            start_to_close_timeout=min(asking.ATTEMPT, length),
            schedule_to_close_timeout=length,
            retry_policy=asking.RETRIES,
        )

    asking._round = default_round  # type: ignore[assignment]  # that is what a mutant is


def default_reuse_policy() -> None:
    """A closed transfer may be started again, and the books do not give back the recorded outcome."""
    start = Submitter._start

    async def anew(self: Submitter, *request: Any, **options: Any) -> str | None:
        return await start(self, *request, **options | {"reuse": _DEFAULT})

    def no_answer(operation: Operation, recorded: Recorded, books: Books) -> Outcome:
        raise OutOfOrder(f"{operation.key} has been done before")

    Submitter._start = anew  # type: ignore[method-assign]  # that is what a mutant is
    rules._replay = no_answer


_DEFAULT = WorkflowIDReusePolicy.ALLOW_DUPLICATE
