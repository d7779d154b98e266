"""Batches on a real Temporal server: what is moved, what is told, and who else may have moved it before."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.batch_messages import BatchOutcome, BatchProgress, BatchRequest
from cli.batch_file import Chunk, Good
from cli.batch_results import Row, rows
from engine.batching import Batches, batch_workflow_id
from engine.results import KeyReused
from ledger.transfer import Transfer
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases

SHA256 = "ab" * 32


def a_batch(bank: Bank, sha256: str = SHA256) -> BatchRequest:
    """A batch of this bank's own."""
    return BatchRequest(batch_id=f"{bank.task_queue}.B", sha256=sha256, lines=4)


def a_chunk(bank: Bank, *amounts_minor: int, first: int = 2) -> Chunk:
    """Lines that pay Bob out of Alice's account: L2, L3, ... by the number of the line."""
    return Chunk(
        a_batch(bank).batch_id,
        [
            Good(line, Transfer(f"{bank.task_queue}.L{line}", "alice", "bob", amount, "USD"))
            for line, amount in enumerate(amounts_minor, first)
        ],
    )


async def done(bank: Bank, *chunks: Chunk) -> list[Row]:
    """Have chunks settled as the starter does, and say what became of each line."""
    batches = Batches(bank.submitter)
    return [
        row async for chunk, outcome in batches.in_order(chunks, PATIENCE, lambda: True) for row in rows(chunk, outcome)
    ]


def short(found: list[Row]) -> list[tuple[str, str, str]]:
    """The rows without their ids."""
    return [row[1:] for row in found]


SETTLED = ("settled", "", "false")


async def test_every_line_of_a_chunk_has_its_own_answer_and_is_announced_once(bank: Bank) -> None:
    """
    The second line asks for too much. Asked again, Temporal's answer is the same, and nobody is told twice.
    """
    first = await done(bank, a_chunk(bank, 10_00, 1000_00, 5_00), a_chunk(bank, 1_00, first=9))
    again = await done(bank, a_chunk(bank, 10_00, 1000_00, 5_00), a_chunk(bank, 1_00, first=9))

    assert short(first) == [SETTLED, ("rejected", "insufficient_funds", "false"), SETTLED, SETTLED]
    assert again == first
    assert await bank.balances() == [84_00, 16_00, 0]
    assert sorted(key.partition(".")[2] for key, _ in bank.notifier.seen) == [
        "L2/notify/settled", "L3/notify/rejected", "L4/notify/settled", "L9/notify/settled",
    ]  # fmt: skip  # a list is read as one thing


async def test_a_line_that_a_single_transfer_has_moved_is_a_replay_and_the_other_way_round(bank: Bank) -> None:
    """
    One key for one transfer, whoever asks: in a file, or alone.
    """
    await bank.transfer(bank.request("L3", amount_minor=5_00))
    found = await done(bank, a_chunk(bank, 10_00, 5_00))
    alone = await bank.transfer(bank.request("L2", amount_minor=10_00))

    assert short(found) == [SETTLED, ("settled", "", "true")]
    assert (alone.status, alone.replayed) == ("settled", True)
    assert await bank.balances() == [85_00, 15_00, 0]


async def test_a_line_whose_id_has_other_content_is_told_what_differs(bank: Bank) -> None:
    """
    And moves nothing.
    """
    await bank.transfer(bank.request("L2", amount_minor=5_00))
    found = await done(bank, a_chunk(bank, 10_00))

    assert short(found) == [("key_reused", "amount_minor: 500 -> 1000", "false")]
    assert await bank.balances() == [95_00, 5_00, 0]


@both_databases
async def test_a_line_in_the_middle_of_a_single_transfer_settles_and_its_workflow_sees_a_replay(bank: Bank) -> None:
    """
    The transfer waits in front of its credit; the batch credits it with the same key.
    """
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(bank.request("L2", amount_minor=10_00))
    await asyncio.wait_for(gate.reached.wait(), PATIENCE)
    found = await done(bank, a_chunk(bank, 10_00))
    gate.open.set()
    alone = await bank.outcome(submitted)

    assert short(found) == [SETTLED]
    assert alone.status == "settled"
    assert await bank.balances() == [90_00, 10_00, 0]


