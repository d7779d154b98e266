"""Recurring, on Temporal's side: the schedule `recurring/<id>`, whose action starts an `Occurrence` with the order.

An occurrence never waits for the one before it (ALLOW_ALL): what both compete for is the money, and the books decide
that. One that came due while Temporal was down is made up for (`CATCHUP`); one that came due during a pause is not.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio import activity
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest, UpdateScheduleRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionExecutionStartWorkflow,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    WorkflowFailureError,
)
from temporalio.service import RPCError, RPCStatusCode

from activities.messages import TransferRequest
from activities.recurrence import FIELDS, Every
from activities.recurring import OrderChange, RecurringOrder
from engine.results import Unanswered, has_no_such_workflow
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter
from ledger.money import say

PREFIX = "recurring/"
CATCHUP = timedelta(days=365)
"""How late an occurrence may be that nobody could start in time. Temporal's own default; a rent is never too late."""

_OVERLAP = ScheduleOverlapPolicy.ALLOW_ALL
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Recurring:
    """A recurring transfer as Temporal knows it. `recent` are the nominal times and workflow ids of the last starts."""

    order: RecurringOrder
    paused: bool
    note: str | None
    upcoming: tuple[datetime, ...]
    recent: tuple[tuple[datetime, str], ...]


class RecurringTransfers:
    """The recurring transfers of a Temporal cluster. Every method can be called again; all raise Unanswered."""

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE) -> None:
        self._client = client
        self._task_queue = task_queue

    async def create(self, order: RecurringOrder) -> list[str]:
        """Make it. What the one that is there has otherwise, if there is one; empty if it is as ordered."""
        try:
            await self._client.create_schedule(_id(order.recurring_id), self._schedule(order))
        except ScheduleAlreadyRunningError:
            there = await self.find(order.recurring_id)
            if there is None:
                raise Unanswered(f"{order.recurring_id} was deleted while it was looked at") from None
            before, after = there.order.content(), order.content()
            return [f"{name}: {before[name]} -> {after[name]}" for name in before if before[name] != after[name]]
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        return []

    async def find(self, recurring_id: str) -> Recurring | None:
        """One of them; None if there is none."""
        description = await _answer(self._handle(recurring_id).describe)
        return None if description is None else await self._read(description)

    async def change(self, recurring_id: str, change: OrderChange) -> Recurring | None:
        """Change what is not due yet. What stands there now; None if there is none of this id. Raises MalformedRequest.

        Whether the change was made is seen by looking: Temporal silently drops an update if another change, a pause or
        a resume came in between. Then it is made of what those have left.
        """
        while (description := await _answer(self._handle(recurring_id).describe)) is not None:
            order = await self._order(description)
            changed = change.of(order)
            if changed == order or not change.fits(order):
                return await self._read(description)
            await self._replace(description, changed)
        return None

    async def pause(self, recurring_id: str, note: str) -> bool:
        """Let nothing come due until it is resumed. False if there is none."""
        return await _done(lambda: self._handle(recurring_id).pause(note=note))

    async def resume(self, recurring_id: str, note: str) -> bool:
        """Let it recur again. What came due meanwhile is not made up for. False if there is none."""
        return await _done(lambda: self._handle(recurring_id).unpause(note=note))

    async def delete(self, recurring_id: str) -> bool:
        """End it. Occurrences that were due are not touched. False if there was none."""
        return await _done(lambda: self._handle(recurring_id).delete())

    async def between(self, recurring_id: str, begin: datetime, end: datetime) -> list[datetime]:
        """Nominal times from `begin` until before `end`. Temporal stops after a thousand."""
        first, last = Timestamp(), Timestamp()
        first.FromDatetime(begin - timedelta(seconds=1))  # exclusive, for Temporal
        last.FromDatetime(end - timedelta(seconds=1))
        request = ListScheduleMatchingTimesRequest(
            namespace=self._client.namespace, schedule_id=_id(recurring_id), start_time=first, end_time=last
        )
        answer = await _answer(lambda: self._client.workflow_service.list_schedule_matching_times(request))
        return [] if answer is None else [time.ToDatetime(UTC) for time in answer.start_time]

    async def ids(self) -> AsyncIterator[str]:
        """The ids of all; one that was made a moment ago may be missing."""
        try:
            async for schedule in await self._client.list_schedules():
                if schedule.id.startswith(PREFIX):
                    yield schedule.id.removeprefix(PREFIX)
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error

    async def failure(self, workflow_id: str) -> str | None:
        """Why an occurrence was not paid; None if it is running, ended with an outcome, or is forgotten."""
        handle = self._client.get_workflow_handle(workflow_id)
        description = await _answer(handle.describe)
        if description is None or description.close_time is None:
            return None
        try:
            await handle.result()
        except WorkflowFailureError as error:
            return str(error.cause)
        except RPCError as error:
            raise Unanswered(f"Temporal did not answer: {error}") from error
        return None

    async def _replace(self, described: ScheduleDescription, order: RecurringOrder) -> None:
        """Put another order in place of what was described, and do nothing if that stands there no more.

        Not by `ScheduleHandle.update`: it sends no conflict token (SDK 1.35), and a pause in between would be undone.
        """
        schedule = described.schedule
        schedule.action, schedule.spec = self._action(order), _spec(order)
        request = UpdateScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=described.id,
            schedule=await schedule._to_proto(self._client),
            conflict_token=described.raw_description.conflict_token,
            identity=self._client.identity,
            request_id=str(uuid.uuid4()),
        )
        try:
            await self._client.workflow_service.update_schedule(request, retry=True)
        except RPCError as error:
            if error.status not in (RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.NOT_FOUND):
                raise Unanswered(f"Temporal did not answer: {error}") from error

    def _handle(self, recurring_id: str) -> ScheduleHandle:
        return self._client.get_schedule_handle(_id(recurring_id))

    def _schedule(self, order: RecurringOrder) -> Schedule:
        policy = SchedulePolicy(overlap=_OVERLAP, catchup_window=CATCHUP)
        return Schedule(action=self._action(order), spec=_spec(order), policy=policy)

    def _action(self, order: RecurringOrder) -> ScheduleActionStartWorkflow:
        amount = say(order.amount_minor, order.currency)
        return ScheduleActionStartWorkflow(
            "Occurrence",
            order,
            id=_id(order.recurring_id),
            task_queue=self._task_queue,
            static_summary=f"{amount} from {order.source} to {order.destination}",
            static_details="One occurrence of a recurring transfer: paid at most once, whoever starts it again.",
        )

    async def _read(self, description: ScheduleDescription) -> Recurring:
        state, info = description.schedule.state, description.info
        recent = [
            (action.scheduled_at, action.action.workflow_id)
            for action in info.recent_actions
            if isinstance(action.action, ScheduleActionExecutionStartWorkflow)
        ]
        upcoming = tuple(info.next_action_times)
        return Recurring(await self._order(description), state.paused, state.note, upcoming, tuple(recent))

    async def _order(self, description: ScheduleDescription) -> RecurringOrder:
        action = description.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        [order] = await self._client.data_converter.decode(action.args, [RecurringOrder])
        assert isinstance(order, RecurringOrder)
        return order


