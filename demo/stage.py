"""Stage: a Temporal server, workers and callers of the demo's own, as real processes on a fresh data folder.

Nothing of the user's is touched: other ports, another ledger, and an environment in which neither Temporal's
variables and profiles nor this project's can lead a process anywhere else. Whatever ends the demo ends them all.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from engine.connection import connect
from engine.embedded import GRPC_PORT, UI_PORT, EmbeddedServer, dies_with_parent
from engine.plugin import ClientPlugin
from engine.settings import ROOT, Settings
from ledger import failpoints
from ledger.reader import Reader

PATIENCE_SECONDS = 30.0
"""How long the demo waits for anything before it says that the story did not come out as told."""

_ASIDE = 10  # ports away from the usual ones, which stay free for `make up`

Balances = Mapping[str, int | None]
"""Account ids and what is in them, in minor units; None where there is no account yet."""


class NotAsTold(Exception):
    """Something was claimed and is not so; the message says what."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller learned: an exit status, and the JSON that it printed (nothing, if it was killed)."""

    exit: int
    data: dict[str, Any]

    @property
    def killed(self) -> bool:
        """It was ended by SIGKILL and never learned anything."""
        return self.exit == -signal.SIGKILL and not self.data


class Stage:
    """Where the story is played. Make one with `Stage.set_up`."""

    def __init__(self, data: Path, server: EmbeddedServer, client: Client, settings: Settings) -> None:
        self.data = data
        self.server = server
        self.client = client
        self.asked = 0  # how often somebody asked for money to be moved
        self.replayed = 0  # how many of the answers were recorded ones
        self.worker: asyncio.subprocess.Process | None = None
        self._settings = settings
        self._running: set[asyncio.subprocess.Process] = set()
        self._workers = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def set_up(cls, data: Path) -> AsyncIterator["Stage"]:
        """Start the Temporal server on `data`. At the end, end every process. Raises CannotStart, NotReachable."""
        with _environment_of(data):
            ports = (GRPC_PORT + _ASIDE, UI_PORT + _ASIDE)
            async with EmbeddedServer.running(data, *ports, supervised=False) as server:
                os.environ["TEMPORAL_ADDRESS"] = server.address
                settings = Settings.from_environment()
                stage = cls(data, server, await connect(settings, [ClientPlugin()], server.address), settings)
                try:
                    yield stage
                finally:
                    await stage._end_all()

    async def start_worker(self, armed: str = "") -> None:
        """Start a worker with these failpoints armed, and wait until it is ready. Its log goes to a file."""
        self._workers += 1
        log = self.data / f"worker-{self._workers}.log"
        worker = self.worker = await self.start(["worker.py"], armed, log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "ready:" not in log.read_text(encoding="utf-8"):
            if worker.returncode is not None or time.monotonic() > deadline:
                raise NotAsTold(f"the worker did not come up; see {log}")
            await asyncio.sleep(0.02)

    async def worker_died(self) -> int:
        """Wait for the worker's end, and return its exit status: minus the number of the signal that killed it."""
        assert self.worker is not None
        try:
            return await asyncio.wait_for(self.worker.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            raise NotAsTold(f"the worker was to die, and runs after {PATIENCE_SECONDS:.0f} s") from None

    async def ask(self, *arguments: str, armed: str = "") -> Told:
        """Run `starter.py` with these arguments, as a user would, and wait for what it says."""
        return await self.hear(await self.begin(*arguments, armed=armed))

    async def begin(self, *arguments: str, armed: str = "") -> asyncio.subprocess.Process:
        """Run `starter.py` with these arguments, and do not wait for it: `hear` does."""
        self.asked += arguments[0] == "transfer" or "--deposit" in arguments
        return await self.start(["starter.py", *arguments, "--json"], armed)

    async def hear(self, caller: asyncio.subprocess.Process) -> Told:
        """Wait for a process that prints one line of JSON, and return what it said."""
        try:
            output, _ = await asyncio.wait_for(caller.communicate(), 2 * PATIENCE_SECONDS)
        except TimeoutError:
            raise NotAsTold(f"a caller had no answer within {2 * PATIENCE_SECONDS:.0f} s") from None
        assert caller.returncode is not None
        self._running.discard(caller)
        data: dict[str, Any] = json.loads(output) if output.strip() else {}
        self.replayed += bool(data.get("replayed")) or bool(data.get("deposit", {}).get("replayed"))
        return Told(caller.returncode, data)

    async def start(self, arguments: list[str], armed: str = "", log: Path | None = None) -> asyncio.subprocess.Process:
        """Start Python with these arguments. With a log, all that it says goes there."""
        with open(log or self.data / "callers.log", "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *arguments,
                cwd=ROOT,
                env=os.environ | {failpoints.ENVIRONMENT: armed},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if log else asyncio.subprocess.PIPE,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the demo, which then ends all of them
                preexec_fn=dies_with_parent(signal.SIGKILL),
            )
        self._running.add(process)
        return process

    async def balances(self, *account_ids: str) -> Balances:
        """What is in these accounts, from the books."""
        async with self._reader() as reader:
            accounts = [await reader.account(account_id) for account_id in account_ids]
        return {id: account.balance if account else None for id, account in zip(account_ids, accounts, strict=True)}

    async def keys(self, account_id: str) -> list[str]:
        """The key of every posting to an account, oldest first: its statement."""
        async with self._reader() as reader:
            found = await reader.statement(account_id)
        return [line.operation_key for line in found.lines] if found else []

    async def reaches(self, transfer_id: str, status: str) -> None:
        """Wait until the books say this about a transfer. Raises NotAsTold when they go on saying something else."""
        deadline, said = time.monotonic() + PATIENCE_SECONDS, None
        async with self._reader() as reader:
            while time.monotonic() < deadline:
                state = await reader.transfer(transfer_id)
                if (said := state and str(state.status)) == status:
                    return
                await asyncio.sleep(0.02)
        raise NotAsTold(f"{transfer_id} should be {status}, but the books say {said}")

    @contextlib.asynccontextmanager
    async def _reader(self) -> AsyncIterator[Reader]:
        async with Reader.open_read_only(self._settings.ledger_url) as reader:
            yield reader

    async def _end_all(self) -> None:
        """SIGTERM, and SIGKILL for those that take too long over it."""
        for process in (running := [process for process in self._running if process.returncode is None]):
            process.terminate()
        if not running:
            return
        _, slow = await asyncio.wait([asyncio.create_task(process.wait()) for process in running], timeout=5)
        if slow:
            for process in running:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
            await asyncio.wait(slow)


@contextlib.contextmanager
def _environment_of(data: Path) -> Iterator[None]:
    """An environment, for this process and its children, in which everything is found in `data`."""
    before = dict(os.environ)
    for name in before:
        if name.startswith(("TEMPORAL_", "DURABLE_TRANSFERS_", "LEDGER_")):
            del os.environ[name]
    failpoints.arm("")  # the user's were read when the module was
    (data / "temporal.toml").touch()
    os.environ["TEMPORAL_CONFIG_FILE"] = str(data / "temporal.toml")  # no profiles, instead of the user's
    os.environ["DURABLE_TRANSFERS_DATA"] = str(data)
    os.environ["LEDGER_DATABASE_URL"] = f"sqlite:///{data / 'ledger.db'}"
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
