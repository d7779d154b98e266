"""Playing a scene through a proxy: a worker, callers who ask again until they are answered, and what came out."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkerConfig

from activities.messages import DepositRequest, TransferRequest
from engine.connection import NotReachable, connect
from engine.plugin import WorkerPlugin
from engine.settings import Settings
from engine.submitting import workflow_id
from engine.worker import all_activities, make_worker
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from tests.faults.parts.rpc_fates.branch import Branch
from tests.faults.parts.rpc_fates.callers import Callers
from tests.faults.parts.rpc_fates.scenes import SCENES, Scene, Stagehand
from tests.faults.proxies.grpc import Call, GrpcProxy, Plan, undisturbed

MORE_TRANSFERS = 12
"""How many transfers may follow until the call that is to be disturbed comes along: a poll is answered in turn."""
MORE_SECONDS = 30.0

_ORDINARY = SCENES[0]


@dataclass
class Played:
    """What one playing of a scene came to."""

    problems: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    answered: list[Call] = field(default_factory=list)
    fired: list[Call] = field(default_factory=list)
    transfers: int = 0
    lost: int = 0
    doubled: int = 0
    contradictory: int = 0
    fault_to_answer_seconds: float | None = None


class _Polling(WorkerPlugin):
    """A worker that polls for every activity."""

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        return super().configure_worker(config) | {"disable_eager_activity_execution": True}


@dataclass
class Playing:
    """One playing of a scene."""

    scene: Scene
    branch: Branch
    direct: Client
    """A client that no proxy is in the way of, to look at what came out."""
    settings: Settings
    plan: Plan = undisturbed
    before: Callable[[Call], None] | None = None
    played: Played = field(default_factory=Played)
    task_queue: str = field(default_factory=lambda: f"queue-{uuid.uuid4().hex[:12]}")

    async def play(self, until_fired: bool) -> Played:
        """Play it to its end. `until_fired`: with more transfers, as long as the planned fault has not fired."""
        server = self.direct.service_client.config.target_host
        hand = Stagehand(holds_debit=self.scene.is_cancelled)
        async with GrpcProxy.running(server, self.plan, self.before) as proxy:
            try:
                async with self._working(proxy.address, hand):
                    await self._scene(proxy, self.scene, hand)
                    enough = time.monotonic() + MORE_SECONDS
                    for _ in range(MORE_TRANSFERS if until_fired else 0):
                        if proxy.fired or time.monotonic() > enough:
                            break
                        await self._scene(proxy, _ORDINARY, hand)
            finally:
                played = self.played
                played.calls, played.answered, played.fired = proxy.calls, proxy.answered, proxy.fired
        played.problems += await self.branch.wrong()
        return played

    async def _scene(self, proxy: GrpcProxy, scene: Scene, hand: Stagehand) -> None:
        alice, bob = await self.branch.new_customers()
        callers = Callers(self.settings, proxy.address, self.task_queue, self.branch)
        if scene.is_deposit:
            await self._deposit(callers, alice)
            return
        if scene.closes_bob:
            hand.before_credit = partial(self.branch.ledger.apply, SetAccountStatus(bob, AccountStatus.CLOSED))
        request = TransferRequest(
            transfer_id=f"{self.task_queue}.{alice}",
            source=alice,
            destination=bob,
            amount_minor=scene.amount_minor,
            currency="USD",
        )
        await self._transfer(proxy, callers, scene, hand, request)

    async def _transfer(
        self, proxy: GrpcProxy, callers: Callers, scene: Scene, hand: Stagehand, request: TransferRequest
    ) -> None:
        first = asyncio.create_task(callers.transfer(request, "first"))
        asked = [first]
        if scene.is_cancelled:
            debited = asyncio.create_task(hand.debited.wait())
            await asyncio.wait([debited, first], return_when=asyncio.FIRST_COMPLETED)
            asked.append(asyncio.create_task(callers.cancel(request, hand.released)))
            debited.cancel()
        answers = await asyncio.gather(*asked)
        if proxy.fired and self.played.fault_to_answer_seconds is None:
            self.played.fault_to_answer_seconds = max(0.0, time.monotonic() - proxy.fired[0].at)
        answers.append(await callers.transfer(request, "second"))
        await self._check(scene, request, [f"{answer.status}: {answer.reason}" for answer in answers])

    async def _check(self, scene: Scene, request: TransferRequest, answers: list[str]) -> None:
        played, id = self.played, request.transfer_id
        await self.branch.told(id)  # while there is a worker: it may have been left to a workflow of its own
        await self.branch.saw(self.direct, workflow_id(id))
        played.transfers += 1
        state = await self.branch.ledger.transfer(id)
        recorded = f"{state.status}: {state.reason}" if state else "nothing"
        if state is None:
            played.lost += 1
        if {*answers} != {recorded}:
            played.contradictory += 1
            played.problems.append(f"{id}: the callers were told {answers}, the books say {recorded}")
        moved = scene.moves.get(str(state.status) if state else "")
        if moved is None:
            played.problems.append(f"{id} ended as {recorded}")
            return
        found = await self.branch.balances(request.source, request.destination)
        if found != (expected := [100_00 - moved, moved]):
            played.doubled += 1
            played.problems.append(f"{id}: the balances are {found}, not {expected}")

    async def _deposit(self, callers: Callers, alice: str) -> None:
        request = DepositRequest(
            deposit_id=f"{self.task_queue}.{alice}", account_id=alice, amount_minor=25_00, currency="USD"
        )
        answers = [await callers.deposit(request) for _ in range(2)]
        if not all(answer.applied for answer in answers):
            self.played.contradictory += 1
            self.played.problems.append(f"{request.deposit_id}: the callers were told {answers}")
        if (found := await self.branch.balances(alice)) != [125_00]:
            self.played.doubled += 1
            self.played.problems.append(f"{request.deposit_id}: the balance is {found}, not 125.00")

    @asynccontextmanager
    async def _working(self, address: str, hand: Stagehand) -> AsyncIterator[None]:
        """A worker, and another one as soon as one cannot start or gives up, as a supervisor would have it."""
        connected, stopping = asyncio.Event(), asyncio.Event()
        supervisor = asyncio.create_task(self._keep_working(address, hand, connected, stopping))
        await connected.wait()
        try:
            yield
        finally:
            stopping.set()
            await supervisor

    async def _keep_working(
        self, address: str, hand: Stagehand, connected: asyncio.Event, stopping: asyncio.Event
    ) -> None:
        while not stopping.is_set():
            try:
                worker = await self._worker(address, hand)
                connected.set()
                running = asyncio.create_task(worker.run())
                stop = asyncio.create_task(stopping.wait())
                await asyncio.wait([running, stop], return_when=asyncio.FIRST_COMPLETED)
                stop.cancel()
                if not running.done():
                    await worker.shutdown()
                await running
            except (NotReachable, RPCError, RuntimeError):
                await asyncio.sleep(0.05)

    async def _worker(self, address: str, hand: Stagehand) -> Worker:
        activities = all_activities(self.branch.workers, self.branch.receiver)
        plugin = WorkerPlugin(activities) if self.scene.is_eager else _Polling(activities)
        return make_worker(await connect(self.settings, [plugin], address), self.task_queue, [hand])
