"""One transfer against the floor: the same server, the same worker, the same client calls, turn by turn."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.common import WorkflowIDReusePolicy

from activities.messages import ExpressRequest, TransferOutcome, TransferRequest
from bench.cluster import running
from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most, histogram, median, percentile, ratio
from bench.transfer_worker import ACCOUNTS
from engine.settings import TASK_QUEUE
from engine.submitting import Submitted, Submitter
from ledger.fingerprint import Content
from ledger.transfer import Status, Transfer

IN_FLIGHT = 30
STEP = 0.050
"""What a server that polls its queues 20 times a second adds, in seconds."""

Run = Callable[[Transfer], Awaitable[None]]


class Starter(Submitter):
    """A submitter that does not look at what it has started: its start is one call, as the floor's is."""

    async def _look(self, id: str, content: Content, recipe: str, started: bool) -> Submitted | None:
        return Submitted(id, None)


@dataclass(frozen=True, slots=True)
class Sides:
    """The ways to run one workflow to its end: the floor, a transfer, and a transfer as callers submit it."""

    starter: Starter
    submitter: Submitter

    async def floor(self, transfer: Transfer) -> None:
        """Start a Floor through the same call, and wait for its result."""
        await self._floor("Floor", f"floor/{transfer.id}", transfer)

    async def express_floor(self, transfer: Transfer) -> None:
        """The same with an ExpressFloor."""
        await self._floor("ExpressFloor", f"express-floor/{transfer.id}", transfer)

    async def _floor(self, workflow: str, id: str, transfer: Transfer) -> None:
        policy = WorkflowIDReusePolicy.REJECT_DUPLICATE
        await self.starter._start(workflow, id, _request(transfer), id_reuse_policy=policy)
        await self.starter.client.get_workflow_handle(id, result_type=str).result()

    async def transfer(self, transfer: Transfer) -> None:
        """Start a Transfer with all that Submitter gives it, and wait for its result."""
        _check(await self._run(self.starter, _request(transfer)))

    async def express(self, transfer: Transfer) -> None:
        """The same, express."""
        _check(await self._run(self.starter, ExpressRequest(**_request(transfer).model_dump())))

    async def submitted(self, transfer: Transfer) -> None:
        """The same through Submitter, which describes what it has started."""
        _check(await self._run(self.submitter, _request(transfer)))

    async def _run(self, submitter: Submitter, request: TransferRequest) -> TransferOutcome:
        return await submitter.outcome(await submitter.transfer(request), TransferOutcome, 60)


async def measure(_databases: Databases, quick: bool) -> Figure:
    """Throughput with 30 in flight and latency of one at a time, of transfers and of the floor."""
    pairs, size, singles = (4, 60, 30) if quick else (8, 150, 80)
    async with running() as cluster:
        sides = Sides(Starter(cluster.client, TASK_QUEUE), Submitter(cluster.client, TASK_QUEUE))
        for warm_up in (sides.floor, sides.transfer, sides.submitted):
            await throughput(warm_up, IN_FLIGHT * 2)
        floor, transfer = await turns(sides.floor, sides.transfer, pairs, size)
        alone_floor, alone, submitted = await _latencies(sides, singles)
    above = percentile(alone, 95) - median(alone)
    return Figure(
        "One transfer against the floor, a workflow of three activities that do nothing",
        f"{pairs} turns of {size} workflows each with {IN_FLIGHT} in flight; then {singles} of each, one at a time. "
        "Judged on start + result, with the same two client calls on both sides.",
        [
            Line(f"floor, {IN_FLIGHT} in flight", median(floor), "workflows/s"),
            Line(f"transfer, {IN_FLIGHT} in flight", median(transfer), "transfers/s"),
            Line("throughput of the floor's", ratio(transfer, floor), "ratio", at_least(0.85)),
            Line("floor, one at a time", median(alone_floor) * 1000, "ms"),
            Line("transfer, one at a time", median(alone) * 1000, "ms"),
            Line("latency of the floor's", median(alone) / median(alone_floor), "ratio", at_most(1.3)),
            Line("95th percentile above the median", above * 1000, "ms", at_most(STEP * 1000)),
            Line("transfer, described by Submitter too", median(submitted) * 1000, "ms"),
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


async def _latencies(sides: Sides, times: int) -> tuple[list[float], list[float], list[float]]:
    taken: tuple[list[float], list[float], list[float]] = ([], [], [])
    for _ in range(times):
        for run, into in zip((sides.floor, sides.transfer, sides.submitted), taken, strict=True):
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


def _check(outcome: TransferOutcome) -> None:
    if outcome.status != Status.SETTLED or outcome.replayed:
        raise RuntimeError(f"a transfer did not settle: {outcome}")
