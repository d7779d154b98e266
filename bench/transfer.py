"""One transfer against the floor: the same server, the same worker, the same client calls, turn by turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities.messages import ExpressRequest, TransferOutcome, TransferRequest
from bench.cluster import running
from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most, histogram, median, percentile, ratio
from bench.transfer_worker import ACCOUNTS
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter
from ledger.transfer import Status, Transfer

IN_FLIGHT = 30
STEP = 0.050
"""What a server that polls its queues 20 times a second adds, in seconds."""

Run = Callable[[Transfer], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sides:
    """The ways to run one workflow to its end, by the same two calls: start it, and wait for its result."""

    submitter: Submitter

    async def floor(self, transfer: Transfer) -> None:
        """A Floor."""
        await self._floor("Floor", f"floor/{transfer.id}", transfer)

    async def express_floor(self, transfer: Transfer) -> None:
        """An ExpressFloor."""
        await self._floor("ExpressFloor", f"express-floor/{transfer.id}", transfer)

    async def _floor(self, workflow: str, id: str, transfer: Transfer) -> None:
        client = self.submitter.client
        await client.start_workflow(workflow, _request(transfer), id=id, task_queue=self.submitter.task_queue)
        await client.get_workflow_handle(id, result_type=str).result()

    async def transfer(self, transfer: Transfer) -> None:
        """A Transfer, as callers submit it."""
        await self._run(_request(transfer))

    async def express(self, transfer: Transfer) -> None:
        """The same, express."""
        await self._run(ExpressRequest(**_request(transfer).model_dump()))

    async def _run(self, request: TransferRequest) -> None:
        outcome = await self.submitter.outcome(await self.submitter.transfer(request), TransferOutcome, 60)
        if outcome.status != Status.SETTLED or outcome.replayed:
            raise RuntimeError(f"a transfer did not settle: {outcome}")


async def measure(_databases: Databases, quick: bool) -> Figure:
    """Throughput with 30 in flight and latency of one at a time, of transfers and of the floor."""
    pairs, size, singles = (4, 60, 30) if quick else (8, 150, 80)
    async with running() as cluster:
        sides = Sides(Submitter(cluster.client, TASK_QUEUE))
        for warm_up in (sides.floor, sides.transfer):
            await throughput(warm_up, IN_FLIGHT * 2)
        floor, transfer = await turns(sides.floor, sides.transfer, pairs, size)
        alone_floor, alone = await _latencies(sides, singles)
    above = percentile(alone, 95) - median(alone)
    return Figure(
        "One transfer against the floor, a workflow of three activities that do nothing",
        f"{pairs} turns of {size} workflows each with {IN_FLIGHT} in flight; then {singles} of each, one at a time. "
        "Both sides are started and waited for by the same two calls.",
        [
            Line(f"floor, {IN_FLIGHT} in flight", median(floor), "workflows/s"),
            Line(f"transfer, {IN_FLIGHT} in flight", median(transfer), "transfers/s"),
            Line("throughput of the floor's", ratio(transfer, floor), "ratio", at_least(0.85)),
            Line("floor, one at a time", median(alone_floor) * 1000, "ms"),
            Line("transfer, one at a time", median(alone) * 1000, "ms"),
            Line("latency of the floor's", median(alone) / median(alone_floor), "ratio", at_most(1.3)),
            Line("95th percentile above the median", above * 1000, "ms", at_most(STEP * 1000)),
        ],
        [
            histogram("floor, one at a time", alone_floor),
            histogram("transfer, one at a time (steps of 50 ms would show here)", alone),
        ],
    )


async def turns(floor: Run, transfer: Run, pairs: int, size: int) -> tuple[list[float], list[float]]:
    """The rates of two ways (workflows a second), turn by turn, so that both meet the same machine."""
    rates: tuple[list[float], list[float]] = ([], [])
    for turn in range(pairs):
        sides = [(floor, rates[0]), (transfer, rates[1])]
        for run, into in sides if turn % 2 else reversed(sides):
            into.append(await throughput(run, size))
    return rates


async def throughput(run: Run, size: int) -> float:
    """How many workflows a second end, with `IN_FLIGHT` under way at any time."""
    waiting = ACCOUNTS.transfers(size)

    async def caller() -> None:
        while waiting:
            await run(waiting.pop())

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return size / (time.perf_counter() - began)


async def _latencies(sides: Sides, times: int) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(times):
        for run, into in zip((sides.floor, sides.transfer), taken, strict=True):
            (one,) = ACCOUNTS.transfers(1)
            began = time.perf_counter()
            await run(one)
            into.append(time.perf_counter() - began)
    return taken


def _request(transfer: Transfer) -> TransferRequest:
    return TransferRequest(
        transfer_id=transfer.id,
        source=transfer.source,
        destination=transfer.destination,
        amount_minor=transfer.amount_minor,
        currency=transfer.currency,
    )
