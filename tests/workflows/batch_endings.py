"""The endings of batches and chunks, as stories for golden histories. Each returns the workflow id."""

import asyncio
from contextlib import suppress

from activities.batch_messages import BatchProgress, BatchRequest
from cli.batch_file import Chunk, Good
from engine.batching import Batches, batch_workflow_id
from engine.results import KeyReused
from ledger.transfer import Transfer
from tests.support.bank import PATIENCE, Bank

OVER = BatchProgress(done=2, settled=1, not_settled=1, over=True)


async def batch_over(bank: Bank) -> str:
    """A batch whose starter says that it is over."""
    batches, request = await _begun(bank, "batch-over")
    await batches.report(request.batch_id, OVER)
    return batch_workflow_id(request.batch_id)


async def batch_cancelled(bank: Bank) -> str:
    """A cancel, of which the starter hears with its next report; its last one ends it."""
    batches, request = await _begun(bank, "batch-cancelled")
    cancelling = asyncio.create_task(batches.cancel(request.batch_id, "stop", PATIENCE))
    while await batches.report(request.batch_id, BatchProgress(done=1, settled=1)):
        await asyncio.sleep(0.05)
    await batches.report(request.batch_id, OVER)
    await cancelling
    return batch_workflow_id(request.batch_id)


async def batch_reused(bank: Bank) -> str:
    """The ledger knows the id with another file."""
    request = _request(bank, "batch-reused", "cd" * 32)
    await bank.ledger.apply(_request(bank, "batch-reused").as_operation())
    batches = Batches(bank.submitter)
    with suppress(KeyReused):
        await batches.begin(await batches.submit(request), PATIENCE)
    return batch_workflow_id(request.batch_id)


async def chunk_settled(bank: Bank) -> str:
    """Two lines, the second of which asks for too much."""
    batch_id = f"{bank.task_queue}.chunk"
    lines = [(2, 1_00), (3, 10_000_00)]
    good = [Good(n, Transfer(f"{batch_id}.{n}", "alice", "bob", amount, "USD")) for n, amount in lines]
    async for _ in Batches(bank.submitter).in_order([Chunk(batch_id, list(good))], PATIENCE, lambda: True):
        pass
    return f"{batch_workflow_id(batch_id)}/2-3"


def _request(bank: Bank, name: str, sha256: str = "ab" * 32) -> BatchRequest:
    return BatchRequest(batch_id=f"{bank.task_queue}.{name}", sha256=sha256, lines=3)


async def _begun(bank: Bank, name: str) -> tuple[Batches, BatchRequest]:
    batches, request = Batches(bank.submitter), _request(bank, name)
    await batches.begin(await batches.submit(request), PATIENCE)
    return batches, request
