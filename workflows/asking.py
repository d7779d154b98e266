"""Asking: put one question to an activity until it answers, however long that takes.

    round 1: 30 s of retries  ->  NeedsAttention  ->  round 2: 60 s  ->  ...  ->  rounds of four hours

Silence is never taken for an answer. A round has an end only so that an operator can see that it was needed; the
next one asks the same question with the same key. Retries within a round leave no events behind, so that a year
of asking (about 24,000 events, by count of one round's) fits into one history.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.messages import KEY_REUSED
    from workflows.search_attributes import NEEDS_ATTENTION

FIRST_ROUND = timedelta(seconds=30)
LONGEST_ROUND = timedelta(hours=4)
PAUSE = timedelta(seconds=5)
ATTEMPT = timedelta(seconds=5)
"""How long one attempt may take, and so how soon a dead worker's leg is asked of another. Beyond it the attempt is a
zombie: if it still commits, its key makes it a replay."""

RETRIES = RetryPolicy(
    initial_interval=timedelta(milliseconds=200), backoff_coefficient=2.0, maximum_interval=timedelta(seconds=10)
)
EXPRESS_RETRIES = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_attempts=3)
"""Within a workflow task. The number of attempts ends them: SDK 1.35 looks at no other limit while it retries."""

Question = TypeVar("Question")
Answer = TypeVar("Answer")


SILENCE = FailureError
"""What an attempt's failure is raised as. From within a workflow task it comes bare: an error as ApplicationError; a
timeout as ActivityError when it happens, and as TimeoutError when it is replayed (SDK 1.35)."""


def key_reused(detail: str | None) -> ApplicationError:
    """What such a workflow raises: it must not be the one that Temporal remembers under the id.

    If it completed, the rightful caller's next retry would find it there, and be told that its own id was reused.
    """
    return ApplicationError(detail or "the key belongs to other content", type=KEY_REUSED, non_retryable=True)


class Asking:
    """One workflow's way of asking. It remembers whether the operators were called.

    An express one asks within the workflow task first, which leaves one event behind instead of three and needs no way
    through the server. What has not answered after a few attempts is asked in the ordinary way from then on: a workflow
    task that is held up leaves events behind every few seconds, and a history has room for a day of them.

    An attempt may take longer than usual where it says all the time that its worker lives: `silence` is how long it may
    not say so.
    """

    def __init__(
        self, express: bool = False, attempt: timedelta | None = None, silence: timedelta | None = None
    ) -> None:
        self._attention = False
        self._express = express
        self._attempt = attempt
        self._silence = silence
        self._asked: asyncio.Task[Any] | None = None
        self._woken = False

    async def until_answered(
        self, activity: Callable[[Any, Question], Awaitable[Answer]], question: Question, summary: str
    ) -> Answer:
        """Ask until there is an answer; a cancel of the workflow does not stop it."""
        while True:
            if (answer := await self._ask(activity, question, summary, stops_at_cancel=False)) is not None:
                return answer

    async def unless_cancelled(
        self, activity: Callable[[Any, Question], Awaitable[Answer]], question: Question, summary: str
    ) -> Answer | None:
        """Ask until there is an answer, or the workflow is cancelled: None. The effect is then unknown."""
        return await self._ask(activity, question, summary, stops_at_cancel=True)

    async def _ask(
        self,
        activity: Callable[[Any, Question], Awaitable[Answer]],
        question: Question,
        summary: str,
        stops_at_cancel: bool,
    ) -> Answer | None:
        length, express = FIRST_ROUND, self._express
        while True:
            try:
                if express:
                    return await _express_round(activity, question, summary)
                asked = _round(activity, question, summary, length, self._attempt, self._silence)
                self._woken, self._asked = False, asked
                return await asked
            except (SILENCE, asyncio.CancelledError) as error:
                # A cancel that came while an attempt was silent shows as that attempt's timeout, not as a cancel.
                if workflow.cancellation_reason() is not None and (stops_at_cancel or is_cancelled_exception(error)):
                    return None
                if express:
                    express = False
                    continue
                if self._woken:
                    continue
                self._call_for_attention(summary, error)
            try:
                await workflow.sleep(PAUSE, summary=f"before asking again: {summary}")
            except asyncio.CancelledError:
                if stops_at_cancel:
                    return None
            length = min(length * 2, LONGEST_ROUND)

    @property
    def waits(self) -> bool:
        """Whether something is being asked."""
        return self._asked is not None and not self._asked.done()

    def wake(self) -> None:
        """Ask again at once, instead of when the next retry is due. Nothing if nothing is being asked."""
        if self._asked is not None and not self._asked.done():
            self._woken = True
            self._asked.cancel()

    def answered(self) -> None:
        """All is answered: the operators need not look any more."""
        if self._attention:
            self._attention = False
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(False)])

    def _call_for_attention(self, summary: str, error: BaseException) -> None:
        cause = getattr(error, "cause", None) or error
        workflow.logger.warning("no answer yet to %s: %s", summary, cause)
        workflow.set_current_details(f"**Needs attention.** No answer yet to *{summary}*; asking again.\n\n`{cause}`")
        if not self._attention:
            self._attention = True
            workflow.upsert_search_attributes([NEEDS_ATTENTION.value_set(True)])


async def _express_round(
    activity: Callable[[Any, Question], Awaitable[Answer]], question: Question, summary: str
) -> Answer:
    return await workflow.execute_local_activity_method(
        activity,
        question,
        summary=summary,
        start_to_close_timeout=ATTEMPT,
        retry_policy=EXPRESS_RETRIES,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def _round(
    activity: Callable[[Any, Question], Awaitable[Answer]],
    question: Question,
    summary: str,
    length: timedelta,
    attempt: timedelta | None = None,
    silence: timedelta | None = None,
) -> "asyncio.Task[Answer]":
    return workflow.start_activity_method(
        activity,
        question,
        summary=summary,
        start_to_close_timeout=min(attempt or ATTEMPT, length),
        schedule_to_close_timeout=length,
        heartbeat_timeout=silence,
        retry_policy=RETRIES,
        # The default would let the workflow go on while the attempt may still commit.
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
