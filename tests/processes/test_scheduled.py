"""transfer --at, as scripts meet it."""

from tests.support.databases import only_sqlite
from tests.support.processes import Folder

PAY = ("transfer", "--from", "alice", "--to", "bob", "--amount", "25.00", "--json")


@only_sqlite
async def test_a_transfer_that_is_due_later_is_accepted_at_once_and_can_be_called_off(running: Folder) -> None:
    """
    0 and `scheduled` without waiting, also for the same command again; a cancel ends it with 3.
    """
    later = (*PAY, "--id", "T1", "--at", "2999-01-01T09:00:00Z")
    first, again = await running.starter(*later), await running.starter(*later)
    at_once = await running.starter("status", "T1", "--json")
    cancelled = await running.starter("cancel", "T1", "--json")
    after = await running.starter(*later)

    assert [(said.exit, said.json["status"]) for said in (first, again)] == [(0, "scheduled")] * 2
    assert (at_once.exit, at_once.json["status"]) == (0, "scheduled")
    assert (cancelled.exit, cancelled.json["cancel"]) == (3, "cancelled")
    assert (after.exit, after.json["status"], after.json["replayed"]) == (3, "cancelled", True)
    assert await running.balances("alice", "bob") == [100_00, 0]


@only_sqlite
async def test_a_time_that_is_over_is_refused_unless_the_transfer_is_known(running: Folder) -> None:
    """
    2 for a new id; for one that has moved when it was due, the same command tells its outcome for ever.
    """
    past = ("--at", "2020-01-01T09:00:00Z")
    new = await running.starter(*PAY, "--id", "T1", *past)
    without_zone = await running.starter(*PAY, "--id", "T1", "--at", "2999-01-01T09:00:00")
    await running.starter(*PAY, "--id", "T2")
    known = await running.starter(*PAY, "--id", "T2", *past)

    assert [new.exit, without_zone.exit] == [2, 2]
    assert "past" in new.json["reason"]
    assert (known.exit, known.json["status"], known.json["replayed"]) == (0, "settled", True)
    assert await running.balances("alice", "bob") == [75_00, 25_00]
