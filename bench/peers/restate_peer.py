"""Restate: a server, a service beside it, and callers who use its HTTP ingress with an idempotency key.

python -m bench.peers.restate_peer DATABASE_URL SERVER_BINARY, in an environment of its own. The server has its own
settings but for the ports, the folder and telemetry; its log and its store are RocksDB, and by itself it waits for the
fsync of the log before it goes on.
"""

import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from bench.peers.driving import drive, serve
from bench.peers.work import Movement

PROCESSES = 1
"""Of the service, beside the server, PostgreSQL and the callers on the same two cores. More were not tried."""

HYPERCORN = """
bind = "127.0.0.1:{port}"
h2_max_concurrent_streams = 2147483647
keep_alive_max_requests = 2147483647
keep_alive_timeout = 2147483647
workers = {processes}
"""
"""As Restate's documentation has it for production, but for the number of processes."""

SETTINGS = """
node-name = "race"
disable-telemetry = true
listen-mode = "tcp"
bind-ip = "127.0.0.1"
bind-port = {node}
advertised-host = "127.0.0.1"
log-filter = "warn"
[ingress]
bind-port = {ingress}
[admin]
bind-port = {admin}
"""


async def main(url: str, binary: str) -> None:
    """Start server and service, register the one with the other, and drive them."""
    with tempfile.TemporaryDirectory(prefix="race-", ignore_cleanup_errors=True) as folder:
        node, ingress, admin, service = _free_ports(4)
        settings, hypercorn = Path(folder, "restate.toml"), Path(folder, "hypercorn.toml")
        settings.write_text(SETTINGS.format(node=node, ingress=ingress, admin=admin))
        hypercorn.write_text(HYPERCORN.format(port=service, processes=PROCESSES))
        serving = (sys.executable, "-m", "hypercorn", "--config", str(hypercorn), "bench.peers.restate_service:app")
        server = (binary, "--config-file", str(settings), "--base-dir", f"{folder}/data", "--no-logo")
        log = Path(folder, "restate.log")
        async with (
            _process(serving, log, RACE_DATABASE_URL=url),
            _process(server, log),
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=120)
            ) as session,
        ):
            try:
                await _register(session, f"http://127.0.0.1:{admin}", f"http://127.0.0.1:{service}")
            except TimeoutError:
                raise SystemExit(f"Restate did not come up:\n{log.read_text()[-4000:]}") from None
            address = f"http://127.0.0.1:{ingress}/transfers/transfer"

            async def once(movement: Movement) -> None:
                key = {"idempotency-key": movement.id}
                async with session.post(address, json=movement.arguments(), headers=key) as response:
                    if response.status != 200 or await response.json() != "settled":
                        raise RuntimeError(f"{movement.id}: {response.status} {await response.text()}")

            await serve({"Restate": partial(drive, once)})


async def _register(session: aiohttp.ClientSession, admin: str, service: str) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(aiohttp.ClientError):
                async with session.post(f"{admin}/deployments", json={"uri": service}) as response:
                    if response.status in (200, 201):
                        return
            await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def _process(command: tuple[str, ...], log: Path, **environment: str) -> AsyncIterator[Any]:
    with open(log, "ab") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env=os.environ | environment, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), 5)
            except TimeoutError:
                process.kill()
                await process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
