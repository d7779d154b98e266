"""The floors: what Temporal alone costs, and what PostgreSQL alone does.

python -m bench.peers.floor_peer LEDGER_URL PGBENCH. Workflows of three activities that do nothing, ordinary and local;
one INSERT ... SELECT for each of the ledger's tables; and pgbench's TPC-B, a transaction of five statements each.
"""

import asyncio
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.schema import CreateSchema

from bench.cluster import running
from bench.filling import write
from bench.load import Load
from bench.peers.driving import Taken, Turn, drive, serve
from bench.peers.work import ACCOUNTS, Movement
from bench.transfer import Run, Sides
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter
from ledger.book import Ledger
from ledger.database import AUDITING, open_database, parse_url
from ledger.transfer import Transfer

SCALES = {False: 30, True: 1}
"""Of pgbench: as many branches as are in flight as a rule, or one, whose row all transactions change."""

CLIENTS = 90
"""Of pgbench at most: it has a connection for each, and the server has a hundred."""


async def main(url: str, pgbench: str | None) -> None:
    """Prepare the tables, start server and worker, and drive them."""
    load = Load(ACCOUNTS, name="raw")
    async with Ledger.open(url) as ledger:
        await load.open(ledger)
    benched = Pgbench(pgbench, url) if pgbench else None
    if benched:
        await benched.prepare()
    async with running() as cluster:
        sides = Sides(Submitter(cluster.client, TASK_QUEUE))
        ways = {
            "floor": partial(drive, partial(_as_a_transfer, sides.floor)),
            "express floor": partial(drive, partial(_as_a_transfer, sides.express_floor)),
            "raw SQL": partial(_raw, url, load),
        }
        await serve(ways | {"pgbench": benched.run} if benched else ways)


async def _as_a_transfer(run: Run, movement: Movement) -> None:
    await run(Transfer(movement.id, movement.source, movement.destination, 1, "USD"))


async def _raw(url: str, load: Load, turn: Turn) -> Taken:
    count = turn.limit or ACCOUNTS
    engine = open_database(parse_url(url), bounds=AUDITING)
    began = time.perf_counter()
    await write(engine, load, count)
    taken = time.perf_counter() - began
    await engine.dispose()
    return Taken(taken, count, [])


class Pgbench:
    """pgbench on two sets of its tables, each in a schema of its own."""

    def __init__(self, binary: str, url: str) -> None:
        self._binary = binary
        self._sqlalchemy_url = url
        self._url = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)

    async def prepare(self) -> None:
        """Make and fill the tables."""
        engine = create_async_engine(self._sqlalchemy_url)
        for hot, scale in SCALES.items():
            async with engine.begin() as connection:
                await connection.execute(CreateSchema(_schema(hot)))
            await self._pgbench("-i", "-q", "-s", str(scale), hot=hot)
        await engine.dispose()

    async def run(self, turn: Turn) -> Taken:
        """So many clients for so long."""
        with tempfile.TemporaryDirectory() as folder:
            clients = str(min(turn.in_flight, CLIENTS))
            options = ("-n", "-M", "prepared", "-c", clients, "-j", "1", "-T", str(max(2, round(turn.seconds))))
            await self._pgbench(*options, "--log", f"--log-prefix={folder}/log", hot=turn.hot)
            lines = [line.split() for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
        if not lines:
            return Taken(turn.seconds, 0, [])
        ended = [int(line[4]) + int(line[5]) / 1e6 for line in lines]
        each = [int(line[2]) / 1e6 for line in lines]
        began = min(end - taken for end, taken in zip(ended, each, strict=True))
        return Taken(max(ended) - began, len(each), each)

    async def _pgbench(self, *options: str, hot: bool) -> None:
        process = await asyncio.create_subprocess_exec(
            *(self._binary, *options, self._url),
            env=os.environ | {"PGOPTIONS": f"-c search_path={_schema(hot)} -c client_min_messages=warning"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, said = await process.communicate()
        if process.returncode != 0:
            raise RuntimeError(f"pgbench ended with status {process.returncode}: {said.decode()[-500:]}")


def _schema(hot: bool) -> str:
    return "pgbench_hot" if hot else "pgbench_spread"


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
    sys.stdout.flush()
    os._exit(0)  # as worker.py does
