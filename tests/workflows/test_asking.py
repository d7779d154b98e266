"""Asking: a leg that does not answer is asked again for as long as it takes, and an operator can see it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment

from activities.messages import TransferOutcome
from engine.embedded import binary
from engine.plugin import ClientPlugin
from ledger.book import Ledger
from tests.support.bank import Bank
from tests.support.examples import open_with
from workflows.search_attributes import ALL, NEEDS_ATTENTION, TRANSFER_STATUS


@pytest.fixture
async def hasty_bank(ledger: Ledger) -> AsyncIterator[Bank]:
    """A bank on a server that skips time whenever a workflow only waits."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=binary(),
        dev_server_startup_timeout=timedelta(seconds=30),
        dev_server_log_level="error",
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"],
        search_attributes=ALL,
        plugins=[ClientPlugin()],
    )
    async with environment:
        await open_with(ledger, alice=100_00, bob=0)
        bank = Bank(ledger, environment.client)
        async with bank.working():
            yield bank


async def _until_attention(handle: WorkflowHandle[object, object], needed: bool) -> None:
    while True:
        description = await handle.describe()
        if description.typed_search_attributes.get(NEEDS_ATTENTION) is needed:
            return
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("leg", ["debit", "credit"])
async def test_a_leg_without_an_answer_calls_for_attention_and_goes_on_with_the_same_key(
    hasty_bank: Bank, arm: Callable[[str], None], leg: str
) -> None:
    """
    Hours of silence (skipped here) end in the same settled transfer, and the call for attention is taken back.
    """
    request = hasty_bank.request()
    arm(f"ledger.before_transaction[{request.transfer_id}/{leg}]=raise@*")
    submitted = await hasty_bank.start(request)
    handle = hasty_bank.client.get_workflow_handle(submitted.workflow_id, result_type=TransferOutcome)

    await _until_attention(handle, True)
    arm("")
    outcome = await hasty_bank.outcome(submitted)

    assert outcome.status == "settled"
    attributes = (await handle.describe()).typed_search_attributes
    assert (attributes[NEEDS_ATTENTION], attributes[TRANSFER_STATUS]) == (False, "settled")
    assert await hasty_bank.balances() == [75_00, 25_00, 0]
