"""Replaying (I13): every history that came about under faults replays, and so does every prefix of it.

A prefix is what a worker finds that takes a workflow over in the middle: after any event, except between those that
the server writes at once with a workflow task's completion.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, Plugin, WorkflowHistory
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

Run = str | tuple[str, str]


async def replays(
    client: Client, plugin: Plugin, workflow_ids: Iterable[Run], prefixes: bool = False, every: int = 1
) -> list[str]:
    """What does not replay, a sentence each. With `prefixes`, also every prefix (every nth, if there are too many).

    `plugin` is a WorkerPlugin. A history that is not there any more is left out. Of a workflow id, the newest run is
    taken; a pair of workflow id and run id names another.
    """
    problems: list[str] = []
    replayer = Replayer(workflows=[], plugins=[plugin])  # type: ignore[list-item]  # a WorkerPlugin is both kinds
    histories = _histories(client, workflow_ids, prefixes, every)
    async with replayer.workflow_replay_iterator(histories) as results:
        async for result in results:
            if result.replay_failure is not None:
                length = len(result.history.events)
                problems.append(f"I13: {length} events of {result.history.workflow_id}: {result.replay_failure}")
    return problems


def cuts(events: Sequence[HistoryEvent]) -> Iterator[int]:
    """After how many events a history may have ended, short of its whole length."""
    for length in range(3, len(events)):  # before its first task began, a workflow has done nothing
        if not _came_with_a_task(events[length]):
            yield length


def _came_with_a_task(event: HistoryEvent) -> bool:
    """Whether an event was written together with the completion of the workflow task that caused it."""
    attributes = getattr(event, str(event.WhichOneof("attributes")))
    return bool(getattr(attributes, "workflow_task_completed_event_id", 0))


async def _histories(
    client: Client, workflow_ids: Iterable[Run], prefixes: bool, every: int
) -> AsyncIterator[WorkflowHistory]:
    for run in workflow_ids:
        workflow_id, run_id = (run, None) if isinstance(run, str) else run
        try:
            whole = await client.get_workflow_handle(workflow_id, run_id=run_id).fetch_history()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            continue
        yield whole
        for number, length in enumerate(cuts(whole.events) if prefixes else ()):
            if number % every == 0:
                yield WorkflowHistory(workflow_id, whole.events[:length])
