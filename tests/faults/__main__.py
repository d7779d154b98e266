"""The fault suite's command line: `python -m tests.faults` runs every part; options narrow it down to one case.

    python -m tests.faults                                              all of it, and the report
    python -m tests.faults --part storm --database sqlite --seed 7      one part on one database
    python -m tests.faults --part rpc_fates --case 'Respond*'           only the cases of that name
    python -m tests.faults --every-case                                 all cases where a run takes a share
    python -m tests.faults --soak 60 --part storm                       the storm for an hour

Every part runs in a process of its own. Exit status: 0 when all held, 1 when something was wrong or a fault that
was planned did not fire, 2 for a usage error.
"""

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
from pathlib import Path

from tests.faults import alone, together
from tests.faults.run import PARTS
from tests.support.databases import DATABASES


def main() -> int:
    """Run what is asked for."""
    arguments = _arguments()
    if arguments.alone:
        return alone.run(arguments)
    with tempfile.TemporaryDirectory(prefix="durable-transfers-faults-", ignore_cleanup_errors=True) as folder:
        arguments.into = arguments.into or Path(folder)
        return asyncio.run(together.run(arguments))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=[part.name for part in PARTS], action="append", help="only this part")
    parser.add_argument("--database", choices=DATABASES, action="append", help="only this database")
    parser.add_argument("--case", default="*", help="only the cases of this name (a shell pattern)")
    parser.add_argument("--seed", type=int, default=None, help="what every choice comes from; shown by every run")
    parser.add_argument("--soak", type=float, default=0, metavar="MINUTES", help="how long the storm lasts")
    parser.add_argument("--every-case", action="store_true", help="all cases of every part, not a share of them")
    parser.add_argument("--quick", action="store_true", help="a few seconds of each part; writes no report")
    parser.add_argument("--jobs", type=int, default=4, help="parts that run at the same time (%(default)s)")
    parser.add_argument("--into", type=Path, default=None, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    return arguments


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
