"""Moments: what the events of a transfer's workflow mean, as lines of its timeline. Pure: events in, lines out.

Whatever is not known here is told by its own name, so that nothing new is passed over in silence; left out is only
Temporal's bookkeeping of its own tasks. An activity's earlier attempts leave no events: the one that ended it says
how many there were, and what the last of those before it died of.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PendingActivityInfo

from engine.history import Run
from engine.timeline import Line, Source

LONGEST_TEXT = 256
"""The longest text of anybody's that is told, in characters."""

_UNTOLD = {
    EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,  # what operators see as details; the lines say the same
    EventType.EVENT_TYPE_MARKER_RECORDED,
}

_KEY = re.compile(r"[A-Za-z0-9._:/-]*/[A-Za-z0-9._:/-]*", re.ASCII)

Told = tuple[str, str | None]
"""What happened, and more about it."""


def moments(runs: Iterable[Run]) -> list[Line]:
    """The lines of all runs. What a reset has copied from one run into the next is told once."""
    lines: list[Line] = []
    told: set[tuple[int, int]] = set()
    for run in runs:
        asked = {event.event_id: event for event in run.events}
        for event in run.events:
            identity = (event.event_id, event.event_time.ToNanoseconds())
            if event.event_type not in _UNTOLD and identity not in told:
                lines.append(_line(run, event, asked))
                told.add(identity)
        lines += [_unanswered(run, activity) for activity in run.pending]
    return lines


def _line(run: Run, event: HistoryEvent, asked: Mapping[int, HistoryEvent]) -> Line:
    kind = event.WhichOneof("attributes")
    attributes = getattr(event, kind) if kind else event
    before = asked.get(_asked_by(attributes), event)
    what, detail = _TELL[event.event_type](attributes, before) if event.event_type in _TELL else (_name(event), None)
    at = event.event_time.ToMicroseconds()
    return Line(at, Source.TEMPORAL, plain(what), _key(before), plain(detail or "") or None, run_id=run.run_id)


def _asked_by(attributes: Any) -> int:
    """The event that asked for what an event tells: the beginning of an activity, a child or a timer."""
    for name in ("scheduled_event_id", "initiated_event_id", "started_event_id"):
        if name in attributes.DESCRIPTOR.fields_by_name:
            return int(getattr(attributes, name))
    return 0


def _unanswered(run: Run, activity: PendingActivityInfo) -> Line:
    """An activity that has not answered yet. It has no events beyond the first."""
    scheduled = [
        event for event in run.events
        if event.activity_task_scheduled_event_attributes.activity_id == activity.activity_id
    ]  # fmt: skip  # one condition
    before = f"attempt {activity.attempt - 1}: {_failure(activity.last_failure)}"
    began = activity.last_started_time if activity.HasField("last_started_time") else activity.scheduled_time
    return Line(
        began.ToMicroseconds(),
        Source.TEMPORAL,
        f"{activity.activity_type.name}, attempt {activity.attempt}: no answer yet",
        _key(scheduled[0]) if scheduled else None,
        plain(before) if activity.attempt > 1 else None,
        run_id=run.run_id,
    )


def _key(event: HistoryEvent) -> str | None:
    """The operation key that an event's summary names, if it names one: `before asking again: T1/debit`."""
    last = str(_value(event.user_metadata.summary) or "").rpartition(": ")[2]
    return last if _KEY.fullmatch(last) else None


def plain(text: str) -> str:
    """A text that may come from anybody, as one line that does nothing to a terminal."""
    return "".join(sign if sign.isprintable() else " " for sign in text[:LONGEST_TEXT])


# --- what an event says: of its attributes, and of the event that asked for it ------------------------------


def _name(event: HistoryEvent) -> str:
    known = event.event_type in EventType.values()
    return (
        EventType.Name(event.event_type)[len("EVENT_TYPE_") :].replace("_", " ").lower() if known else "unknown event"
    )


def _activity(asked: HistoryEvent) -> str:
    return asked.activity_task_scheduled_event_attributes.activity_type.name


