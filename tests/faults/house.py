"""House: what a part needs around a transfer: a Temporal server of its own, books, a real worker, and clients."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from activities.messages import AccountOpening, DepositRequest, LegOutcome
from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.submitting import Submitter
from tests.faults.run import Run
from tests.support.processes import Folder, folder

PATIENCE = 60.0


@dataclass
class House:
    """A running house."""

    server: EmbeddedServer
    place: Folder

    async def client(self) -> Client:
        """A connection of its own, as every caller has."""
        return await Client.connect(self.server.address, plugins=[ClientPlugin()])

    async def open(self, **balances: int) -> None:
        """Open accounts in USD through the worker, each with a first deposit of so many cents."""
        submitter = Submitter(await self.client())
        for account_id, amount_minor in balances.items():
            opened = await submitter.open_account(AccountOpening(account_id=account_id, currency="USD"), PATIENCE)
            assert opened.applied, opened
            if amount_minor:
                request = DepositRequest(
                    deposit_id=f"first-{account_id}", account_id=account_id, amount_minor=amount_minor, currency="USD"
                )
                deposited = await submitter.outcome(await submitter.deposit(request), LegOutcome, PATIENCE)
                assert deposited.applied, deposited


@asynccontextmanager
async def house(run: Run, extra: Sequence[str] = (), **more: str) -> AsyncIterator[House]:
    """A house with one worker, whose environment has `more` in it; nothing of it is left behind."""
    path = Path(run.folder)
    async with EmbeddedServer.running(path / "temporal", port=0, ui_port=None, extra=extra) as server:
        async with folder(path, run.new_database(), server.address) as place:
            place.more |= more
            await place.worker()
            yield House(server, place)
