"""The sweep as operators meet it: real workers, killed in the middle of it, and the starter."""

import shutil
import signal

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from ledger.book import Ledger
from ledger.operations import debit
from tests.processes.conftest import open_accounts
from tests.support.databases import only_sqlite
from tests.support.examples import a_transfer
from tests.support.processes import Folder

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00", "--json")
SWEEP = ("sweep", "--older-than", "0", "--json")
FIELDS = ["looked_at", "restarted", "running", "disagreeing", "notifications_restarted"]


@pytest.fixture
async def in_transit(place: Folder) -> Folder:
    """A folder without a worker, where T1 stands in transit and Temporal has never heard of it."""
    worker = await place.worker("--no-sweep")
    await open_accounts(place)
    worker.terminate()
    await worker.wait()
    async with Ledger.open(place.ledger_url) as ledger:  # as after a restore of an older Temporal
        await ledger.apply(debit(a_transfer("T1")))
    return place


async def test_what_temporal_has_lost_is_finished_by_the_command(in_transit: Folder) -> None:
    """
    Exit 0 with what was found; then it is settled, and the audit is content.
    """
    await in_transit.worker("--no-sweep")

    swept = await in_transit.starter(*SWEEP)
    await in_transit.reaches("T1", "settled")
    again = await in_transit.starter(*SWEEP)

    assert (swept.exit, again.exit) == (0, 0)
    assert [name for name in swept.json if name in FIELDS] == FIELDS
    assert [swept.json[name] for name in FIELDS] == [1, 1, 0, 0, 0]
    assert (again.json["looked_at"], again.json["restarted"]) == (0, 0)
    assert await in_transit.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]
    assert (await in_transit.audit())["transfers"]["settled"] == 1


async def test_a_worker_killed_in_the_middle_of_a_sweep_leaves_nothing_behind(in_transit: Folder) -> None:
    """
    SIGKILL right after the transfer was started again: the next worker finishes both, and money moves once.
    """
    worker = await in_transit.worker("--no-sweep", armed="starter.after_start[transfer/T1]=kill")
    await in_transit.start("starter.py", *SWEEP)
    assert await worker.wait() == -signal.SIGKILL

    await in_transit.worker("--no-sweep")
    beside_it = await in_transit.starter("sweep", "--older-than", "0.5", "--json")
    await in_transit.reaches("T1", "settled")

    assert beside_it.exit == 0
    assert await in_transit.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]


@only_sqlite
async def test_a_caller_of_a_swept_transfer_is_told_its_outcome(in_transit: Folder) -> None:
    """
    The same command as ever: the sweep has used the caller's own id and content.
    """
    await in_transit.worker("--no-sweep")
    await in_transit.starter(*SWEEP)

    said = await in_transit.starter(*TRANSFER)
    other = await in_transit.starter(*TRANSFER[:-2], "99.00", "--json")

    assert (said.exit, said.json["status"]) == (0, "settled")
    assert (other.exit, other.json["status"]) == (4, "key_reused")


@only_sqlite
async def test_disagreement_is_exit_1_and_names_the_transfer(in_transit: Folder) -> None:
    """
    Temporal says that it was completed and the books say that it was not: people must look.
    """
    backup = in_transit.path / "backup.db"
    shutil.copy(in_transit.ledger_url.removeprefix("sqlite:///"), backup)
    worker = await in_transit.worker("--no-sweep")
    assert (await in_transit.starter(*TRANSFER)).json["status"] == "settled"
    worker.terminate()
    await worker.wait()
    in_transit.ledger_url = f"sqlite:///{backup}"
    await in_transit.worker("--no-sweep")

    said, shown = await in_transit.starter(*SWEEP), await in_transit.starter("sweep", "--older-than", "0")

    assert (said.exit, said.json["disagreeing"], said.json["disagreeing_ids"]) == (1, 1, ["T1"])
    assert shown.exit == 1
    assert "T1" in shown.output
    assert await in_transit.balances("alice", "bob", "transit:USD") == [75_00, 0, 25_00]


@only_sqlite
async def test_every_worker_wants_the_schedule_and_one_makes_it(place: Folder) -> None:
    """
    The first worker makes it and says so; the second finds it; `--no-sweep` asks for none.
    """
    client = await Client.connect(str(place.temporal_address), namespace=place.more["TEMPORAL_NAMESPACE"])

    logs, schedules = [], []
    for number, arguments in enumerate([["--no-sweep"], [], []]):
        worker = await place.worker(*arguments)
        worker.terminate()
        await worker.wait()
        logs.append("scheduled the sweep: every 60 s" in (place.path / f"worker-{number}.log").read_text())
        schedules.append(await _exists(client))

    assert logs == [False, True, False]
    assert schedules == [False, True, True]


@only_sqlite
async def test_a_sweep_without_a_worker_is_unknown(place: Folder) -> None:
    """
    Exit 5: run the same command again. A time that makes no sense is exit 2, at once.
    """
    unknown = await place.starter(*SWEEP, "--timeout", "1")
    malformed = [await place.starter("sweep", "--older-than", value, "--json") for value in ("-1", "nan", "1e300")]

    assert (unknown.exit, unknown.json["status"]) == (5, "unknown")
    assert [said.exit for said in malformed] == [2, 2, 2]


async def _exists(client: Client) -> bool:
    try:
        await client.get_schedule_handle("sweep").describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return False
    return True