def _attempted(attributes: Any, asked: HistoryEvent) -> Told:
    before = f"attempt {attributes.attempt - 1}: {_failure(attributes.last_failure)}"
    return f"{_activity(asked)}, attempt {attributes.attempt}", before if attributes.attempt > 1 else None


def _answered(attributes: Any, asked: HistoryEvent) -> Told:
    """A leg's outcome in the ledger's words; of a notification, whether this attempt has delivered it."""
    answer = _result(attributes.result)
    if isinstance(answer, bool):
        return f"{_activity(asked)} answered: {'done' if answer else 'was done before'}", None
    if not isinstance(answer, dict):
        return f"{_activity(asked)} answered", None
    outcome = " ".join(str(answer[name]) for name in ("kind", "said", "code", "reference") if answer.get(name))
    replayed = ", replayed: nothing moved now" if answer.get("replayed") else ""
    return f"{_activity(asked)} answered: {outcome}{replayed}", str(answer.get("detail") or "")


def _completed(attributes: Any, _asked: HistoryEvent) -> Told:
    outcome = _result(attributes.result)
    status = outcome.get("status") if isinstance(outcome, dict) else None
    return "workflow completed" + (f": {status}" if status else ""), None


def _task_failed(attributes: Any, _asked: HistoryEvent) -> Told:
    if attributes.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
        return f"reset: begins again as {_run(attributes.new_run_id)}", _failure(attributes.failure)
    return "workflow task failed", _failure(attributes.failure)


def _attributes_shown(attributes: Any, _asked: HistoryEvent) -> Told:
    fields = attributes.search_attributes.indexed_fields
    return "shows " + ", ".join(f"{name} = {_value(fields[name])}" for name in sorted(fields)), None


def _timer(attributes: Any, asked: HistoryEvent) -> Told:
    seconds = attributes.start_to_fire_timeout.ToMilliseconds() / 1000
    return f"waits for {seconds:g} s", str(_value(asked.user_metadata.summary) or "")


_TELL: dict[int, Callable[[Any, HistoryEvent], Told]] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: lambda a, _: (
        f"{a.workflow_type.name} started", _run(a.original_execution_run_id)
    ),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: _completed,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: lambda a, _: (f"goes on as {a.workflow_type.name}", None),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: lambda a, _: ("workflow failed", _failure(a.failure)),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: lambda _a, _: ("workflow cancelled", None),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: lambda a, _: ("workflow terminated", a.reason),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: lambda a, _: ("cancel requested", a.cause),
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: lambda a, _: (f"signal {a.signal_name}", None),
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: _task_failed,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED: lambda a, _: (f"{a.activity_type.name} scheduled", None),
    EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED: _attempted,
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: _answered,
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: lambda a, asked: (f"{_activity(asked)} failed", _failure(a.failure)),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: lambda a, asked: (
        f"{_activity(asked)} did not answer in time", _failure(a.failure)
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED: lambda _, asked: (
        f"{_activity(asked)}: told to stop", None
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: lambda _, asked: (f"{_activity(asked)} stopped", None),
    EventType.EVENT_TYPE_TIMER_STARTED: _timer,
    EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED: lambda a, _: (
        f"{a.workflow_type.name} started", a.workflow_execution.workflow_id
    ),
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES: _attributes_shown,
}  # fmt: skip  # one line for one kind of event


def _run(run_id: str) -> str:
    return f"run {run_id[:8]}"


def _failure(failure: Failure) -> str:
    """What went wrong, with its causes: `activity ScheduleToClose timeout: the ledger did not answer`."""
    said = failure.message
    while failure.HasField("cause"):
        failure = failure.cause
        if failure.message not in said:
            said = ": ".join(filter(None, (said, failure.message)))
    return said


def _result(payloads: Payloads) -> Any:
    return _value(payloads.payloads[0]) if payloads.payloads else None


def _value(payload: Payload) -> Any:
    """What a payload says; None if it is not JSON."""
    try:
        return json.loads(payload.data)
    except ValueError:
        return None
