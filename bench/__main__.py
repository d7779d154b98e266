"""python -m bench: measure everything, show it beside its targets, and write it down in docs/bench/."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial

from rich.console import Console

from bench import (
    bulk,
    command_line,
    express,
    group_commit,
    growth,
    hot_account,
    levers,
    machine,
    million,
    report,
    transfer,
)
from bench.databases import Databases, databases
from bench.figure import Figure

FIGURES: dict[str, Callable[[Databases, bool], Awaitable[Figure]]] = {
    "transfer": transfer.measure,
    "express": express.measure,
    "group-commit": group_commit.measure,
    "hot-account": hot_account.measure,
    "million": million.measure,
    "command-line": command_line.measure,
    "bulk": bulk.measure,
}


PAGES: dict[str, Callable[[Databases, bool], Awaitable[Figure]]] = {
    "growth": growth.measure,
    "levers": levers.measure,
}
"""Those that take long, and have a page of their own in docs/bench/: only if asked for."""


def main() -> int:
    """Run what was asked for. Returns 0: a missed target is a figure, not a failed test."""
    arguments = _arguments()
    names = arguments.only or list(FIGURES)
    if arguments.lines:
        FIGURES["bulk"] = partial(bulk.measure, lines=arguments.lines)
        PAGES["growth"] = partial(growth.measure, lines=arguments.lines)
    progress = Console(stderr=True)
    with databases() as made:
        described = machine.describe(made.version)
        figures = []
        for name in names:
            with progress.status(f"measuring {name} ..."):
                figures.append(asyncio.run(_measure(name, made, arguments.quick)))
    if arguments.json:
        print(json.dumps(report.as_json(figures, described)))
    else:
        report.show(figures, described, Console())
    for name, figure in zip(names, figures, strict=True):
        if name in PAGES and not arguments.quick:
            progress.print(f"written: {report.write_page(name, figure, described)}", style="dim")
    if not arguments.quick and not arguments.only:
        report.write(figures, described)
        progress.print(f"written: {report.DOCS}/RESULTS.json and README.md", style="dim")
    return 0


async def _measure(name: str, made: Databases, quick: bool) -> Figure:
    return await (FIGURES | PAGES)[name](made, quick)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Medians and ratios of one run, each beside its target. Takes some minutes; close what else runs.",
        epilog="A whole run (no --quick, no --only) is written to docs/bench/; growth and levers by themselves.",
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", choices=[*FIGURES, *PAGES], help=", ".join([*FIGURES, *PAGES])
    )
    parser.add_argument("--quick", action="store_true", help="fewer turns, and 100,000 postings instead of a million")
    parser.add_argument(
        "--lines", type=int, help=f"how many transfers the file has: bulk ({bulk.LINES:,}), growth ({growth.LINES:,})"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    return parser.parse_args()


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # as starter.py does: the SDK's native threads may crash the interpreter at exit
