"""Whole transfers: a real worker whose connections to PostgreSQL are cut at each COMMIT, on a real Temporal server."""

import asyncio
from contextlib import AsyncExitStack

from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from engine.settings import Settings
from ledger.book import Ledger
from ledger.database import open_database, parse_url
from tests.faults.kinds import Kind
from tests.faults.parts.rpc_fates.branch import Branch
from tests.faults.parts.rpc_fates.playing import Playing
from tests.faults.parts.rpc_fates.scenes import SCENES, Scene
from tests.faults.proxies.postgres import Cut, PostgresProxy, Seen, at_commit
from tests.faults.run import Run

WRITING_COMMITS = {"settled": 3, "closed": 3, "deposit": 1}
"""Which scenes are played, and how many of their first COMMITs are cut: the legs', and what follows them."""
CASE_SECONDS = 120.0
_KINDS = {Cut.BEFORE: Kind.POSTGRES_CUT_BEFORE, Cut.UNANSWERED: Kind.POSTGRES_CUT_AFTER}


async def whole_transfers(run: Run) -> None:
    """Each of the first COMMITs of each scene, cut before it and after it was carried out. All at the same time."""
    cases = [
        (scene, nth, cut)
        for scene in SCENES
        for nth in range(1, WRITING_COMMITS.get(scene.name, 0) + 1)
        for cut in _KINDS
        if run.wants(_name(scene, nth, cut))
    ]
    cases = run.random.sample(cases, 2) if run.quick else cases
    if not cases:
        return
    async with EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None) as server:
        client = await Client.connect(server.address, plugins=[ClientPlugin()])
        async with AsyncExitStack() as open:
            stages = []
            for _ in cases:  # one after the other: migrations of two databases at once get in each other's way
                url = run.new_database()
                stages.append((await open.enter_async_context(Ledger.open(url)), url))
            tries = (
                _try(run, client, books, url, scene, nth, cut)
                for (books, url), (scene, nth, cut) in zip(stages, cases, strict=True)
            )
            await asyncio.gather(*tries)


def _name(scene: Scene, nth: int, cut: Cut) -> str:
    return f"temporal/{scene.name}/COMMIT/{cut}#{nth}"


async def _try(run: Run, client: Client, books: Ledger, url: str, scene: Scene, nth: int, cut: Cut) -> None:
    def before(seen: Seen, cut: Cut) -> None:
        run.record.fault(_KINDS[cut], f"temporal/{scene.name}: COMMIT {nth} {cut}")

    with run.record.case(_name(scene, nth, cut)) as trial:
        async with asyncio.timeout(CASE_SECONDS), AsyncExitStack() as open:
            proxy = await open.enter_async_context(PostgresProxy.running(url, before))
            engine = open_database(parse_url(proxy.url))
            open.push_async_callback(engine.dispose)
            proxy.plan = at_commit(nth, cut)
            branch = Branch(books, url, Ledger(engine))
            played = await Playing(scene, branch, client, Settings(run.folder, "", None)).play(until_fired=False)
            trial.problems += played.problems
            trial.expect(bool(proxy.fired), "the fault did not fire")
            run.record.effects(played.transfers, played.lost, played.doubled, 0, played.contradictory)
