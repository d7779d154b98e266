"""Resets: a workflow is set back to every workflow task it ever had, and its money does not move again."""

import asyncio
import uuid
from collections.abc import Sequence

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import WorkerPlugin
from tests.faults.kinds import Kind
from tests.faults.parts.restores.stories import STORIES, Scene, Story, expect_ending, scene
from tests.faults.replaying import replays
from tests.faults.run import Run
from tests.support.bank import sandbox


async def to_every_task(run: Run, server: EmbeddedServer) -> None:
    """Each story's workflow to each of its tasks one after the other, then to all of them at once."""
    async with scene(run, server) as here:
        for story in STORIES:
            if run.wants(f"reset {story.name} *") or run.only.startswith(f"reset {story.name}"):
                await _one_story(here, story)
        if here.answers:
            await _afterwards(here)


async def _one_story(here: Scene, story: Story) -> None:
    id = await here.play(story)
    first = await here.bank.client.get_workflow_handle(id).describe()
    points = await _tasks(here.bank.client, id, first.run_id)
    before = await here.bank.balances("alice", "bob", "carol", "transit:USD")
    for number, point in enumerate(points, start=1):
        if not here.run.wants(name := f"reset {story.name} to task {number}"):
            continue
        with here.run.record.case(name) as trial:
            here.run.record.fault(Kind.WORKFLOW_RESET, f"{id} to event {point}")
            await _reset(here.bank.client, id, first.run_id, point)
            expect_ending(trial, story, await here.ask(story.request(here.bank)), name)
            after = await here.bank.balances("alice", "bob", "carol", "transit:USD")
            trial.expect(after == before, f"the balances were {before} and are {after}")
    if not here.run.wants(name := f"reset {story.name} to all of its tasks at once"):
        return
    with here.run.record.case(name) as trial:
        here.run.record.fault(Kind.WORKFLOW_RESET, f"{id} to events {points} at once", len(points))
        await asyncio.gather(*(_reset(here.bank.client, id, first.run_id, point) for point in points))
        expect_ending(trial, story, await here.ask(story.request(here.bank)), name)
        after = await here.bank.balances("alice", "bob", "carol", "transit:USD")
        trial.expect(after == before, f"the balances were {before} and are {after}")


async def _afterwards(here: Scene) -> None:
    """All runs of all workflows agree with the books, and each history replays, with every prefix."""
    with here.run.record.case("after all resets: books, executions and histories agree") as trial:
        evidence = await here.check(trial)
        runs = [(run.workflow_id, run.run_id) for run in evidence.executions]
        plugin = WorkerPlugin(workflow_runner=sandbox())
        trial.problems += await replays(here.bank.client, plugin, runs[:8] if here.run.quick else runs, prefixes=True)
        here.run.record.figure("histories of reset workflows replayed, with every prefix", len(runs))


async def in_transit(run: Run, server: EmbeddedServer) -> None:
    """The money is in transit and an attempt of the credit stands still; the workflow is set back to its beginning."""
    if not run.wants(name := "reset a transfer whose money is in transit"):
        return
    async with scene(run, server) as here:
        with run.record.case(name) as trial:
            gate = here.bank.gates.close("credit", before=True)
            asking = asyncio.create_task(here.ask(STORIES[0].request(here.bank), "first"))
            await gate.reached.wait()
            run.record.fault(Kind.WORKFLOW_RESET, "the first task, with the credit under way")
            await here.bank.reset(STORIES[0].request(here.bank))
            expect_ending(trial, STORIES[0], await here.ask(STORIES[0].request(here.bank)), "after the reset")
            gate.open.set()  # the zombie attempt goes on
            first = await asking
            trial.expect(first.exit_status in (0, 5), f"the first caller was told {first}")
            balances = await here.bank.balances("alice", "bob", "transit:USD")
            trial.expect(balances == [975_00, 25_00, 0], f"the balances are {balances}")
            await here.check(trial)


async def never_cached(run: Run, server: EmbeddedServer) -> None:
    """A worker that keeps no workflow: every task replays the history from its beginning."""
    if not run.wants(name := "no workflow is ever cached"):
        return
    async with scene(run, server, max_cached_workflows=0) as here:
        with run.record.case(name) as trial:
            run.record.fault(Kind.WORKER_EVICTED, "max_cached_workflows=0: after every workflow task")
            for story in STORIES:
                await here.play(story)
                expect_ending(trial, story, await here.ask(story.request(here.bank)), name)
            requests = [here.bank.request(f"many-{n}", amount_minor=1_00) for n in range(3 if run.quick else 30)]
            answers = await asyncio.gather(*map(here.ask, requests))
            trial.expect({answer.status for answer in answers} == {"settled"}, f"told {answers}")
            balances = await here.bank.balances("alice", "bob", "transit:USD")
            moved = 25_00 + 1_00 * len(requests)
            trial.expect(balances == [1_000_00 - moved, moved, 0], f"the balances are {balances}")
            await here.check(trial)


async def _tasks(client: Client, id: str, run_id: str) -> Sequence[int]:
    """The completed workflow tasks of a run: where it can be set back to."""
    history = await client.get_workflow_handle(id, run_id=run_id).fetch_history()
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id for event in history.events if event.event_type == completed]


async def _reset(client: Client, id: str, run_id: str, point: int) -> None:
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=id, run_id=run_id),
            reason="the fault suite",
            request_id=uuid.uuid4().hex,
            workflow_task_finish_event_id=point,
        )
    )
