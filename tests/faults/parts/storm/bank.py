"""Bank: the servers, workers, proxies and accounts of a storm, all real and all its own.

    callers ── proxy ── Temporal ── proxy ── worker ── proxy ── PostgreSQL        (on SQLite: the worker's own file)
                                               └── receiver of notifications

Two workers on PostgreSQL, one on SQLite, which takes one writer. Each has a proxy of its own to each server, so that
one can be cut off while the other works on.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import asyncpg
from temporalio.client import Client

from activities.messages import AccountOpening, DepositRequest, LegOutcome
from engine.connection import connect
from engine.plugin import ClientPlugin
from engine.settings import Settings
from engine.submitting import Submitter
from ledger import failpoints
from tests.faults.parts.storm.clock import Clock, library
from tests.faults.parts.storm.plan import CURRENCY, MONEY
from tests.faults.parts.storm.receiver import Receiver
from tests.faults.supervisor import PATIENCE, Postgres, Temporal, Worker
from tests.support.byte_proxy import ByteProxy
from tests.support.processes import Folder

CONNECTIONS = 4
"""How many connections the in-process callers share, each through a proxy of its own."""


@dataclass
class Hand:
    """One worker and what belongs to it. Whoever does something to the worker holds the lock."""

    worker: Worker
    clock: Clock | None
    wires: list[ByteProxy]
    fired: Path
    armed: str = ""
    """The failpoints of its present life."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    exits: list[int] = field(default_factory=list)
    start_took: float = 0.0
    """How long its last start took, in seconds: on a busy machine many times what its work would take."""
    ready_at: float = 0.0

    async def start(self, armed: str = "") -> None:
        """Start it, with these failpoints armed, and again if what it needs is not there yet."""
        begun = time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while True:
                self.armed = armed
                with suppress(RuntimeError):
                    await self.worker.start({failpoints.ENVIRONMENT: armed})
                    self.ready_at = time.monotonic()
                    self.start_took = self.ready_at - begun
                    return
                self.note_exit()
                await asyncio.sleep(0.2)

    def rest(self) -> float:
        """How long it should be left alone before it may end again, in seconds: it is to work longer than it starts."""
        return self.ready_at + 2 * self.start_took - time.monotonic()

    def note_exit(self) -> None:
        """Remember how its last life ended."""
        if self.worker.status is not None:
            self.exits.append(self.worker.status)

    def has_unfired(self) -> bool:
        """Whether a failpoint of its present life could still fire."""
        lines = self.fired.read_text().splitlines() if self.fired.exists() else []
        fired: int = sum(json.loads(line)["pid"] == self.worker.pid for line in lines)
        return fired < len(failpoints.parse(self.armed))


@dataclass
class Bank:
    """Everything that runs."""

    folder: Path
    url: str
    """The books, past all proxies."""
    temporal: Temporal
    postgres: Postgres | None
    receiver: Receiver
    hands: list[Hand]
    callers_wires: list[ByteProxy]
    place: Folder
    """For starter processes."""
    clients: list[Client] = field(default_factory=list)
    operator: Client = field(init=False)
    """A client past all proxies: for those who look at the storm, not for those who are in it."""

    @property
    def wires(self) -> list[ByteProxy]:
        """Every proxy there is."""
        return [*self.callers_wires, *(wire for hand in self.hands for wire in hand.wires)]

    def submitter(self, number: int) -> Submitter:
        """What a caller submits with."""
        return Submitter(self.clients[number % len(self.clients)])

    async def open(self) -> None:
        """Connect, start the workers together, and open the accounts with their money."""
        await asyncio.gather(*(hand.start() for hand in self.hands))
        settings = Settings(self.folder, self.url, None)
        self.operator = await connect(settings, [ClientPlugin()], self.temporal.server.address)
        through = [f"{wire.host}:{wire.port}" for wire in self.callers_wires]
        self.clients = [await connect(settings, [ClientPlugin()], address) for address in through]
        await asyncio.gather(*(self._open(account, money) for account, money in MONEY.items()))

    async def _open(self, account: str, money: int) -> None:
        submitter = Submitter(self.operator)
        await submitter.open_account(AccountOpening(account_id=account, currency=CURRENCY), PATIENCE)
        deposit = DepositRequest(
            deposit_id=f"first-{account}", account_id=account, amount_minor=money, currency=CURRENCY
        )
        outcome = await submitter.outcome(await submitter.deposit(deposit), LegOutcome, PATIENCE)
        assert outcome.applied, outcome

    async def heal(self) -> None:
        """Everything up, nothing armed: whatever the storm has left. Who is well is left alone."""
        self.receiver.is_silent = False
        for wire in self.wires:
            wire.heal()
        self.temporal.thaw()
        if self.postgres is not None:
            await self.postgres.start()
        await asyncio.gather(*(self._heal(hand) for hand in self.hands))

    async def _heal(self, hand: Hand) -> None:
        async with hand.lock:
            if hand.clock:
                hand.clock.jump(0)
            hand.worker.thaw()
            if hand.worker.alive and hand.has_unfired():
                await hand.worker.kill()
            if not hand.worker.alive:
                hand.note_exit()
                await hand.start()

    async def close(self) -> None:
        """Take the workers down in an orderly way."""
        await asyncio.gather(*(hand.worker.end() for hand in self.hands))