async def test_a_chunk_that_was_terminated_is_started_again_and_does_what_is_missing(idle_bank: Bank) -> None:
    """
    Temporal forgets what it did; the ledger tells, with the same answer.
    """
    chunk = a_chunk(idle_bank, 10_00, 1000_00)
    asked = asyncio.create_task(done(idle_bank, chunk))  # nobody works yet
    handle = idle_bank.client.get_workflow_handle(f"{batch_workflow_id(chunk.batch_id)}/2-3")
    await _exists(idle_bank, handle.id)
    await handle.terminate("an operator's mistake")
    with pytest.raises(Exception, match="closed without an outcome"):
        await asked

    async with idle_bank.working():
        found = await done(idle_bank, chunk)

    assert short(found) == [SETTLED, ("rejected", "insufficient_funds", "false")]
    assert await idle_bank.balances() == [90_00, 10_00, 0]


async def _exists(bank: Bank, id: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while [each.id async for each in bank.client.list_workflows(f"WorkflowId = '{id}'")] != [id]:
            await asyncio.sleep(0.05)


async def test_what_the_receiver_does_not_take_is_left_to_the_sweep(bank: Bank) -> None:
    """
    A batch does not wait for it, and its money does not depend on it.
    """
    bank.notifier.refusals = 20
    found = await done(bank, a_chunk(bank, 10_00, 5_00))
    bank.notifier.refusals = 0
    swept = await bank.sweep()
    async with asyncio.timeout(PATIENCE):
        while len(bank.notifier.seen) < swept.notifications_restarted:
            await asyncio.sleep(0.05)

    assert short(found) == [SETTLED, SETTLED]
    assert swept.notifications_restarted >= 2


async def test_a_batch_shows_its_progress_and_ends_when_its_starter_says_so(bank: Bank) -> None:
    """
    Another file under its id is refused, by Temporal at once and by the ledger for ever.
    """
    batches, request = Batches(bank.submitter), a_batch(bank)
    submitted = await batches.submit(request)
    await batches.begin(submitted, PATIENCE)
    other = await batches.submit(a_batch(bank, "cd" * 32))
    assert await batches.report(request.batch_id, BatchProgress(done=3, settled=2, malformed=1))
    running = await batches.find(request.batch_id)
    assert await batches.report(request.batch_id, BatchProgress(done=4, settled=3, malformed=1, over=True))
    outcome = await bank.submitter.outcome(submitted, BatchOutcome, PATIENCE)
    assert await batches.report(request.batch_id, BatchProgress())  # by a second starter, too late: no harm

    assert other.differences == (f"sha256: {SHA256} -> {'cd' * 32}",)
    assert running is not None
    assert (running[0], running[2]) == (
        WorkflowExecutionStatus.RUNNING,
        BatchProgress(done=3, settled=2, malformed=1),
    )
    assert outcome.progress.settled == 3


async def test_the_ledger_refuses_another_file_when_temporal_has_forgotten_the_batch(bank: Bank) -> None:
    """
    The workflow fails with KeyReused, so that Temporal does not remember it as the owner of the id.
    """
    await bank.ledger.apply(a_batch(bank).as_operation())
    submitted = await Batches(bank.submitter).submit(a_batch(bank, "cd" * 32))
    with pytest.raises(KeyReused, match="sha256"):
        await Batches(bank.submitter).begin(submitted, PATIENCE)


async def test_a_cancelled_batch_tells_its_starter_to_stop_and_can_be_run_again(bank: Bank) -> None:
    """
    It waits for the last report, so that whoever cancels learns what was done.
    """
    batches, request = Batches(bank.submitter), a_batch(bank)
    await batches.begin(await batches.submit(request), PATIENCE)
    cancelling = asyncio.create_task(batches.cancel(request.batch_id, "stop", PATIENCE))
    async with asyncio.timeout(PATIENCE):
        while await batches.report(request.batch_id, BatchProgress(done=1, settled=1)):
            await asyncio.sleep(0.05)
    assert not await batches.report(request.batch_id, BatchProgress(done=2, settled=2, over=True))
    await cancelling
    ended = await batches.find(request.batch_id)
    again = await batches.submit(request)
    await batches.begin(again, PATIENCE)

    assert ended is not None
    assert (ended[0], ended[2]) == (
        WorkflowExecutionStatus.CANCELED,
        BatchProgress(done=2, settled=2, over=True),
    )
    assert not again.differences


async def test_a_report_that_nobody_hears_can_be_called_off(idle_bank: Bank) -> None:
    """
    Found by the storm: the SDK tells a cancel as its own error, and starters that had ended went on reporting.
    """
    batches, request = Batches(idle_bank.submitter), a_batch(idle_bank)
    await batches.submit(request)
    reporting = asyncio.create_task(batches.report(request.batch_id, BatchProgress()))
    await asyncio.sleep(0.5)  # nobody works on it: it waits for the workflow
    reporting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(reporting, 5)
