"""Batches: a file of transfers, each line a chunk of its own, begun, done and reported as the starter does."""

from collections.abc import Sequence

from activities.batch_messages import BatchProgress, BatchRequest
from cli.batch_file import Chunk, Good
from cli.batch_results import rows
from engine.batching import Batches
from engine.submitting import Submitter
from ledger.transfer import Transfer


async def results_of_a_file(submitter: Submitter, id: str, amounts: Sequence[int], patience_seconds: float) -> str:
    """The file's results, as the starter writes them: line 2 is its first. Raises Unanswered."""
    batches = Batches(submitter)
    request = BatchRequest(batch_id=id, sha256="ab" * 32, lines=len(amounts))
    await batches.begin(await batches.submit(request), patience_seconds)
    lines = [Good(n, Transfer(f"{id}.{n}", f"{id}-a", f"{id}-b", amount, "USD")) for n, amount in enumerate(amounts, 2)]
    results: list[str] = []
    async for chunk, outcome in batches.in_order([Chunk(id, [line]) for line in lines], patience_seconds, lambda: True):
        results += [",".join(row) for row in rows(chunk, outcome)]
    await batches.report(id, BatchProgress(done=len(lines), settled=len(lines), over=True))
    return "; ".join(results)
