"""This engine: `worker.py` as operators start it, on an embedded server, with its books in the same PostgreSQL.

python -m bench.peers.engine_peer LEDGER_URL. Callers submit through `Submitter`, as `starter.py` does: single transfers
and express ones. In bulk it is `starter.py batch` on a file, from the start of the process to its results.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from activities.messages import ExpressRequest, TransferOutcome, TransferRequest
from bench.peers.driving import Taken, Turn, Way, drive, serve
from bench.peers.work import ACCOUNTS, PAID_IN, Movement, account, movement
from engine.connection import connect
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import ROOT, TASK_QUEUE, Settings
from engine.submitting import Submitter
from ledger import operations
from ledger.book import Ledger
from ledger.operation import OpenAccount
from ledger.transfer import Status


async def main(url: str) -> None:
    """Open the accounts, start server and worker, and drive them."""
    async with Ledger.open(url) as ledger:
        await open_accounts(ledger)
    with tempfile.TemporaryDirectory(prefix="race-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        async with EmbeddedServer.running(data, port=0, ui_port=None) as server:
            environment = os.environ | {
                "DURABLE_TRANSFERS_DATA": folder,
                "LEDGER_DATABASE_URL": url,
                "TEMPORAL_ADDRESS": server.address,
            }
            async with _worker(data, environment):
                client = await connect(Settings(data, url, None), [ClientPlugin()], server.address)
                submitter = Submitter(client, TASK_QUEUE)
                ways: dict[str, Way] = {
                    "single": partial(drive, partial(_submit, submitter, TransferRequest)),
                    "express": partial(drive, partial(_submit, submitter, ExpressRequest)),
                    "bulk": _Batch(data, environment).run,
                }
                await serve(ways)


async def open_accounts(ledger: Ledger) -> None:
    """Open the accounts that all contestants have, and pay into each."""
    names = [account(index) for index in range(ACCOUNTS)]
    await ledger.apply_all([OpenAccount(name, "USD") for name in names])
    await ledger.apply_all([operations.deposit(f"{name}-in", name, PAID_IN, "USD") for name in names])


async def _submit(submitter: Submitter, kind: type[TransferRequest], movement: Movement) -> None:
    request = kind(
        transfer_id=movement.id,
        source=movement.source,
        destination=movement.destination,
        amount_minor=1,
        currency="USD",
    )
    outcome = await submitter.outcome(await submitter.transfer(request), TransferOutcome, 120)
    if outcome.status != Status.SETTLED:
        raise RuntimeError(f"a transfer did not settle: {outcome}")


@dataclass(frozen=True, slots=True)
class _Batch:
    """A file of so many transfers for each turn."""

    data: Path
    environment: dict[str, str]

    async def run(self, turn: Turn) -> Taken:
        """Write the file, then run `starter.py batch` on it. Raises RuntimeError if not all of it settled."""
        lines, file = turn.limit or 0, self.data / f"payments-{turn.first}.csv"
        moves = [movement(turn.first + number, turn.hot) for number in range(lines)]
        rows = [f"{move.id},{move.source},{move.destination},0.01,USD\n" for move in moves]
        file.write_text("transfer_id,from,to,amount,currency\n" + "".join(rows), encoding="utf-8")
        command = (sys.executable, str(ROOT / "starter.py"), "batch", str(file), "--id", f"B{turn.first}", "--json")
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *command, env=self.environment, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        taken = time.perf_counter() - began
        if process.returncode != 0 or json.loads(output)["settled"] != lines:
            raise RuntimeError(f"a batch did not settle: {output.decode()}")
        return Taken(taken, lines, [])


@asynccontextmanager
async def _worker(data: Path, environment: dict[str, str]) -> AsyncIterator[None]:
    """`worker.py`, running for the length of the block."""
    log = data / "worker.log"
    with open(log, "wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "worker.py"), "--no-sweep"),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        async with asyncio.timeout(60):
            while "ready:" not in log.read_text():
                await asyncio.sleep(0.05)
        yield
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # as worker.py does
