"""Moments: every event of every golden history is told in words, and nothing that anybody wrote reaches a terminal."""

from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from engine.history import Run
from engine.moments import moments
from engine.timeline import Source

HISTORIES = Path(__file__).parent / "histories"


def run_of(name: str) -> Run:
    """A golden history as a run."""
    history = WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())
    return Run("run", False, history.events)


@pytest.mark.parametrize("name", sorted(path.stem for path in HISTORIES.glob("*.json")))
def test_every_golden_history_is_told_from_its_start_to_its_end(name: str) -> None:
    """Each line has words of its own, and those about a leg have its key."""
    lines = moments([run_of(name)])

    assert lines[0].what.endswith(" started")
    assert lines[-1].what.startswith(("workflow completed", "workflow failed", "workflow cancelled", "goes on as "))
    assert {line.source for line in lines} == {Source.TEMPORAL}
    for leg in ("debit", "credit", "refund", "cancel"):
        about = [line for line in lines if line.what.startswith((f"{leg} scheduled", f"{leg} answered", f"{leg}, "))]
        assert all(line.key is not None and line.key.endswith(f"/{leg}") for line in about)


def test_a_notification_that_is_left_to_a_workflow_says_to_which() -> None:
    """The receiver did not take it in time: the transfer ends, and the workflow that goes on is named."""
    (left,) = [line for line in moments([run_of("told_later")]) if line.what == "Notification started"]

    assert left.detail is not None
    assert left.detail.startswith("notification/")
    assert left.key is not None
    assert left.key.endswith("/notify/settled")


def test_events_that_nobody_foresaw_are_told_by_their_names() -> None:
    """A server or a workflow of tomorrow: nothing is passed over in silence, and nothing breaks."""
    kinds = (EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED, EventType.ValueType(9_999))
    events = [HistoryEvent(event_id=n, event_type=kind) for n, kind in enumerate(kinds)]

    assert [line.what for line in moments([Run("run", True, events)])] == [
        "workflow execution update accepted",
        "unknown event",
    ]


def test_what_anybody_wrote_is_one_plain_line() -> None:
    """A summary that is no key, and a signal's name with an escape in it, come from whoever may write to Temporal."""
    event = HistoryEvent(
        event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, event_time=Timestamp(seconds=1)
    )
    event.workflow_execution_signaled_event_attributes.signal_name = "\x1b[2J\nhello"
    event.user_metadata.summary.CopyFrom(Payload(data=b'"[red]/\\u001b"'))

    (line,) = moments([Run("run", True, [event])])

    assert (line.at, line.what, line.key) == (1_000_000, "signal  [2J hello", None)
