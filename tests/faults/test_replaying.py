"""The replay of every prefix is itself tried: it is silent about our workflows, and names one that differs."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.client import Client
from temporalio.plugin import SimplePlugin
from temporalio.worker import UnsandboxedWorkflowRunner

from engine.converter import data_converter
from engine.plugin import WorkerPlugin
from ledger.book import Ledger
from tests.faults.replaying import cuts, replays
from tests.support.bank import Bank
from tests.support.databases import only_sqlite
from tests.support.examples import open_with
from tests.workflows import endings


@workflow.defn(name="Transfer", sandboxed=False)
class Impostor:
    """Another workflow of the same name: what a careless deploy would be."""

    @workflow.run
    async def run(self, request: Any) -> None:
        """Do something else."""
        await workflow.sleep(timedelta(days=1))


@only_sqlite
async def test_every_prefix_replays_and_another_workflow_of_that_name_does_not(
    ledger: Ledger, temporal: Client
) -> None:
    """A worker may take a transfer over after any event; one with other code is named by each prefix it breaks."""
    await open_with(ledger, alice=100_00, bob=0)
    bank = Bank(ledger, temporal)
    async with bank.working():
        id = await endings.settled(bank)
    events = (await temporal.get_workflow_handle(id).fetch_history()).events
    careless = SimplePlugin(
        "careless", data_converter=data_converter, workflows=[Impostor], workflow_runner=UnsandboxedWorkflowRunner()
    )

    assert await replays(temporal, WorkerPlugin(workflow_runner=UnsandboxedWorkflowRunner()), [id], prefixes=True) == []
    assert len(list(cuts(events))) > 8
    assert len(await replays(temporal, careless, [id], prefixes=True)) > 5
    assert len(await replays(temporal, careless, [id])) == 1
    assert await replays(temporal, careless, ["transfer/nobody"]) == []
