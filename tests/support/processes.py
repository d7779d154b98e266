"""Real processes for tests: workers and callers on a folder of their own, and none of them left behind."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.settings import ROOT
from ledger.failpoints import ENVIRONMENT, LOG
from ledger.reader import Reader
from tests.support import examples
from tests.support.forks import Program

PATIENCE = 60.0
"""How long a test waits for a process, in seconds, before it fails."""


@dataclass(frozen=True)
class Said:
    """What a process said, and its exit status (negative: the signal that ended it)."""

    exit: int
    output: str
    errors: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.output)


Process = asyncio.subprocess.Process | Program


@dataclass
class Folder:
    """A data folder and the environment of every process that works on it.

    Where `forked` is set, workers and starters are forked from a process that has imported everything (`forks.py`).
    """

    path: Path
    ledger_url: str
    temporal_address: str | None
    more: dict[str, str] = field(default_factory=dict)
    started: list[Process] = field(default_factory=list)
    forked: bool = False

    @property
    def fired(self) -> Path:
        """Where failpoints write down that they fired."""
        return self.path / "fired.jsonl"

    def environment(self, armed: str = "") -> dict[str, str]:
        """The environment: nothing of the user's settings, and these failpoints armed."""
        foreign = ("TEMPORAL_", "DURABLE_TRANSFERS_", "LEDGER_")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        ours = {
            "DURABLE_TRANSFERS_DATA": str(self.path),
            "LEDGER_DATABASE_URL": self.ledger_url,
            "TEMPORAL_CONFIG_FILE": os.devnull,
            ENVIRONMENT: armed,
            LOG: str(self.fired),
        }
        address = {"TEMPORAL_ADDRESS": self.temporal_address} if self.temporal_address else {}
        return inherited | ours | address | self.more

    async def start(self, *arguments: str, armed: str = "", log: Path | None = None) -> asyncio.subprocess.Process:
        """Start Python with these arguments, from a folder that is not the project's."""
        with open(log or os.devnull, "ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(ROOT / arguments[0]),
                *arguments[1:],
                cwd=self.path,
                env=self.environment(armed),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output if log else asyncio.subprocess.PIPE,
                stderr=output if log else asyncio.subprocess.PIPE,
            )
        self.started.append(process)
        return process

    def fork(self, *arguments: str, armed: str, output: Path, errors: Path) -> Program:
        """The same, forked."""
        process = Program(arguments, self.path, self.environment(armed), output, errors)
        self.started.append(process)
        return process

    async def worker(self, *arguments: str, armed: str = "", anew: bool = False) -> Process:
        """Start a worker and wait until it is ready; `anew`, in a Python of its own."""
        log = self.path / f"worker-{len(self.started)}.log"
        log.touch()
        process: Process
        if self.forked and not anew:
            process = self.fork("worker.py", *arguments, armed=armed, output=log, errors=log)
        else:
            process = await self.start("worker.py", *arguments, armed=armed, log=log)
        async with asyncio.timeout(PATIENCE):
            while "ready:" not in log.read_text():
                assert process.returncode is None, log.read_text()
                await asyncio.sleep(0.02)
        return process

    async def starter(self, *arguments: str, armed: str = "") -> Said:
        """Run the starter to its end."""
        if not self.forked:
            return await hear(await self.start("starter.py", *arguments, armed=armed))
        output, errors = (self.path / f"starter-{len(self.started)}.{said}" for said in ("out", "err"))
        process = self.fork("starter.py", *arguments, armed=armed, output=output, errors=errors)
        async with asyncio.timeout(PATIENCE):
            return Said(await process.wait(), output.read_text(), errors.read_text())

    async def reaches(self, transfer_id: str, status: str) -> None:
        """Wait until the books say this about a transfer."""
        async with asyncio.timeout(PATIENCE), Reader.open_read_only(self.ledger_url) as books:
            while await examples.status(books, transfer_id) != status:
                await asyncio.sleep(0.02)

    async def balances(self, *account_ids: str) -> list[int]:
        """Balances as the books have them, in minor units. What the starter says of them has a test of its own."""
        async with Reader.open_read_only(self.ledger_url) as books:
            return await examples.balances(books, *account_ids)

    async def audit(self) -> dict[str, Any]:
        """The audit's report. A wrong ledger fails the test."""
        said = await self.starter("audit", "--json")
        assert said.exit == 0, said.output
        report: dict[str, Any] = said.json
        return report


async def hear(process: asyncio.subprocess.Process) -> Said:
    """Wait for a process to end, and return what it said."""
    async with asyncio.timeout(PATIENCE):
        output, errors = await process.communicate()
    assert process.returncode is not None
    return Said(process.returncode, output.decode(), errors.decode())


@asynccontextmanager
async def folder(
    path: Path, ledger_url: str, temporal_address: str | None, forked: bool = False
) -> AsyncIterator[Folder]:
    """A folder whose processes are all ended with the test."""
    folder = Folder(path, ledger_url, temporal_address, forked=forked)
    try:
        yield folder
    finally:
        for process in folder.started:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)  # a stopped process cannot end
                    process.kill()
                await process.wait()
