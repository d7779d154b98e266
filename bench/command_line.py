"""The command line: how soon it says something, and whether its exit status can be trusted in every run."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

from activities.messages import TransferOutcome
from bench.cluster import Cluster, running
from bench.databases import Databases
from bench.figure import Figure, Line, at_least, at_most, median, percentile
from bench.transfer_worker import ACCOUNTS
from engine.settings import ROOT, TASK_QUEUE
from engine.submitting import Submitter
from ledger.transfer import Status

AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class _Case:
    """A command and how it must end: its exit status, and the `status` it answers."""

    arguments: tuple[str, ...]
    exit: int
    status: str


async def measure(_databases: Databases, quick: bool) -> Figure:
    """Seconds to the first output, and how many of many runs end with the right status."""
    times, runs = (7, 40) if quick else (21, 200)
    async with running() as cluster:
        cases = _cases()
        for case in cases:  # the first of each does the work; all that follow are told the same
            await _is_right(cluster, case)
        help, balance = list[float](), list[float]()
        for _ in range(times):
            help.append(await _first_output(cluster, "--help"))
            balance.append(await _first_output(cluster, "balance", ACCOUNTS.account(0), "--json"))
        right = sum(await _many(cluster, [cases[run % len(cases)] for run in range(runs)]))
        await _check_settled(cluster)
    return Figure(
        "The command line",
        f"{times} runs of each, one after the other, from the start of the process to its first byte of output; then "
        f"{runs} runs, {AT_ONCE} at a time, of transfers that are settled, rejected, malformed and key_reused.",
        [
            Line("--help, to the first output", median(help), "s", at_most(0.5)),
            Line("balance --json, to the first output", median(balance), "s", at_most(0.5)),
            Line("balance --json, 95th percentile", percentile(balance, 95), "s"),
            Line(f"right status and answer, of {runs} runs", right, "runs", at_least(runs)),
        ],
    )


def _cases() -> list[_Case]:
    source, destination = ACCOUNTS.account(1), ACCOUNTS.account(2)

    def transfer(id: str, source: str, amount: str) -> tuple[str, ...]:
        return ("transfer", "--id", id, "--from", source, "--to", destination, "--amount", amount, "--json")

    return [
        _Case(transfer("settles", source, "1.00"), 0, "settled"),
        _Case(transfer("is-rejected", "nobody", "1.00"), 3, "rejected"),
        _Case(transfer("is-malformed", source, "1.001"), 2, "malformed"),
        _Case(transfer("settles", source, "2.00"), 4, "key_reused"),
    ]


async def _many(cluster: Cluster, cases: Sequence[_Case]) -> list[bool]:
    slots = asyncio.Semaphore(AT_ONCE)

    async def run(case: _Case) -> bool:
        async with slots:
            return await _is_right(cluster, case)

    return await asyncio.gather(*(run(case) for case in cases))


async def _is_right(cluster: Cluster, case: _Case) -> bool:
    process = await _start(cluster, case.arguments)
    output, _ = await process.communicate()
    try:
        answered = json.loads(output)["status"]
    except (ValueError, KeyError):
        answered = None
    return (process.returncode, answered) == (case.exit, case.status)


async def _first_output(cluster: Cluster, *arguments: str) -> float:
    began = time.perf_counter()
    process = await _start(cluster, arguments)
    assert process.stdout is not None
    first = await process.stdout.read(1)
    taken = time.perf_counter() - began
    await process.communicate()
    if not first or process.returncode != 0:
        raise RuntimeError(f"starter.py {' '.join(arguments)} ended with status {process.returncode}")
    return taken


async def _start(cluster: Cluster, arguments: Sequence[str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), *arguments),
        env=os.environ | {"DURABLE_TRANSFERS_DATA": str(cluster.data)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )


async def _check_settled(cluster: Cluster) -> None:
    """What all these runs asked for is in Temporal, and settled."""
    submitter = Submitter(cluster.client, TASK_QUEUE)
    found = await submitter.find("settles")
    assert found is not None
    outcome = await submitter.outcome(found, TransferOutcome, 10)
    assert outcome.status == Status.SETTLED
