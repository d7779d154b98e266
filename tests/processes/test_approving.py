"""approve and deny, as people and scripts meet them."""

from tests.support.databases import only_sqlite
from tests.support.processes import Folder

WHAT = ("--from", "alice", "--to", "bob", "--amount", "25.00", "--json")


async def guard(running: Folder, approvals: int = 2) -> None:
    """More than 10.00 of Alice's at once takes so many approvals."""
    said = await running.starter("set-limits", "alice", "--approval-above", "10.00", "--approvals", str(approvals))
    assert said.exit == 0, said


async def test_a_transfer_above_the_threshold_waits_until_it_is_approved(running: Folder) -> None:
    """
    0 and `awaiting_approval` at once, and again; each person counts once; then it settles, and everybody is told.
    """
    await guard(running)
    ask = ("transfer", "--id", "T1", *WHAT, "--initiator", "ines")
    first, again = await running.starter(*ask), await running.starter(*ask)
    bea = await running.starter("approve", "T1", "--by", "bea", *WHAT)
    twice = await running.starter("approve", "T1", "--by", "bea", *WHAT)
    waiting = await running.starter("status", "T1", "--json")
    before = await running.balances("alice", "bob")
    carl = await running.starter("approve", "T1", "--by", "carl", *WHAT)
    await running.reaches("T1", "settled")
    late = await running.starter("approve", "T1", "--by", "bea", *WHAT)
    outcome = await running.starter(*ask)
    explained = await running.starter("explain", "T1", "--json")

    for said in (first, again, waiting):
        assert (said.exit, said.json["status"], said.json.get("iso20022_status")) == (0, "awaiting_approval", "PDNG")
    assert [(s.exit, s.json["approved_by"], s.json["missing"], s.json["replayed"]) for s in (bea, twice, carl)] == [
        (0, ["bea"], 1, False), (0, ["bea"], 1, True), (0, ["bea", "carl"], 0, False),
    ]  # fmt: skip  # one answer beside the other
    assert before == [100_00, 0]
    assert (late.exit, late.json["status"]) == (0, "settled")
    assert (outcome.exit, outcome.json["status"], outcome.json["replayed"]) == (0, "settled", True)
    assert {line["key"] for line in explained.json["timeline"]} >= {"T1/approval/bea", "T1/approval/carl", "T1/debit"}
    assert explained.json["verdict"] == "moved_once"
    assert await running.balances("alice", "bob") == [75_00, 25_00]


@only_sqlite
async def test_a_denied_transfer_moves_nothing_and_can_be_asked_about(running: Folder) -> None:
    """
    3 and the reason, for who denies, who approves too late, and who asks again.
    """
    await guard(running)
    ask = ("transfer", "--id", "T1", *WHAT)
    await running.starter(*ask)
    denied = await running.starter("deny", "T1", "--by", "bea", "--reason", "who is bob?", "--json")
    late = await running.starter("approve", "T1", "--by", "carl", *WHAT)
    again = await running.starter(*ask)
    unknown = await running.starter("deny", "T9", "--by", "bea", "--reason", "no", "--json")

    for said in (denied, late, again):
        assert (said.exit, said.json["status"], said.json["reason"]) == (3, "cancelled", "denied")
        assert said.json["detail"] == "denied by bea: who is bob?"
    assert (unknown.exit, unknown.json["reason"]) == (3, "transfer_not_found")
    assert await running.balances("alice", "bob") == [100_00, 0]


@only_sqlite
async def test_who_may_not_approve_is_told_why(running: Folder) -> None:
    """
    3 for the initiator and for another amount than is asked for; 2 for what can never be; `cancel` ends the waiting.
    """
    await guard(running)
    await running.starter("transfer", "--id", "T1", *WHAT, "--initiator", "ines")
    own = await running.starter("approve", "T1", "--by", "ines", *WHAT)
    edited = await running.starter("approve", "T1", "--by", "bea", *WHAT[:-2], "26.00", "--json")
    nameless = await running.starter("approve", "T1", "--by", "no name", *WHAT)
    cancelled = await running.starter("cancel", "T1", "--json")

    assert [(said.exit, said.json["reason"]) for said in (own, edited)] == [(3, "approval_refused")] * 2
    assert "cannot approve" in own.json["detail"]
    assert "amount_minor: 2500 -> 2600" in edited.json["detail"]
    assert nameless.exit == 2
    assert (cancelled.exit, cancelled.json["cancel"]) == (3, "cancelled")
    assert await running.balances("alice", "bob") == [100_00, 0]


@only_sqlite
async def test_an_approval_expires(running: Folder) -> None:
    """
    3 and `approval_expired`, for the same command again.
    """
    await guard(running)
    ask = ("transfer", "--id", "T1", *WHAT, "--expires-in", "0.0005")
    await running.starter(*ask)
    await running.reaches("T1", "cancelled")

    again = await running.starter(*ask)

    assert (again.exit, again.json["reason"]) == (3, "approval_expired")


@only_sqlite
async def test_books_that_the_starter_cannot_read_let_nobody_be_refused_for_good(running: Folder) -> None:
    """
    Whether people must be asked is then for the worker to see: one transfer waits for them, the other settles.
    """
    await guard(running)
    reached = dict(running.more)
    running.more["LEDGER_DATABASE_URL"] = "postgresql://nobody@127.0.0.1:1/nothing"  # nobody listens there
    waits = await running.starter("transfer", "--id", "T1", *WHAT, "--initiator", "ines")
    small = await running.starter("transfer", "--id", "T2", *WHAT[:5], "9.00", "--json", "--initiator", "ines")
    running.more.clear()
    running.more.update(reached)

    assert (waits.exit, waits.json["status"]) == (0, "awaiting_approval")
    assert (small.exit, small.json["status"]) == (0, "settled")
    assert await running.balances("alice", "bob") == [91_00, 9_00]