@asynccontextmanager
async def bank(folder: Path, database: str, workers: int) -> AsyncIterator[Bank]:
    """A bank that is open, and closed at the end."""
    folder.mkdir()
    async with AsyncExitStack() as stack:
        temporal = await stack.enter_async_context(Temporal.running(folder / "temporal"))
        receiver = await stack.enter_async_context(Receiver.running())
        postgres = None
        if database == "postgresql":
            postgres = await stack.enter_async_context(Postgres.running(folder / "postgres"))
            await _create_database(postgres)
        url = postgres.url("books") if postgres else f"sqlite:///{folder}/books.db"
        wires = [await stack.enter_async_context(_wire(temporal.server.address)) for _ in range(CONNECTIONS)]
        place = Folder(folder, url, f"127.0.0.1:{wires[0].port}")
        preload = await asyncio.to_thread(library, folder)
        bank = Bank(folder, url, temporal, postgres, receiver, [], wires, place)
        for number in range(workers):
            bank.hands.append(await _hand(stack, bank, f"worker-{number}", preload))
        try:
            await bank.open()
            yield bank
            await bank.close()
        finally:
            await asyncio.gather(*(hand.worker.kill() for hand in bank.hands))
            for process in place.started:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()


async def _hand(stack: AsyncExitStack, bank: Bank, name: str, preload: Path | None) -> Hand:
    to_temporal = await stack.enter_async_context(_wire(bank.temporal.server.address))
    wires, url = [to_temporal], bank.url
    if bank.postgres is not None:
        wires.append(await stack.enter_async_context(_wire(f"127.0.0.1:{bank.postgres.port}")))
        url = bank.postgres.url("books", wires[-1].port)
    place = Folder(bank.folder, url, f"127.0.0.1:{to_temporal.port}", more=bank.receiver.environment)
    clock = Clock(preload, bank.folder / f"{name}.clock") if preload else None
    environment = place.environment() | (clock.environment if clock else {})
    return Hand(Worker(name, bank.folder, environment), clock, wires, place.fired)


def _wire(address: str) -> contextlib.AbstractAsyncContextManager[ByteProxy]:
    host, _, port = address.rpartition(":")
    return ByteProxy.to(host, int(port))


async def _create_database(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.url(), timeout=10)
    await connection.execute("CREATE DATABASE books")
    await connection.close()


def trouble_in_logs(folder: Path) -> list[str]:
    """What no worker must ever say, whatever breaks around it."""
    never = ("panicked", "ondetermin", "Failed activation", "Bug:", "AssertionError", "UnsafeDatabase", "OutOfOrder")
    return [
        f"{log.name}: {line[:500]} {next[:200]}"
        for log in sorted(folder.glob("worker-*.log"))
        for line, next in pairwise([*log.read_text(errors="replace").splitlines(), ""])
        if any(word in line for word in never) and not _is_a_late_timer(line, next)
    ]


def _is_a_late_timer(line: str, next: str) -> bool:
    """SDK 1.35: the timer of a local activity that a worker gave up at its end finds nobody to tell, and says so."""
    return "panicked" in line and "local_activities.rs" in line and next.startswith("receive half not dropped")