async def submit_occurrence(request: TransferRequest) -> tuple[tuple[str, ...], bool]:
    """`activities.recurring.Submitting`, through the client of the worker whose activity asks."""
    submitted = await Submitter(activity.client(), activity.info().task_queue).transfer(request)
    return submitted.differences, submitted.running


def _id(recurring_id: str) -> str:
    """The id of the schedule, and the beginning of the workflow ids of its occurrences."""
    return f"{PREFIX}{recurring_id}"


def _spec(order: RecurringOrder) -> ScheduleSpec:
    """When it recurs, in Temporal's words."""
    start = None if order.starting_at is None else datetime.fromtimestamp(order.starting_at // 1_000_000, UTC)
    recurrence = order.recurrence()
    if isinstance(recurrence, Every):
        every, offset = timedelta(seconds=recurrence.seconds), timedelta(seconds=recurrence.offset)
        return ScheduleSpec(intervals=[ScheduleIntervalSpec(every, offset)], start_at=start)
    fields = {name: [ScheduleRange(*run) for run in _runs(recurrence.numbers[name])] for name in FIELDS}
    return ScheduleSpec(calendars=[ScheduleCalendarSpec(**fields, comment=order.cron)], start_at=start)


def _runs(numbers: frozenset[int]) -> list[tuple[int, int]]:
    """The same numbers as few ranges: 1, 2, 3, 7 is 1 to 3 and 7 to 7."""
    return [
        (first, next(last for last in range(first, first + len(numbers)) if last + 1 not in numbers))
        for first in sorted(numbers)
        if first - 1 not in numbers
    ]


async def _answer(ask: Callable[[], Awaitable[Found]]) -> Found | None:
    """What Temporal answers; None if it knows no such thing."""
    try:
        return await ask()
    except RPCError as error:
        if has_no_such_workflow(error):
            return None
        raise Unanswered(f"Temporal did not answer: {error}") from error


async def _done(ask: Callable[[], Awaitable[None]]) -> bool:
    """Have it done. False if Temporal knows no such thing."""

    async def asked() -> bool:
        await ask()
        return True

    return await _answer(asked) or False
