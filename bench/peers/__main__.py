"""python -m bench.peers: install the others, race them, and show it; a whole run is written down."""

import argparse
import asyncio
import json
import sys

from rich.console import Console

from bench import machine, report
from bench.databases import databases
from bench.peers import race
from bench.peers.contestants import contestants
from bench.peers.environments import versions
from bench.peers.page import Page
from bench.peers.race import Pace

WHOLE = Pace(rounds=3, in_flight=(1, 30, 200), alone_seconds=1.5, seconds=2.5, lines=10_000)
QUICK = Pace(rounds=1, in_flight=(1, 30), alone_seconds=1, seconds=1.5, lines=5_000)


def main() -> int:
    """Race. Returns 0: a missed target is a figure, and so is a contestant that fell out."""
    arguments = _arguments()
    if sys.platform != "linux":
        sys.stderr.write("python -m bench.peers: what a process used is read from /proc, which only Linux has\n")
        return 2
    pace, absent, progress = QUICK if arguments.quick else WHOLE, dict[str, str](), Console(stderr=True)
    with progress.status("installing the others ..."):
        everybody = contestants(absent)
    with databases() as made:
        described = machine.describe(made.version)
        with progress.status("") as status:
            say = status.update if progress.is_terminal else progress.print
            results = asyncio.run(race.run(everybody, made, pace, say))
    page = Page(results, pace, absent, versions(), described)
    if arguments.json:
        print(json.dumps(page.as_json()))
    else:
        report.show(page.figures(), described, Console())
    if not arguments.quick:
        page.write()
        progress.print(f"written: {report.DOCS}/PEERS.md, PEERS.json and peers.svg", style="dim")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.peers",
        description="This engine, DBOS, Restate and the floors do the same work, in turns, on one PostgreSQL. "
        "Takes ten minutes; close what else runs. Registries (PyPI, npm) are needed the first time only.",
        epilog="Only a whole run (without --quick) is written to docs/bench/.",
    )
    parser.add_argument("--quick", action="store_true", help="one round, without 200 in flight; under two minutes")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of the table")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
