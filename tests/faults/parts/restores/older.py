"""Older: yesterday's backup of one side under today's other side."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
from sqlalchemy import make_url
from temporalio.client import Client

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin
from ledger import failpoints
from ledger.audit import audit
from ledger.book import Ledger
from tests.faults.callers import ask
from tests.faults.checking import effects, gather
from tests.faults.evidence import Answer
from tests.faults.invariants import violations
from tests.faults.kinds import Kind
from tests.faults.parts.restores.stories import STORIES, Scene, expect_ending, scene
from tests.faults.record import Trial
from tests.faults.run import Run
from tests.support.bank import PATIENCE, Bank
from tests.support.examples import open_with


async def temporal(run: Run) -> None:
    """Temporal goes back to a file from before; the books have gone on. Everything is asked again."""
    if not run.wants(name := "an older Temporal file is put back"):
        return
    data = run.folder / "older-temporal"
    async with EmbeddedServer.running(data, port=0, ui_port=None, supervised=False) as server:
        async with scene(run, server) as here:
            with run.record.case(name) as trial:
                await _older_temporal(run, trial, server, data, here)


async def _older_temporal(run: Run, trial: Trial, server: EmbeddedServer, data: Path, here: Scene) -> None:
    bank, (settled, rejected, refunded) = here.bank, STORIES
    await here.play(settled)
    gate = bank.gates.close("credit", before=True)
    under_way = bank.request("under-way", amount_minor=1_00)
    asking = asyncio.create_task(here.ask(under_way, "first"))
    await gate.reached.wait()
    await server.stop()
    kept = _copy(data, data / "kept")
    await server.start()
    gate.open.set()
    first = await asking
    if first.exit_status == 5:  # the server was away while it was asked
        first = await here.ask(under_way)
    await here.play(rejected)
    await here.play(refunded)
    before = await bank.balances("alice", "bob", "carol", "transit:USD")

    run.record.fault(Kind.RESTORE_TEMPORAL, "of a moment with one settled transfer and one in transit")
    await server.stop()
    for file in data.glob("temporal.db*"):
        file.unlink()
    _copy(kept, data)
    await server.start()

    lost = [story.request(bank).transfer_id for story in (rejected, refunded)]
    named = await _named(here, "I11")
    trial.expect(all(id in named for id in lost), f"nobody says that Temporal has lost {lost}: {named}")
    for story in STORIES:
        expect_ending(trial, story, await here.ask(story.request(bank)), "under the older Temporal")
    again = await here.ask(under_way)
    trial.expect((first.status, again.status) == ("settled", "settled"), f"told {first}, and later {again}")
    after = await bank.balances("alice", "bob", "carol", "transit:USD")
    trial.expect(before == after == [974_00, 26_00, 0, 0], f"the balances were {before} and are {after}")
    await here.check(trial)


async def _named(here: Scene, invariant: str) -> str:
    """What an invariant says about the state of things, without waiting for it to become better."""
    evidence = await gather(here.url, here.bank.client, task_queue=here.bank.task_queue, patience_seconds=1)
    return "; ".join(str(each) for each in violations(evidence) if each.invariant == invariant)


def _copy(source: Path, target: Path) -> Path:
    """The database with all that belongs to it; nobody is using it."""
    target.mkdir(exist_ok=True)
    for file in source.glob("temporal.db*"):
        shutil.copy2(file, target / file.name)
    return target


async def ledger(run: Run, server: EmbeddedServer) -> None:
    """The books go back to a backup; Temporal remembers more. It must show, and no money may come of it."""
    if not run.wants(name := "older books are put back"):
        return
    with run.record.case(name) as trial:
        await _older_ledger(run, trial, server)


async def _older_ledger(run: Run, trial: Trial, server: EmbeddedServer) -> None:
    url, queue = run.new_database(), "older-books"
    client = await Client.connect(server.address, plugins=[ClientPlugin()])
    answers: list[Answer] = []
    async with _working(url, client, queue) as bank:
        await open_with(bank.ledger, alice=1_000_00, bob=0, carol=0)
        kept, lost, moving = (bank.request(name) for name in ("kept", "lost", "moving"))
        answers.append(await ask(bank.submitter, "first", kept))
    put_back = await _back_up(url)
    async with _working(url, client, queue) as bank:
        answers.append(await ask(bank.submitter, "first", lost))
        failpoints.arm(f"ledger.before_transaction[{moving.transfer_id}/credit]=raise@*")
        before = bank.gates.attempts.get("credit", 0)
        await bank.start(moving)
        await bank.attempted("credit", before + 1)

    run.record.fault(
        Kind.RESTORE_LEDGER, "of a moment with one settled transfer; another settled since, one in transit"
    )
    restored = await put_back()
    failpoints.arm("")
    async with _working(restored, client, queue) as bank:
        await _stands_still(client, f"transfer/{moving.transfer_id}")
        told = await ask(bank.submitter, "again", lost)
        new = await ask(bank.submitter, "first", bank.request("new", amount_minor=1_00))
        trial.expect(new.status == "settled", f"a new transfer was told {new}")
        balances = await bank.balances()
        trial.expect(balances == [974_00, 26_00, 0], f"the balances are {balances}")
        evidence = await gather(restored, client, task_queue=queue, answers=[*answers, told, new])
        report = await audit(bank.ledger)
        await client.get_workflow_handle(f"transfer/{moving.transfer_id}").terminate("the books do not know it")
    found = violations(evidence)
    flagged = {each.invariant for each in found if lost.transfer_id in each.text}
    trial.expect(flagged >= {"I6", "I11"}, f"what the older books have lost is named by {flagged}")
    others = [str(each) for each in found if lost.transfer_id not in each.text]
    trial.expect(not others, f"besides what was lost: {others}")
    trial.expect(report.ok, f"the older books are not right in themselves: {report.violations}")
    run.record.effects(**(effects(evidence) | {"lost": 0, "contradictory": 0}))  # the loss is the fault itself
    run.record.gap(
        "Older books are consistent in themselves, so the audit of the books alone cannot tell; comparing them with "
        "Temporal's completed transfers does. Within Temporal's retention a caller who asks for a lost transfer again "
        f"is told {told.status} by Temporal."
    )


async def _stands_still(client: Client, id: str) -> None:
    """Wait until a leg has found that the books do not know its transfer: an accident, asked again, never an answer."""
    async with asyncio.timeout(PATIENCE):
        while True:
            pending = (await client.get_workflow_handle(id).describe()).raw_description.pending_activities
            if any("OutOfOrder" in str(activity.last_failure) for activity in pending):
                return
            await asyncio.sleep(0.1)


@asynccontextmanager
async def _working(url: str, client: Client, queue: str) -> AsyncIterator[Bank]:
    async with Ledger.open(url) as books:
        bank = Bank(books, client, queue)
        async with bank.working():
            yield bank


async def _back_up(url: str) -> "Callable[[], Awaitable[str]]":
    """Copy the books, which nobody has open. Returns what puts the copy back, and the URL of the books then."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        path = Path(str(parsed.database))
        assert not Path(f"{path}-wal").exists(), "the last connection that closes leaves one file"
        shutil.copy2(path, f"{path}.kept")

        async def put_back() -> str:
            for left in path.parent.glob(f"{path.name}-*"):
                left.unlink()
            shutil.copy2(f"{path}.kept", path)
            return url

        return put_back
    kept = f"{parsed.database}_kept"
    server = parsed.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    connection = await asyncpg.connect(server, timeout=10)
    await connection.execute(f"CREATE DATABASE {kept} TEMPLATE {parsed.database}")
    await connection.close()

    async def use_the_copy() -> str:
        return parsed.set(database=kept).render_as_string(hide_password=False)

    return use_the_copy
