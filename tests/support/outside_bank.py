"""The simulated bank as a process of its own, which a test can kill, start again, and make misbehave."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from engine.embedded import free_port
from tests.support.forks import Program
from tests.support.processes import PATIENCE


def _client() -> httpx.AsyncClient:
    """Reading the certificates, which it does not need, would take longer than a test."""
    return httpx.AsyncClient(timeout=30.0, trust_env=False, verify=False)


@dataclass
class OutsideBank:
    """One bank: a port, a file, and the process that is alive."""

    folder: Path
    port: int
    more: tuple[str, ...] = ()
    process: Program | None = None
    client: httpx.AsyncClient = field(default_factory=lambda: _client())

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        log, file = self.folder / "bank.log", str(self.folder / "bank.db")
        options = ("--port", str(self.port), "--file", file, "--webhook-url", "", *self.more)
        self.process = Program(("rails/simulated_bank.py", *options), self.folder, os.environ, log, log)
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self.process.returncode is None, (self.folder / "bank.log").read_text()
                try:
                    await self.client.get(f"{self.url}/admin/payments")
                    return
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """End it in the middle of whatever it does."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()

    async def misbehave(self, **faults: Any) -> None:
        """Set its faults."""
        (await self.client.post(f"{self.url}/admin/faults", json=faults)).raise_for_status()

    async def payments(self) -> list[dict[str, Any]]:
        """What the outside saw: every payment, in order."""
        payments: list[dict[str, Any]] = (await self.client.get(f"{self.url}/admin/payments")).json()
        return payments

    async def give_back(self, key: str, in_seconds: float = 0) -> None:
        """Return an accepted payment."""
        url = f"{self.url}/admin/returns/{key}?in_seconds={in_seconds}"
        (await self.client.post(url)).raise_for_status()


@asynccontextmanager
async def outside_bank(folder: Path, *more: str) -> AsyncIterator[OutsideBank]:
    """A bank that is ended with the test. `more` are its other options; the last of an option counts."""
    bank = OutsideBank(folder, free_port(0), more)
    await bank.start()
    try:
        yield bank
    finally:
        await bank.kill()
        await bank.client.aclose()
