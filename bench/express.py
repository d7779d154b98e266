"""An express transfer against its floor, and what it leaves behind beside an ordinary one."""

import time

from bench.cluster import running
from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most, median, ratio
from bench.transfer import IN_FLIGHT, Run, Sides, throughput, turns
from bench.transfer_worker import ACCOUNTS
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter, workflow_id


async def measure(_databases: Databases, quick: bool) -> Figure:
    """Throughput against three local activities that do nothing; events, bytes and latency against a transfer."""
    pairs, size, singles = (4, 60, 30) if quick else (8, 150, 80)
    async with running() as cluster:
        sides = Sides(Submitter(cluster.client, TASK_QUEUE))
        for warm_up in (sides.express_floor, sides.express, sides.transfer):
            await throughput(warm_up, IN_FLIGHT * 2)
        floor, express = await turns(sides.express_floor, sides.express, pairs, size)
        ordinary, beside = await turns(sides.transfer, sides.express, pairs, size)
        alone, express_alone = (
            await _one_at_a_time(sides.transfer, singles),
            await _one_at_a_time(sides.express, singles),
        )
        left, express_left = await _left_behind(sides, sides.transfer), await _left_behind(sides, sides.express)
    return Figure(
        "Express transfers, whose legs run within the workflow task",
        f"{pairs} turns of {size} workflows each with {IN_FLIGHT} in flight, against three local activities that do "
        f"nothing and then against ordinary transfers; then {singles} of each, one at a time.",
        [
            Line(f"express floor, {IN_FLIGHT} in flight", median(floor), "workflows/s"),
            Line(f"express, {IN_FLIGHT} in flight", median(express), "transfers/s"),
            Line("throughput of the express floor's", ratio(express, floor), "ratio", at_least(0.9)),
            Line("throughput of an ordinary transfer's", ratio(beside, ordinary), "ratio"),
            Line("ordinary, one at a time", median(alone) * 1000, "ms"),
            Line("express, one at a time", median(express_alone) * 1000, "ms"),
            Line("events of an ordinary transfer's history", left[0], "events"),
            Line("events of an express transfer's history", express_left[0], "events"),
            Line("events, of an ordinary one's", express_left[0] / left[0], "ratio", at_most(0.5)),
            Line("bytes of an ordinary transfer's history", left[1], "bytes"),
            Line("bytes of an express transfer's history", express_left[1], "bytes"),
        ],
    )


async def _one_at_a_time(run: Run, times: int) -> list[float]:
    taken = []
    for transfer in ACCOUNTS.transfers(times):
        began = time.perf_counter()
        await run(transfer)
        taken.append(time.perf_counter() - began)
    return taken


async def _left_behind(sides: Sides, run: Run) -> tuple[int, int]:
    """How many events, and how many bytes of them, one transfer leaves in Temporal."""
    (transfer,) = ACCOUNTS.transfers(1)
    await run(transfer)
    history = await sides.submitter.client.get_workflow_handle(workflow_id(transfer.id)).fetch_history()
    return len(history.events), sum(event.ByteSize() for event in history.events)
