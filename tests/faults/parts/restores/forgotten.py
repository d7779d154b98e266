"""Forgotten: Temporal knows nothing of a finished transfer any more; the books answer, whoever asks for whatever."""

import asyncio
import time
import uuid

from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from engine import search_attributes
from engine.embedded import EmbeddedServer
from tests.faults.kinds import Kind
from tests.faults.parts.restores.stories import STORIES, Scene, Story, expect_ending, scene
from tests.faults.record import Trial
from tests.faults.run import Run

RETENTION_SECONDS = 10
PATIENCE = 60.0
CALLERS = 20


async def by_deletion(run: Run, server: EmbeddedServer) -> None:
    """An operator deletes the closed execution."""
    async with scene(run, server) as here:
        for story in STORIES:
            if not run.wants(name := f"{story.name}, execution deleted, same id again"):
                continue
            with run.record.case(name) as trial:
                await here.play(story)
                await _delete(here, story)
                await _ask_again(trial, here, story)
                await _delete(here, story)
                await _other_content(trial, here, story)
                await here.check(trial)


async def by_retention(run: Run, server: EmbeddedServer) -> None:
    """The namespace's retention is over: nobody deleted anything, Temporal just forgot."""
    if not run.wants(name := "retention expired, same ids again"):
        return
    namespace = await _namespace(server)
    async with scene(run, server, namespace) as here:
        with run.record.case(name) as trial:
            for story in STORIES:
                await here.play(story)
            closed = time.monotonic()
            for story in STORIES:
                await _wait_until_forgotten(here, story)
                run.record.fault(Kind.WORKFLOW_RETENTION, story.name)
            run.record.figure("retention of 10 s: forgotten after", round(time.monotonic() - closed, 1), "s")
            for story in STORIES:
                await _ask_again(trial, here, story)
            await here.check(trial)


async def _ask_again(trial: Trial, here: Scene, story: Story) -> None:
    before = await here.bank.balances("alice", "bob", "carol", "transit:USD")
    debits = here.bank.gates.attempts.get("credit", 0)
    answers = await asyncio.gather(*(here.ask(story.request(here.bank), f"caller-{n}") for n in range(CALLERS)))
    for answer in answers:
        expect_ending(trial, story, answer, "after Temporal forgot it")
        trial.expect(answer.replayed, f"{answer.transfer_id} was told as if it had happened now")
    after = await here.bank.balances("alice", "bob", "carol", "transit:USD")
    trial.expect(after == before, f"{story.name}: the balances were {before} and are {after}")
    trial.expect(here.bank.gates.attempts.get("credit", 0) == debits, f"{story.name}: a credit was attempted again")


async def _other_content(trial: Trial, here: Scene, story: Story) -> None:
    """The books alone know what the id was used for; then its owner asks again."""
    before = await here.bank.balances("alice", "bob", "carol", "transit:USD")
    here.run.record.fault(Kind.CALLER_OTHER_CONTENT, story.name)
    other = await here.ask(story.request(here.bank, amount_minor=7), "stranger")
    due = (4, f"amount_minor: {story.amount_minor} -> 7")
    trial.expect((other.exit_status, other.reason) == due, f"a stranger was told {other}")
    expect_ending(trial, story, await here.ask(story.request(here.bank)), "after a stranger's attempt")
    after = await here.bank.balances("alice", "bob", "carol", "transit:USD")
    trial.expect(after == before, f"{story.name}: the balances were {before} and are {after}")


async def _delete(here: Scene, story: Story) -> None:
    here.run.record.fault(Kind.WORKFLOW_DELETED, story.name)
    await here.bank.forget(story.request(here.bank))


async def _wait_until_forgotten(here: Scene, story: Story) -> None:
    async with asyncio.timeout(PATIENCE):
        while await here.bank.submitter.find(story.request(here.bank).transfer_id) is not None:
            await asyncio.sleep(0.1)


async def _namespace(server: EmbeddedServer) -> str:
    """A namespace that forgets after ten seconds, with our search attributes."""
    name = f"forgetful-{uuid.uuid4().hex[:8]}"
    client = await Client.connect(server.address, namespace=name)
    retention = Duration(seconds=RETENTION_SECONDS)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=retention)
    )
    async with asyncio.timeout(PATIENCE):
        while True:  # the server looks for new namespaces now and then
            try:
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=name))
                await search_attributes.register(client)
                return name
            except RPCError:
                await asyncio.sleep(0.2)
