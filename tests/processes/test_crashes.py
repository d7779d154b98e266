"""Crashes: real workers killed, stopped, frozen and thawed at the worst moments; then the balances are looked at."""

import asyncio
import json
import signal

import pytest

from tests.processes.conftest import open_accounts
from tests.support.databases import only_postgresql, only_sqlite
from tests.support.processes import PATIENCE, Folder

TRANSFER = ("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "25.00", "--json")


async def _fired(place: Folder, site: str) -> None:
    """Wait until a failpoint has fired. It writes that down before it acts."""
    async with asyncio.timeout(PATIENCE):
        while not place.fired.exists() or site not in place.fired.read_text():
            await asyncio.sleep(0.01)


def _sites(place: Folder) -> list[str]:
    return [json.loads(line)["site"] for line in place.fired.read_text().splitlines()]


@pytest.mark.parametrize(
    ("new_database", "site", "leg"),
    [
        ("sqlite", "ledger.before_commit", "debit"),
        ("sqlite", "ledger.after_commit", "credit"),
        ("postgresql", "ledger.after_commit", "debit"),
        ("postgresql", "ledger.before_commit", "credit"),
    ],
    indirect=["new_database"],
)
async def test_a_worker_killed_around_a_commit_is_replaced_and_the_money_moves_once(
    place: Folder, site: str, leg: str
) -> None:
    """
    SIGKILL just before the commit, or between the commit and the answer: the next worker asks with the same key.
    """
    worker = await place.worker(armed=f"{site}[T1/{leg}]=kill")
    await open_accounts(place)
    await place.starter(*TRANSFER, "--no-wait")
    assert await worker.wait() == -signal.SIGKILL

    await place.worker()
    said = await place.starter(*TRANSFER, "--timeout", "60")

    assert said.json["status"] == "settled"
    assert _sites(place) == [site]
    assert await place.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]
    assert (await place.audit())["operations"] == {"applied": 3, "rejected": 0, "fenced": 0}


async def test_a_worker_told_to_stop_lets_a_leg_finish(place: Folder) -> None:
    """
    A deploy in the middle of a commit: SIGTERM drains, and the leg is neither lost nor done twice.
    """
    worker = await place.worker(armed="ledger.before_commit[T1/credit]=stall:2")
    await open_accounts(place)
    await place.starter(*TRANSFER, "--no-wait")
    await _fired(place, "ledger.before_commit")
    worker.send_signal(signal.SIGTERM)

    assert await worker.wait() == 0
    assert await place.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]
    await place.worker()
    assert (await place.starter(*TRANSFER)).json["status"] == "settled"
    assert await place.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]


@only_postgresql
async def test_a_worker_frozen_in_its_transaction_that_thaws_after_the_retry_moves_nothing(place: Folder) -> None:
    """
    SIGSTOP inside the transaction, with the hot row locked: PostgreSQL ends the idle session, another worker settles.
    """
    frozen = await place.worker(armed="ledger.before_commit[T1/credit]=stall:1")
    await open_accounts(place)
    await place.starter(*TRANSFER, "--no-wait")
    await _fired(place, "ledger.before_commit")
    frozen.send_signal(signal.SIGSTOP)
    await place.worker()

    said = await place.starter(*TRANSFER, "--timeout", "60")
    assert said.json["status"] == "settled"
    frozen.send_signal(signal.SIGCONT)
    await asyncio.sleep(2)  # its stall of a second comes to its end
    frozen.send_signal(signal.SIGTERM)  # and it drains: then its zombie attempt has ended too
    assert await frozen.wait() == 0

    assert await place.balances("alice", "bob", "transit:USD") == [75_00, 25_00, 0]
    assert (await place.audit())["ok"]


async def test_a_credit_that_comes_to_life_after_the_refund_meets_the_fence(place: Folder) -> None:
    """
    Debited, credit silent, cancelled and refunded; then the credit lands after all: money would be made here.
    """
    site = "activity.before_work[T1/credit]"
    worker = await place.worker(
        armed=f"{site}=stall:8@1; {site}=raise@2+; activity.before_completion[T1/credit]=stall:0"
    )
    await open_accounts(place)
    await place.starter(*TRANSFER, "--no-wait")
    await _fired(place, "activity.before_work")

    said = await place.starter("cancel", "T1", "--json")
    assert (said.json["status"], said.json["cancel"]) == ("refunded", "refunded")
    await _fired(place, "activity.before_completion")  # only the zombie attempt gets as far as that

    assert worker.returncode is None
    assert await place.balances("alice", "bob", "transit:USD") == [100_00, 0, 0]
    assert (await place.audit())["operations"]["fenced"] == 1


@only_sqlite
async def test_a_second_worker_on_the_same_file_is_refused_and_told_what_to_do(running: Folder) -> None:
    """
    SQLite takes one writing process: the second says who the first is, and points to PostgreSQL.
    """
    second = await running.start("worker.py")
    output, errors = await second.communicate()

    assert (second.returncode, output) == (1, b"")
    assert f"process {running.started[0].pid} already writes" in errors.decode()
    assert "postgresql://" in errors.decode()
