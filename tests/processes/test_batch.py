"""batch as scripts meet it: its exit status, its results, and what is left when any part of it is killed midway."""

import asyncio
import signal
from pathlib import Path

import pytest

from engine.embedded import EmbeddedServer
from tests.processes.conftest import open_accounts
from tests.support.databases import only_sqlite
from tests.support.processes import PATIENCE, Folder, folder, hear

LINES = 9_000
"""Three chunks, the last of which is not full."""


def a_file(place: Folder, lines: int = LINES, name: str = "payments.csv") -> Path:
    """A file of so many lines, each of which pays Bob a cent."""
    rows = (f"L{line},alice,bob,0.01,USD\n" for line in range(lines))
    path = place.path / name
    path.write_text("transfer_id,from,to,amount,currency\n" + "".join(rows))
    return path


def settled(lines: int) -> str:
    """The results of such a file."""
    return "transfer_id,status,reason,replayed\n" + "".join(f"L{line},settled,,false\n" for line in range(lines))


def batch(path: Path, id: str = "B1", *more: str) -> tuple[str, ...]:
    """The command."""
    return ("batch", str(path), "--id", id, "--json", *more)


async def _fired(place: Folder) -> None:
    async with asyncio.timeout(PATIENCE):
        while not place.fired.exists():
            await asyncio.sleep(0.01)


async def _open(place: Folder) -> None:
    """The accounts, by a worker of their own."""
    worker = await place.worker()
    await open_accounts(place)
    worker.terminate()
    assert await worker.wait() == 0


async def test_a_worker_killed_in_the_middle_is_replaced_and_every_line_is_moved_once(place: Folder) -> None:
    """
    SIGKILL between a commit and its answer. The same command again tells the same, byte by byte.
    """
    await _open(place)
    worker = await place.worker(armed="ledger.after_commit=kill@5")
    path = a_file(place)
    starter = await place.start("starter.py", *batch(path))
    assert await worker.wait() == -signal.SIGKILL

    await place.worker()
    said = await hear(starter)
    first = (place.path / "payments.results.csv").read_text()
    again = await place.starter(*batch(path))

    assert (said.exit, said.json["status"], said.json["settled"]) == (0, "done", LINES)
    assert first == settled(LINES)
    assert (place.path / "payments.results.csv").read_text() == first
    assert (again.exit, again.json["replayed"]) == (0, 0)
    assert await place.balances("alice", "bob", "transit:USD") == [100_00 - LINES, LINES, 0]
    assert (await place.audit())["operations"] == {"applied": 2 * LINES + 2, "rejected": 0, "fenced": 0}


@pytest.mark.parametrize(
    ("new_database", "how"), [("sqlite", signal.SIGKILL), ("postgresql", signal.SIGINT)], indirect=["new_database"]
)
async def test_a_starter_killed_in_the_middle_leaves_no_results_and_the_next_one_has_them_all(
    place: Folder, how: signal.Signals
) -> None:
    """
    Whatever had begun goes on without it; the next one does what is missing. Ctrl-C is exit status 5.
    """
    await _open(place)
    await place.worker(armed="ledger.before_commit=stall:2@5")
    path = a_file(place)
    starter = await place.start("starter.py", *batch(path))
    await _fired(place)
    starter.send_signal(how)
    ended = await starter.wait()
    results = place.path / "payments.results.csv"

    assert ended == (-signal.SIGKILL if how is signal.SIGKILL else 5)
    assert not results.exists()
    said = await place.starter(*batch(path))
    assert (said.exit, said.json["replayed"]) == (0, 0)
    assert results.read_text() == settled(LINES)
    assert await place.balances("alice", "bob", "transit:USD") == [100_00 - LINES, LINES, 0]
    await place.audit()


@only_sqlite
async def test_a_temporal_server_killed_in_the_middle_changes_no_line_of_the_results(
    tmp_path: Path, database_url: str
) -> None:
    """
    SIGKILL between two commits, a new server on the same file. Whatever the first starter was told, the next has all.
    """
    running = EmbeddedServer.running(tmp_path / "temporal", port=0, ui_port=None, supervised=False)
    async with running as server, folder(tmp_path, database_url, server.address) as place:
        await _open(place)
        await place.worker(armed="ledger.before_commit=stall:1@5")
        path = a_file(place)
        starter = await place.start("starter.py", *batch(path, "B1", "--timeout", "40"))
        await _fired(place)
        await server.kill()
        await server.start()
        first = await hear(starter)
        again = await place.starter(*batch(path))

        assert first.exit in (0, 5)
        assert (again.exit, again.json["settled"], again.json["replayed"]) == (0, LINES, 0)
        assert (place.path / "payments.results.csv").read_text() == settled(LINES)
        assert await place.balances("alice", "bob", "transit:USD") == [100_00 - LINES, LINES, 0]
        await place.audit()


@only_sqlite
async def test_bad_lines_and_rejected_ones_are_told_and_do_not_stop_the_rest(running: Folder) -> None:
    """
    3; with --strict 2, and nothing is started. Another file under the same id: 4.
    """
    path = a_file(running, 3)
    with open(path, "a", encoding="utf-8") as file:
        file.write("L8,alice,bob,0.001,USD\nL9,alice,bob,500,USD\nL0,alice,bob,0.02,USD\n")

    strict = await running.starter(*batch(path, "B0", "--strict"))
    said = await running.starter(*batch(path))
    other = await running.starter(*batch(a_file(running, 3, "other.csv")))

    assert [answer.exit for answer in (strict, said, other)] == [2, 3, 4]
    assert "line 5, column amount" in strict.json["reason"]
    assert said.json["by_status"] == {"settled": 3, "malformed": 1, "rejected": 1, "key_reused": 1}
    assert (running.path / "payments.results.csv").read_text().splitlines()[4:] == [
        'L8,malformed,"line 5, column amount: amount 0.001 has 3 decimals; USD has 2",false',
        "L9,rejected,insufficient_funds,false",
        "L0,key_reused,amount_minor: 1 -> 2,false",
    ]
    assert (await running.starter("status", "B1", "--json")).json["status"] == "done"
    assert await running.balances("alice", "bob") == [99_97, 3]


@only_sqlite
async def test_a_cancel_stops_after_what_has_begun_and_the_same_command_goes_on(place: Folder) -> None:
    """
    Both the canceller and the starter are told how many lines were done; the results hold exactly those.
    """
    await _open(place)
    await place.worker(armed="ledger.before_commit=stall:8@5")  # the batch, the deposit, and two pieces come before
    more = ("open-account", "alice", "--currency", "USD", "--deposit", "900", "--deposit-id", "D2")
    assert (await place.starter(*more)).exit == 0
    lines = 20_000
    path = a_file(place, lines, "long.csv")
    starter = await place.start("starter.py", *batch(path))
    await _fired(place)
    cancelled = await place.starter("cancel", "B1", "--json", "--timeout", "60")
    said = await hear(starter)
    results = (place.path / "long.results.csv").read_text()
    done = said.json["lines"]

    assert (said.exit, said.json["status"]) == (3, "cancelled")
    assert (cancelled.exit, cancelled.json["status"], cancelled.json["settled"]) == (3, "cancelled", done)
    assert 0 < done < lines
    assert results == settled(done)
    assert await place.balances("alice", "bob", "transit:USD") == [1000_00 - done, done, 0]

    again = await place.starter(*batch(path))
    assert (again.exit, again.json["settled"]) == (0, lines)
    assert (place.path / "long.results.csv").read_text() == settled(lines)
    assert await place.balances("alice", "bob", "transit:USD") == [1000_00 - lines, lines, 0]
