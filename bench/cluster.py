"""A cluster to measure on: an embedded server on a file of its own, and a worker in a process of its own."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from engine.connection import connect
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import ROOT, Settings


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster: its data folder, and a client of it."""

    data: Path
    client: Client


@contextlib.asynccontextmanager
async def running() -> AsyncIterator[Cluster]:
    """Start server and worker, and stop them at the end of the block. This process is the client."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        data = Path(folder)
        async with EmbeddedServer.running(data, port=0, ui_port=None) as server:
            worker = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bench.transfer_worker", folder, server.address),
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            assert worker.stdin is not None
            assert worker.stdout is not None
            try:
                if await asyncio.wait_for(worker.stdout.readline(), 60) != b"ready\n":
                    raise RuntimeError("the worker did not start")
                client = await connect(Settings(data, "", None), [ClientPlugin()], server.address)
                yield Cluster(data, client)
            finally:
                worker.stdin.close()
                await worker.wait()
