"""Nemesis: does the planned faults at their times, each written down before it acts, and undone after its time.

Faults overlap. Only what happens to one worker, or to one server, waits for what is already happening to it. When the
storm is over, every fault ends at once.
"""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import asyncpg
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.service import RPCError

from activities.messages import AccountChange
from engine.results import Unanswered
from engine.submitting import Submitter, workflow_id
from ledger.account import AccountStatus
from tests.faults.kinds import Kind
from tests.faults.parts.storm.bank import Bank, Hand
from tests.faults.parts.storm.callers import Callers
from tests.faults.parts.storm.faults import ACCOUNT_MOODS, PlannedFault
from tests.faults.parts.storm.plan import MOODY, Plan
from tests.faults.record import Record
from tests.support.byte_proxy import ByteProxy


class Nemesis:
    """See the module. `wrecked` are the transfers whose workflow it has terminated or reset."""

    def __init__(self, bank: Bank, callers: Callers, plan: Plan, record: Record, begun: float) -> None:
        self._bank, self._callers, self._plan, self._record, self._begun = bank, callers, plan, record, begun
        self._over = asyncio.Event()
        self._temporal, self._postgres, self._receiver = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._wires = {id(wire): asyncio.Lock() for wire in bank.wires}
        self.terminated: set[str] = set()
        self.reset: set[str] = set()
        self.fired: list[tuple[float, str]] = []
        self.problems: list[str] = []

    async def run(self) -> None:
        """Do what is planned until `stop`, and come back when all of it is undone."""
        async with asyncio.TaskGroup() as all:
            for hand in self._bank.hands:
                all.create_task(self._keep(hand))
            for fault in self._plan.faults:
                if await self._hold(self._begun + fault.at - time.monotonic()):
                    break
                all.create_task(self._do(fault))

    def stop(self) -> None:
        """The storm is over."""
        self._over.set()

    async def _hold(self, seconds: float) -> bool:
        """Wait; less if the storm is over. Returns whether it is."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(seconds, 0.001))
        return self._over.is_set()

    async def _do(self, fault: PlannedFault) -> None:
        try:
            await self._ways()[fault.kind](fault)
        except Exception as error:
            self.problems.append(f"the fault {fault} could not be done: {type(error).__name__}: {error}"[:500])

    def _ways(self) -> dict[Kind | str, Callable[[PlannedFault], Awaitable[None]]]:
        return {
            Kind.WORKER_KILL: self._kill_worker,
            Kind.WORKER_TERM: self._end_worker,
            Kind.WORKER_FREEZE: self._freeze_worker,
            Kind.FAILPOINT_KILL: self._arm_worker,
            Kind.FAILPOINT_RAISE: self._arm_worker,
            Kind.FAILPOINT_STALL: self._arm_worker,
            Kind.CLOCK_JUMP: self._jump,
            Kind.TEMPORAL_KILL: self._kill_temporal,
            Kind.TEMPORAL_FREEZE: self._freeze_temporal,
            Kind.POSTGRES_BACKEND_KILL: self._kill_backend,
            Kind.POSTGRES_KILL: self._end_postgres,
            Kind.POSTGRES_STOP: self._end_postgres,
            Kind.NETWORK_LATENCY: self._network,
            Kind.NETWORK_BANDWIDTH: self._network,
            Kind.NETWORK_RESET: self._network,
            Kind.NETWORK_BLACKHOLE: self._network,
            Kind.WORKFLOW_TERMINATE: self._terminate,
            Kind.WORKFLOW_RESET: self._reset,
            Kind.RECEIVER_SILENT: self._silence,
            ACCOUNT_MOODS: self._moods,
        }

    def _fires(self, fault: PlannedFault, whom: str) -> None:
        assert isinstance(fault.kind, Kind)
        self._record.fault(fault.kind, f"{whom} {fault.detail}".strip())
        self._note(fault.kind, fault.seconds)

    def _note(self, kind: Kind | str, seconds: float) -> None:
        at = time.monotonic() - self._begun
        self.fired.append((at, str(kind)))
        self._record.timeline("fault", round(at, 2), kind=str(kind), seconds=round(seconds, 2))

    # --- workers ------------------------------------------------------------------------------------------------

    async def _keep(self, hand: Hand) -> None:
        """Start a worker again that has ended by itself, as whatever supervises it in production does."""
        while not await self._hold(0.1):
            if not hand.worker.alive and not hand.lock.locked():
                async with hand.lock:
                    hand.note_exit()
                    await self._hold(0.3)
                    await hand.start()

    def _hand(self, fault: PlannedFault) -> Hand:
        return self._bank.hands[int(fault.target * len(self._bank.hands))]

    async def _kill_worker(self, fault: PlannedFault) -> None:
        hand = self._hand(fault)
        async with hand.lock:
            await self._hold(hand.rest())
            self._fires(fault, hand.worker.name)
            await hand.worker.kill()
            hand.note_exit()
            await self._hold(fault.seconds)
            await hand.start()

    async def _end_worker(self, fault: PlannedFault, armed: str = "") -> None:
        """A deploy: it drains, and its successor starts."""
        hand = self._hand(fault)
        async with hand.lock:
            await self._hold(hand.rest())
            if not armed:
                self._fires(fault, hand.worker.name)
            begun = time.monotonic()
            await hand.worker.end(signal.SIGTERM, 45)
            hand.note_exit()
            self._record.figure("storm: worker drained after SIGTERM", round(time.monotonic() - begun, 2), "s")
            await self._hold(fault.seconds)
            await hand.start(armed)

    async def _arm_worker(self, fault: PlannedFault) -> None:
        """A worker that has failpoints armed. They are recorded when they have fired, from what they wrote down."""
        await self._end_worker(fault, armed=fault.detail)

    async def _freeze_worker(self, fault: PlannedFault) -> None:
        hand = self._hand(fault)
        async with hand.lock:
            self._fires(fault, hand.worker.name)
            hand.worker.freeze()
            await self._hold(fault.seconds)
            hand.worker.thaw()

    async def _jump(self, fault: PlannedFault) -> None:
        hand = self._hand(fault)
        if hand.clock is None:
            self._record.gap("The storm makes no worker's clock jump where there is no C compiler.")
            return
        self._fires(fault, f"{hand.worker.name} by")
        hand.clock.jump(int(fault.detail))
        await self._hold(fault.seconds)
        hand.clock.jump(0)

    # --- servers ------------------------------------------------------------------------------------------------

    async def _kill_temporal(self, fault: PlannedFault) -> None:
        async with self._temporal:
            self._fires(fault, "")
            await self._bank.temporal.kill()
            await self._hold(fault.seconds)
            await self._bank.temporal.restart()

    async def _freeze_temporal(self, fault: PlannedFault) -> None:
        async with self._temporal:
            self._fires(fault, "")
            await asyncio.to_thread(self._bank.temporal.freeze)
            await self._hold(fault.seconds)
            await asyncio.to_thread(self._bank.temporal.thaw)

    async def _kill_backend(self, fault: PlannedFault) -> None:
        postgres = self._bank.postgres
        assert postgres is not None
        async with self._postgres:
            if sessions := postgres.backends():
                self._fires(fault, "")
                postgres.kill_backend(sessions[int(fault.target * len(sessions))])
            await postgres.start()

    async def _end_postgres(self, fault: PlannedFault) -> None:
        postgres = self._bank.postgres
        assert postgres is not None
        async with self._postgres:
            self._fires(fault, "")
            await postgres.end(signal.SIGKILL if fault.kind is Kind.POSTGRES_KILL else signal.SIGQUIT)
            await self._hold(fault.seconds)
            with suppress(asyncpg.PostgresError):
                await postgres.start()

    async def _network(self, fault: PlannedFault) -> None:
        wire = self._bank.wires[int(fault.target * len(self._bank.wires))]
        async with self._wires[id(wire)]:
            self._fires(fault, self._between(wire))
            match fault.kind:
                case Kind.NETWORK_LATENCY:
                    wire.latency_seconds = 0.05 + fault.target % 0.1 * 4
                case Kind.NETWORK_BANDWIDTH:
                    wire.bytes_per_second = 20_000
                case Kind.NETWORK_RESET:
                    wire.reset_all()
                case Kind.NETWORK_BLACKHOLE:
                    wire.blackhole()
            await self._hold(fault.seconds)
            wire.heal()

    def _between(self, wire: ByteProxy) -> str:
        if wire in self._bank.callers_wires:
            return "callers to temporal"
        hand = next(hand for hand in self._bank.hands if wire in hand.wires)
        return f"{hand.worker.name} to {'temporal' if wire is hand.wires[0] else 'postgresql'}"

    # --- workflows, the receiver, an account ------------------------------------------------------------------------

    def _in_flight(self, fault: PlannedFault) -> str | None:
        ids = sorted(self._callers.in_flight)
        return ids[int(fault.target * len(ids))] if ids else None

    async def _terminate(self, fault: PlannedFault) -> None:
        if (id := self._in_flight(fault)) is None:
            return
        handle = self._bank.operator.get_workflow_handle(workflow_id(id))
        self.terminated.add(id)
        with suppress(RPCError):  # it may have ended, or Temporal may be down
            await handle.terminate("the storm's operator", rpc_timeout=_soon())
            self._fires(fault, id)

    async def _reset(self, fault: PlannedFault) -> None:
        if (id := self._in_flight(fault)) is None:
            return
        self.reset.add(id)
        with suppress(RPCError):
            await self._bank.operator.workflow_service.reset_workflow_execution(
                ResetWorkflowExecutionRequest(
                    namespace=self._bank.operator.namespace,
                    workflow_execution=WorkflowExecution(workflow_id=workflow_id(id)),
                    reason="the storm's operator",
                    request_id=f"{id}-{fault.at}",
                    workflow_task_finish_event_id=4,  # the end of the first workflow task: started, scheduled, started
                ),
                timeout=_soon(),
            )
            self._fires(fault, id)

    async def _silence(self, fault: PlannedFault) -> None:
        async with self._receiver:
            self._fires(fault, "")
            self._bank.receiver.is_silent = True
            await self._hold(fault.seconds)
            self._bank.receiver.is_silent = False

    async def _moods(self, fault: PlannedFault) -> None:
        self._note(fault.kind, fault.seconds)
        await self._set_moody(AccountStatus(fault.detail))
        await self._hold(fault.seconds)
        await self._set_moody(AccountStatus.OPEN)

    async def _set_moody(self, status: AccountStatus) -> None:
        with suppress(Unanswered, TimeoutError):
            async with asyncio.timeout(10):
                change = AccountChange(account_id=MOODY, status=status)
                await Submitter(self._bank.operator).set_account(change, 10)


def _soon() -> timedelta:
    return timedelta(seconds=3)
