"""The worker: puts the real parts together and runs them until it is told to stop.

    worker.py              a worker for the Temporal that TEMPORAL_ADDRESS (or a profile) names
    worker.py --embedded   the same, and a Temporal server with its Web UI beside it

It migrates the ledger, checks that its database keeps what it acknowledges, registers the search attributes and the
schedule of the sweep, and runs until SIGTERM or Ctrl-C; then it takes no new work, lets what is running finish (30 s
at most), and ends.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner

from activities.notifiers import notifier_from_environment
from engine import search_attributes, sweeping
from engine.connection import NotReachable, connect
from engine.embedded import GRPC_PORT, UI_PORT, CannotStart, EmbeddedServer
from engine.plugin import WorkerPlugin
from engine.settings import TASK_QUEUE, Settings
from engine.worker import DRAIN, all_activities, build_id, collect_seldom, make_worker
from ledger.book import Ledger
from ledger.errors import LedgerError
from rails.configured import rails_from_environment

_log = logging.getLogger("durable_transfers.worker")


def main() -> int:
    """Run the worker. Returns 0 after an orderly end, 1 when it could not start or lost what it needs."""
    arguments = _arguments()
    logging.basicConfig(level=arguments.log_level.upper(), format="%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    for noisy in ("alembic", "httpx", "sqlalchemy"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        asyncio.run(run(Settings.from_environment(), arguments))
    except (LedgerError, NotReachable, CannotStart, SQLAlchemyError, OSError) as error:
        sys.stderr.write(f"worker: {error}\n")
        return 1
    return 0


async def run(settings: Settings, arguments: argparse.Namespace) -> None:
    """Bring everything up in order, run, and take it down in the opposite order."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    settings.data.mkdir(parents=True, exist_ok=True)
    async with contextlib.AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(Ledger.open(settings.ledger_url))
        notifier = notifier_from_environment()
        stack.push_async_callback(notifier.aclose)
        server = await stack.enter_async_context(_embedded(settings, arguments)) if arguments.embedded else None
        rails = rails_from_environment()
        for rail in rails.values():
            stack.push_async_callback(rail.aclose)
        activities = all_activities(ledger, notifier, rails=rails)
        plugin = WorkerPlugin(activities, UnsandboxedWorkflowRunner())
        client = await connect(settings, [plugin], server.address if server else None)
        await _register_search_attributes(client)
        if arguments.sweep:
            await _schedule_sweep(client, arguments.task_queue)
        collect_seldom()
        async with make_worker(client, arguments.task_queue):
            _log.info("ready: task queue %s, build %s, process %s", arguments.task_queue, build_id(), os.getpid())
            await stop.wait()
            _log.info("stopping: what is running may finish, %.0f s at most", DRAIN.total_seconds())
    _log.info("stopped")


@contextlib.asynccontextmanager
async def _embedded(settings: Settings, arguments: argparse.Namespace) -> AsyncIterator[EmbeddedServer]:
    async with EmbeddedServer.running(settings.data, arguments.port, arguments.ui_port) as server:
        wanted = (f"127.0.0.1:{arguments.port}", f"http://127.0.0.1:{arguments.ui_port}")
        moved = " (the usual ports are taken)" if (server.address, server.ui) != wanted else ""
        _log.info("Temporal at %s, Web UI at %s%s", server.address, server.ui, moved)
        yield server


async def _register_search_attributes(client: Client) -> None:
    try:
        if added := await search_attributes.register(client):
            _log.info("registered search attributes: %s", ", ".join(added))
    except search_attributes.NotAllowed as refusal:
        _log.warning("%s", refusal)


async def _schedule_sweep(client: Client, task_queue: str) -> None:
    try:
        if await sweeping.schedule(client, task_queue):
            _log.info("scheduled the sweep: every %.0f s", sweeping.INTERVAL.total_seconds())
    except sweeping.NotScheduled as refusal:
        _log.warning("%s", refusal)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, prog="worker.py"
    )
    parser.add_argument("--embedded", action="store_true", help="also start and supervise a Temporal server")
    parser.add_argument("--port", type=int, default=GRPC_PORT, help="the embedded server's port (%(default)s)")
    parser.add_argument("--ui-port", type=int, default=UI_PORT, help="the embedded Web UI's port (%(default)s)")
    parser.add_argument("--task-queue", default=TASK_QUEUE, help="the task queue to work on (%(default)s)")
    parser.add_argument(
        "--no-sweep", dest="sweep", action="store_false", help="make no schedule of the sweep (one that is there stays)"
    )
    parser.add_argument(
        "--log-level", default="info", choices=["debug", "info", "warning", "error"], help="(%(default)s)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a real stdout is a TextIOWrapper
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the SDK's native threads crash the interpreter at exit now and then (sdk-python issue 300)
