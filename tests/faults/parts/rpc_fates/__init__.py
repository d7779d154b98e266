"""B. RPC fates: each call of a transfer is lost, doubled, delayed or cut off, once, and the money still moves once.

Which calls there are is not listed by hand: each scene is played once undisturbed through the proxy, which writes
down every call of the worker and of the callers. Then every call meets every fate that can befall it, each in a case
of its own, with a worker, callers, a proxy and accounts of its own, many of them at the same time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random

from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import Settings
from tests.faults.kinds import Kind
from tests.faults.parts.rpc_fates.branch import Branch
from tests.faults.parts.rpc_fates.playing import Played, Playing
from tests.faults.parts.rpc_fates.scenes import SCENES, Scene
from tests.faults.proxies.grpc import FATES, Fate, one_call
from tests.faults.run import Run

BRANCHES = 24
"""Cases at the same time: most of a case is waiting until somebody gives up."""
CASE_SECONDS = 240.0
"""When a case counts as stuck. The slowest fates cost a workflow task's 10 s, or a few attempts of 5 s."""
TRIES = 3
"""How often a case is tried until its fault fires: on a slow machine a caller may give up its long poll before there
was an answer to lose, and a poller may be stopped before its turn has come."""
SHARES = {"sqlite": (0.0, 0.18), "postgresql": (0.18, 0.36)}
"""Which cases each database has, of a draw between 0 and 1 for each: none is on both, as the calls know nothing of the
database. All of them take ten minutes. With --every-case, each database has all."""
QUICK_CASES = 6

_BEFORE_THE_SERVER = {Kind.GRPC_REQUEST_UNAVAILABLE, Kind.GRPC_REQUEST_DEADLINE, Kind.GRPC_DELAYED}
_AT_THE_END = "ShutdownWorker"
_BY_THE_CLOCK = {"RecordWorkerHeartbeat"}
"""Once a minute, whatever the transfers do: no case can wait for it."""


@dataclass(frozen=True)
class Case:
    """One call of one scene, and what befalls it."""

    scene: Scene
    method: str
    nth: int
    fate: Fate

    @property
    def name(self) -> str:
        """As `--case` finds it."""
        return f"{self.scene.name}/{self.method}#{self.nth}/{self.fate}"


@dataclass
class Stage:
    """What all cases share: a Temporal server, and branches that wait for a case."""

    run: Run
    client: Client
    open: AsyncExitStack
    free: "asyncio.Queue[Branch]" = field(default_factory=asyncio.Queue)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def branch(self) -> AsyncIterator[Branch]:
        """A free branch, for one case."""
        branch = await self.free.get()
        try:
            yield branch
        finally:
            if branch.spoilt:
                async with self.opening:  # migrations of two databases at once get in each other's way
                    branch = await self.open.enter_async_context(Branch.open(self.run.new_database()))
            self.free.put_nowait(branch)

    async def play(self, branch: Branch, scene: Scene, case: Case | None = None) -> Played:
        """Play a scene in a branch, with the fault of a case or with none. Raises TimeoutError if that has no end."""
        playing = Playing(scene, branch, self.client, Settings(self.run.folder, "", None))
        if case is not None:
            playing.plan = one_call(case.method, case.nth, case.fate)
            playing.before = lambda call: self.run.record.fault(case.fate.kind, f"{case.scene.name}/{call}")
        async with asyncio.timeout(CASE_SECONDS):
            return await playing.play(until_fired=case is not None and case.method != _AT_THE_END)


async def run(run: Run) -> None:
    """Discover the calls of each scene, then disturb them one by one."""
    run.record.gap(
        f"{', '.join(_BY_THE_CLOCK)} comes by the clock, not with a transfer: no single one of it is disturbed."
    )
    async with _stage(run) as stage:
        scenes = SCENES[:1] if run.quick else SCENES
        every = []
        for scene in scenes:
            async with stage.branch() as branch:
                with run.record.case(f"{scene.name}/undisturbed") as trial:
                    played = await stage.play(branch, scene)
                    trial.problems += played.problems
                    every += _cases(scene, played)
        cases = [case for case in _sample(run, every) if run.wants(case.name)]
        if len(cases) < len(every):
            run.record.gap(
                f"RPC fates on {run.database}: {len(cases)} of {len(every)} cases, chosen by the seed, none of them "
                f"on both databases; all with --every-case"
            )
        await asyncio.gather(*(_try(stage, case) for case in cases))


def _cases(scene: Scene, played: Played) -> list[Case]:
    """Every fate of every call. What waits for an answer needs a call that had one; polls may have none."""
    answered = set(played.answered)
    return [
        Case(scene, call.method, call.nth, fate)
        for call in played.calls
        for fate in FATES
        if call.method not in _BY_THE_CLOCK
        if call in answered or (_is_first(scene) and _needs_no_answer(fate))
    ]


def _is_first(scene: Scene) -> bool:
    """Polls that come back with nothing are the same in every scene: one of them has their cases."""
    return scene == SCENES[0]


def _needs_no_answer(fate: Fate) -> bool:
    return fate.kind in _BEFORE_THE_SERVER or (fate.kind in (Kind.GRPC_DUPLICATED, Kind.GRPC_RESET) and not fate.late)


def _sample(run: Run, cases: list[Case]) -> list[Case]:
    if run.only != "*" or run.every_case:
        return cases
    if run.quick:
        return run.random.sample(cases, QUICK_CASES)
    first, last = SHARES[run.database]
    chosen = [case for case in cases if first <= Random(f"{run.seed}/{case.name}").random() < last]
    run.random.shuffle(chosen)  # slow ones and quick ones side by side
    return chosen


async def _try(stage: Stage, case: Case) -> None:
    record, played = stage.run.record, Played()
    async with stage.branch() as branch:
        with record.case(case.name) as trial:
            try:
                for _ in range(TRIES):
                    played = await stage.play(branch, case.scene, case)
                    trial.problems += played.problems
                    if played.fired or played.problems:
                        break
            except TimeoutError:
                record.effects(1, 0, 0, stuck=1, contradictory=0)
                raise
            trial.expect(bool(played.fired), "the fault did not fire")
        branch.spoilt = bool(trial.problems)
    record.effects(played.transfers, played.lost, played.doubled, 0, played.contradictory)
    if played.fault_to_answer_seconds is not None:
        record.figure("RPC fault to answer", round(played.fault_to_answer_seconds, 3), "s")


@asynccontextmanager
async def _stage(run: Run) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as open:
        server = await open.enter_async_context(EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None))
        client = await Client.connect(server.address, plugins=[ClientPlugin()])
        stage = Stage(run, client, open)
        for _ in range(4 if run.quick else BRANCHES):
            stage.free.put_nowait(await open.enter_async_context(Branch.open(run.new_database())))
        yield stage
