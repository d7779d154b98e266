"""Together: every part in a process of its own, a few at a time, with a line for each as it ends; then the report."""

import argparse
import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from engine.embedded import dies_with_parent
from engine.settings import ROOT
from tests.faults import report
from tests.faults.record import read
from tests.faults.run import PARTS, Part


@dataclass(frozen=True)
class Ended:
    """How a part ended on one database."""

    part: Part
    database: str
    exit: int | None
    """Its exit status; None if it was ended because it took too long."""
    seconds: float
    record: Path
    log: Path
    command: str
    """What runs it again, alone."""


async def run(arguments: argparse.Namespace) -> int:
    """Run the parts that were asked for. Returns the exit status."""
    console, begun = Console(highlight=False), time.monotonic()
    console.print(f"[bold]Breaking it every way there is.[/] Seed {arguments.seed}.")
    parts = [part for part in PARTS if not arguments.part or part.name in arguments.part]
    wanted = [
        (part, database)
        for part in parts
        for database in part.databases
        if not arguments.database or database in arguments.database
    ]
    places, in_line = asyncio.Semaphore(arguments.jobs), asyncio.Lock()

    async def one(part: Part, database: str) -> Ended:
        takes = min(part.takes_places, arguments.jobs)
        async with in_line:  # one at a time, so that two that take several places do not wait for each other
            for _ in range(takes):
                await places.acquire()
        try:
            ended = await _alone(arguments, part, database)
        finally:
            for _ in range(takes):
                places.release()
        _tell(console, ended)
        return ended

    begun_in_order = sorted(wanted, key=lambda each: -each[0].takes_seconds)
    running = {each: asyncio.create_task(one(*each)) for each in begun_in_order}
    ended = await asyncio.gather(*(running[each] for each in wanted))
    is_whole = parts == list(PARTS) and not arguments.database and arguments.case == "*" and not arguments.quick
    return report.conclude(console, ended, arguments.seed, time.monotonic() - begun, is_whole)


async def _alone(arguments: argparse.Namespace, part: Part, database: str) -> Ended:
    narrowed = ["--part", part.name, "--database", database, "--seed", str(arguments.seed)]
    narrowed += [*(["--soak", str(arguments.soak)] if arguments.soak else []), *(["--quick"] * arguments.quick)]
    narrowed += ["--every-case"] * arguments.every_case
    limit = (part.every_case_seconds if arguments.every_case else part.limit_seconds) + 60 * arguments.soak
    case = ["--case", arguments.case] if arguments.case != "*" else []
    log, begun = arguments.into / f"{part.name}-{database}.log", time.monotonic()
    with open(log, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.faults", *narrowed, *case, "--alone", "--into", str(arguments.into)),
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGTERM),
        )
    try:
        exit = await asyncio.wait_for(process.wait(), limit)
    except (TimeoutError, asyncio.CancelledError) as interrupted:
        os.killpg(process.pid, signal.SIGKILL)  # a group of its own: everything that it started and left there
        await process.wait()
        if isinstance(interrupted, asyncio.CancelledError):
            raise
        exit = None
    command = shlex.join(["python", "-m", "tests.faults", *narrowed])
    record = arguments.into / f"{part.name}-{database}.jsonl"
    return Ended(part, database, exit, time.monotonic() - begun, record, log, command)


def _tell(console: Console, ended: Ended) -> None:
    lines = read([ended.record] if ended.record.exists() else [])
    cases = [line for line in lines if line["type"] == "case"]
    faults = sum(line["count"] for line in lines if line["type"] == "fault")
    good = ended.exit == 0
    mark = "[green]ok  [/]" if good else "[red]FAIL[/]"
    name = f"{ended.part.name} on {ended.database}"
    counts = f"{sum(not case['problems'] for case in cases)} of {len(cases)} cases, {faults} faults"
    console.print(f"{mark} {name:38} {counts:36} {ended.seconds:6.1f} s")
    if not good:
        _explain(console, ended, [case for case in cases if case["problems"]])


def _explain(console: Console, ended: Ended, failed: Sequence[dict[str, object]]) -> None:
    for case in failed[:20]:
        console.print(f"     [red]{case['name']}[/]", soft_wrap=True)
        for problem in case["problems"] if isinstance(case["problems"], list) else []:
            console.print(f"       {problem}", soft_wrap=True, markup=False)
        console.print(f"       again: {ended.command} --case {shlex.quote(str(case['name']))}", soft_wrap=True)
    if not failed:
        said = ended.log.read_text(errors="replace").splitlines()[-15:]
        reason = "took too long" if ended.exit is None else f"ended with status {ended.exit}"
        console.print(f"     {reason}; again: {ended.command}", soft_wrap=True)
        console.print("\n".join(f"       {line}" for line in said), markup=False, soft_wrap=True)
