"""The worker's process of the transfer figure: set up as `worker.py` does, with the floor beside the transfers.

python -m bench.transfer_worker DATA_FOLDER ADDRESS ACCOUNTS. Prints `ready`, and works until its input closes.
"""

import asyncio
import os
import sys
from pathlib import Path

from temporalio.worker import UnsandboxedWorkflowRunner

from activities.notifiers import LogNotifier
from bench.floor import FloorPlugin
from bench.load import Load
from engine import search_attributes
from engine.connection import connect
from engine.plugin import WorkerPlugin
from engine.settings import Settings
from engine.worker import all_activities, make_worker
from ledger.book import Ledger

ACCOUNTS = Load(name="customer")


async def main(data: Path, address: str) -> None:
    """Open the books with their accounts, and run the worker."""
    settings = Settings(data, f"sqlite:///{data / 'ledger.db'}", None)
    async with Ledger.open(settings.ledger_url) as ledger:
        await ACCOUNTS.open(ledger)
        plugin = WorkerPlugin(all_activities(ledger, LogNotifier()), UnsandboxedWorkflowRunner())
        client = await connect(settings, [plugin, FloorPlugin()], address)
        await search_attributes.register(client)
        async with make_worker(client):
            print("ready", flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
    os._exit(0)  # as worker.py does
