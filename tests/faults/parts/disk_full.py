"""Disk full, the other half of `sqlite_boundaries`: the last page is taken in the middle of an operation, and freed.

First through `Ledger.apply`, with room for so many pages that the write-ahead log fails to grow at its 1st, 2nd, 3rd
... page of a commit; then through a real worker, Temporal (whose own file is elsewhere) and the starter.
"""

import time

from engine.embedded import EmbeddedServer
from ledger.audit import audit
from ledger.book import Ledger
from ledger.errors import OutcomeUnknown
from ledger.operations import credit, debit
from ledger.reader import Reader
from tests.faults.disk.asking import whole
from tests.faults.disk.small import PAGE, CannotMount, SmallDisk, small_disk
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.kinds import Kind
from tests.faults.record import Trial
from tests.faults.run import Run
from tests.support.examples import balances, open_with, transfers
from tests.support.processes import Folder, folder

ROOMS = range(12)
"""Pages that are left. A debit takes about ten, so the disk is full at each of them."""

LEGS = 3
TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00", "--json")


async def run(run: Run) -> None:
    """See the module."""
    try:
        async with small_disk(run.folder / "small") as disk:
            for room in ROOMS[::5] if run.quick else ROOMS:
                name = f"disk full: Ledger.apply, room for {room} pages"
                if run.wants(name):
                    with run.record.case(name) as trial:
                        await _apply(run, trial, disk, room)
            name = "disk full: worker and Temporal"
            if run.wants(name) and not run.quick:
                with run.record.case(name) as trial:
                    await _worker(run, trial, disk)
    except CannotMount as why:
        run.record.gap(f"no small disk can be mounted here, so none is ever full ({why})")


async def _apply(run: Run, trial: Trial, disk: SmallDisk, room: int) -> None:
    url = f"sqlite:///{disk.path}/apply-{room}.db"
    many = transfers(LEGS, amount_minor=1_00)
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=0)
        run.record.fault(Kind.SQLITE_DISK_FULL, trial.name)
        disk.fill(but=room * PAGE)
        unknown = 0
        for transfer in many:
            try:
                await ledger.apply(debit(transfer))
            except OutcomeUnknown:
                unknown += 1
        trial.expect(unknown > 0, "the disk was never full")
        async with Reader.open_read_only(url) as reader:
            seen = await balances(reader, "alice", "transit:USD")
        done = (LEGS - unknown) * 1_00
        trial.expect(seen == [100_00 - done, done], f"while full, {seen} are read after {LEGS - unknown} debits")
        disk.heal()
        outcomes = await ledger.apply_all([leg for transfer in many for leg in (debit(transfer), credit(transfer))])
        trial.expect(all(outcome.applied for outcome in outcomes), f"once healed: {outcomes}")
        replayed = sum(outcome.replayed for outcome in outcomes)
        trial.expect(replayed == LEGS - unknown, f"{replayed} replays of {LEGS - unknown} acknowledged debits")
    async with Ledger.open(url) as ledger:
        ended = await balances(ledger, "alice", "bob", "transit:USD")
        trial.expect(ended == [100_00 - LEGS * 1_00, LEGS * 1_00, 0], f"balances are {ended}")
        trial.expect((await audit(ledger)).ok, "the audit found something")
    await _books(trial, url)
    run.record.effects(LEGS, lost=0, doubled=int(bool(trial.problems)), stuck=0, contradictory=0)
    for file in disk.path.glob("apply-*"):
        file.unlink()


async def _worker(run: Run, trial: Trial, disk: SmallDisk) -> None:
    elsewhere = run.folder / "temporal"
    elsewhere.mkdir()
    url = f"sqlite:///{disk.path}/worker.db"
    async with EmbeddedServer.running(elsewhere, port=0, ui_port=None) as server:
        async with folder(elsewhere, url, server.address) as place:
            await place.worker()
            await _open_accounts(place)
            run.record.fault(Kind.SQLITE_DISK_FULL, trial.name)
            disk.fill()
            said = await place.starter(*TRANSFER, "--timeout", "3")
            trial.expect(said.exit == 5, f"while full, the starter said {said.exit}: {said.output}")
            kept = await place.balances("alice", "bob", "transit:USD")
            trial.expect(kept == [100_00, 0, 0], f"while full, balances are {kept}")
            disk.heal()
            healed = time.monotonic()
            said = await place.starter(*TRANSFER, "--timeout", "45")
            run.record.figure("heal to terminal", round(time.monotonic() - healed, 3), "s")
            trial.expect(said.exit == 0, f"once healed, the starter said {said.exit}: {said.output}")
            ended = await place.balances("alice", "bob", "transit:USD")
            trial.expect(ended == [75_00, 25_00, 0], f"balances are {ended}")
            await place.audit()
    await _books(trial, url)
    run.record.effects(1, lost=int(bool(trial.problems)), doubled=0, stuck=0, contradictory=0)


async def _open_accounts(place: Folder) -> None:
    said = await place.starter("open-account", "alice", "--currency", "USD", "--deposit", "100", "--deposit-id", "D1")
    assert said.exit == 0, said
    assert (await place.starter("open-account", "bob", "--currency", "USD")).exit == 0


async def _books(trial: Trial, url: str) -> None:
    for problem in whole(url):
        trial.expect(False, f"integrity_check: {problem}")
    for violation in violations(Evidence(await read_rows(url))):
        trial.expect(False, str(violation))
