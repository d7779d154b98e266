"""B. RPC fates: each call of a transfer is lost, doubled, delayed or cut off, once, and the money still moves once.

Which calls there are is not listed by hand: each scene is played once undisturbed through the proxy, which writes
down every call of the worker and of the callers. Then every call meets every fate that can befall it, each in a case
of its own, with a worker, callers, a proxy and accounts of its own, many of them at the same time.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

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
CASE_SECONDS = 120.0
"""When a case counts as stuck. The slowest fates cost a workflow task's 10 s, or a few attempts of 5 s."""
SAMPLE = {"sqlite": 1.0, "postgresql": 0.4}
"""Which share of the cases is run: the calls know nothing of the database, so one has all of them."""
QUICK_CASES = 6

_BEFORE_THE_SERVER = {Kind.GRPC_REQUEST_UNAVAILABLE, Kind.GRPC_REQUEST_DEADLINE, Kind.GRPC_DELAYED}
_AT_THE_END = "ShutdownWorker"


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
    free: "asyncio.Queue[Branch]"

    @asynccontextmanager
    async def branch(self) -> AsyncIterator[Branch]:
        """A free branch, for one case."""
        branch = await self.free.get()
        try:
            yield branch
        finally:
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
            run.record.figure("RPC fates left out by the seed", len(every) - len(cases), "cases")
        await asyncio.gather(*(_try(stage, case) for case in cases))


def _cases(scene: Scene, played: Played) -> list[Case]:
    """Every fate of every call. What waits for an answer needs a call that had one; polls may have none."""
    answered = set(played.answered)
    return [
        Case(scene, call.method, call.nth, fate)
        for call in played.calls
        for fate in FATES
        if call in answered or (_is_first(scene) and _needs_no_answer(fate))
    ]


def _is_first(scene: Scene) -> bool:
    """Polls that come back with nothing are the same in every scene: one of them has their cases."""
    return scene == SCENES[0]


def _needs_no_answer(fate: Fate) -> bool:
    return fate.kind in _BEFORE_THE_SERVER or (fate.kind in (Kind.GRPC_DUPLICATED, Kind.GRPC_RESET) and not fate.late)


def _sample(run: Run, cases: list[Case]) -> list[Case]:
    if run.only != "*":
        return cases
    count = QUICK_CASES if run.quick else round(len(cases) * SAMPLE[run.database])
    chosen = run.random.sample(cases, min(count, len(cases)))
    run.random.shuffle(chosen)  # slow ones and quick ones side by side
    return chosen


async def _try(stage: Stage, case: Case) -> None:
    record, played = stage.run.record, Played()
    async with stage.branch() as branch:
        with record.case(case.name) as trial:
            try:
                played = await stage.play(branch, case.scene, case)
            except TimeoutError:
                record.effects(1, 0, 0, stuck=1, contradictory=0)
                raise
            trial.problems += played.problems
            trial.expect(bool(played.fired), "the fault did not fire")
    record.effects(played.transfers, played.lost, played.doubled, 0, played.contradictory)
    if played.fault_to_answer_seconds is not None:
        record.figure("RPC fault to answer", round(played.fault_to_answer_seconds, 3), "s")


@asynccontextmanager
async def _stage(run: Run) -> AsyncIterator[Stage]:
    free: asyncio.Queue[Branch] = asyncio.Queue()
    async with AsyncExitStack() as open:
        server = await open.enter_async_context(EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None))
        client = await Client.connect(server.address, plugins=[ClientPlugin()])
        for _ in range(4 if run.quick else BRANCHES):
            free.put_nowait(await open.enter_async_context(Branch.open(run.new_database())))
        yield Stage(run, client, free)
