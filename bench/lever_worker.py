"""A worker with one lever set otherwise. python -m bench.lever_worker DATA_FOLDER ADDRESS TASK_QUEUE LEDGER_URL LEVER.

It is set up as `worker.py` does, but for the lever. Prints `ready`, and works until its input closes.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop
from sqlalchemy import make_url
from temporalio.service import GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import slots
from activities.notifiers import LogNotifier
from bench.load import Load
from engine import connection, search_attributes, worker
from engine.plugin import WorkerPlugin
from engine.settings import Settings
from ledger.book import Ledger

ACCOUNTS = Load(name="customer")


@dataclass(frozen=True, slots=True)
class Lever:
    """What is set otherwise: arguments of the SDK's Worker, activity slots, the sandbox, compression, processes.

    And the event loop, and what is added to the URL of the books.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    activity_slots: int = slots.ACTIVITIES
    sandboxed: bool = False
    gzip: bool = False
    processes: int = 1
    backend: str = "sqlite"
    run: Callable[..., None] = asyncio.run
    url_options: dict[str, str] = field(default_factory=dict)


def _pollers(number: int) -> Lever:
    return Lever({"max_concurrent_workflow_task_polls": number, "max_concurrent_activity_task_polls": number})


AS_IT_IS = {"sqlite": "as it is", "postgresql": "PostgreSQL, as it is"}
"""What those of each database take turns with."""

LEVERS = {
    AS_IT_IS["sqlite"]: Lever(),
    "no eager activities": Lever({"disable_eager_activity_execution": True}),
    "sandboxed workflows": Lever(sandboxed=True),
    "2 pollers of each kind": _pollers(2),
    "20 pollers of each kind": _pollers(20),
    "10 activity slots": Lever(activity_slots=10),
    "gzip on loopback": Lever(gzip=True),
    "uvloop": Lever(run=uvloop.run),
    AS_IT_IS["postgresql"]: Lever(backend="postgresql"),
    "PostgreSQL, two processes": Lever(backend="postgresql", processes=2),
    "PostgreSQL, nothing stays prepared": Lever(
        backend="postgresql", url_options={"prepared_statement_cache_size": "0"}
    ),
}


async def main(data: Path, address: str, task_queue: str, url: str, lever: Lever) -> None:
    """Open the books, with their accounts if they are new, and run the worker."""
    arguments = partial(Worker, **lever.arguments)
    compression = GrpcCompression.GZIP if lever.gzip else GrpcCompression.NONE
    books = make_url(url).update_query_dict(lever.url_options).render_as_string(hide_password=False)
    async with Ledger.open(books) as ledger:
        await ACCOUNTS.open(ledger)  # whoever comes second finds them open
        activities = worker.all_activities(ledger, LogNotifier(), lever.activity_slots)
        plugin = WorkerPlugin(activities, None if lever.sandboxed else UnsandboxedWorkflowRunner())
        with patch.object(GrpcCompression, "NONE", compression), patch.object(worker, "Worker", arguments):
            client = await connection.connect(Settings(data, url, None), [plugin], address)
            await search_attributes.register(client)
            worker.collect_seldom()
            async with worker.make_worker(client, task_queue, activity_slots=lever.activity_slots):
                print("ready", flush=True)
                await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    _, folder, at, queue, there, name = sys.argv
    LEVERS[name].run(main(Path(folder), at, queue, there, LEVERS[name]))
    os._exit(0)  # as worker.py does
