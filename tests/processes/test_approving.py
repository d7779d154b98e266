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


async def test_a_hold_and_a_split_wait_for_who_approves_of_what_status_shows(running: Folder) -> None:
    """
    0 and `awaiting_approval`; the text that `status` shows is approved; another one is refused with what differs.
    """
    await guard(running, approvals=1)
    hold = ("hold", "--id", "H1", *WHAT, "--expires", "2099-01-01", "--initiator", "ines")
    split = ("split", "--id", "S1", "--from", "alice", "--amount", "20.00", "--to", "bob=rest", "--json")
    first = [await running.starter(*asked) for asked in (hold, split)]
    shown = [await running.starter("status", id, "--json") for id in ("H1", "S1")]
    waiting = [await running.starter("explain", id, "--json") for id in ("H1", "S1")]
    edited = await running.starter("approve", "H1", "--by", "bea", *WHAT)
    other = await running.starter("approve", "S1", "--by", "bea", "--asked", shown[0].json["asked"], "--json")
    before = await running.balances("alice", "bob")
    approved = [
        await running.starter("approve", said.json.get("transfer_id") or said.json["id"], "--by", "bea", "--asked",
                              said.json["asked"], "--json")
        for said in shown
    ]  # fmt: skip  # one command
    await running.reaches("H1", "debited")
    captured = await running.starter("capture", "H1", "--amount", "15.00", "--json")
    paid = await running.starter(*split)
    explained = await running.starter("explain", "S1", "--json")

    assert [(said.exit, said.json["status"]) for said in (*first, *shown, *waiting)] == [(0, "awaiting_approval")] * 6
    assert (edited.exit, edited.json["reason"]) == (3, "approval_refused")
    assert "expires_at: 4070908800000000 -> None" in edited.json["detail"]
    assert (other.exit, other.json["id"], other.json["kind"]) == (3, "S1", "split")
    assert "amount_minor: 2000 -> 2500" in other.json["detail"]
    assert before == [100_00, 0]
    assert [(said.exit, said.json["approved_by"], said.json["missing"]) for said in approved] == [(0, ["bea"], 0)] * 2
    assert (captured.exit, captured.json["status"], captured.json["captured_minor"]) == (0, "settled", 15_00)
    assert (paid.exit, paid.json["status"]) == (0, "settled")
    assert {line["key"] for line in explained.json["timeline"]} >= {"S1/split/approval/bea", "S1/split"}
    assert "goes on as Entry" in [line["what"] for line in explained.json["timeline"]]
    assert (explained.json["status"], explained.json["verdict"]) == ("settled", "moved_once")
    assert await running.balances("alice", "bob") == [65_00, 35_00]
    assert (await running.audit())["ok"]


@only_sqlite
async def test_the_last_approval_is_safe_to_repeat(running: Folder) -> None:
    """
    The hold knows of no approvals: the books answer, 0 and the same; 4 for another amount; whoever else speaks is late.
    """
    await guard(running, approvals=1)
    await running.starter("hold", "--id", "H1", *WHAT, "--expires", "2099-01-01", "--initiator", "ines")
    asked = (await running.starter("status", "H1", "--json")).json["asked"]
    approve = ("approve", "H1", "--by", "bea", "--json", "--asked")
    first = await running.starter(*approve, asked)
    await running.reaches("H1", "debited")
    again = await running.starter(*approve, asked)
    other = await running.starter(*approve, asked.replace("2500", "2600"))
    late = await running.starter("approve", "H1", "--by", "carl", "--json", "--asked", asked)
    denied = await running.starter("deny", "H1", "--by", "carl", "--reason", "no", "--json")

    assert [(said.exit, said.json["approved_by"], said.json["replayed"]) for said in (first, again)] == [
        (0, ["bea"], False), (0, ["bea"], True),
    ]  # fmt: skip  # one answer beside the other
    assert (other.exit, other.json["status"]) == (4, "key_reused")
    assert other.json["detail"] == "amount_minor: 2500 -> 2600"
    assert [(said.exit, said.json["reason"]) for said in (late, denied)] == [(3, "approval_refused")] * 2
    assert late.json["detail"] == denied.json["detail"] == "carl comes too late: it does not wait for people any more"
    assert await running.balances("alice", "bob") == [75_00, 0]


@only_sqlite
async def test_a_payout_and_an_exchange_that_are_denied_or_called_off_move_nothing(running: Folder) -> None:
    """
    3 and the reason; what would say two things, or nothing that can be read, is 2.
    """
    await guard(running)
    pays = ("--from", "alice", "--amount", "25.00", "--currency", "USD", "--json")
    payout = ("payout", "--id", "P1", *pays, "--rail", "bank", "--beneficiary", "acct-1")
    quote = ("--into", "EUR", "--quote", "Q1", "--rate", "0.9", "--expires", "2099-01-01", "--to", "bob")
    exchanges = [("exchange", "--id", id, *pays, *quote) for id in ("X1", "X2")]
    waiting = [await running.starter(*asked) for asked in (payout, *exchanges)]
    denied = [await running.starter("deny", id, "--by", "bea", "--reason", "no", "--json") for id in ("P1", "X1")]
    called_off = await running.starter("cancel", "X2", "--json")
    again = [await running.starter(*asked) for asked in (payout, *exchanges)]
    unread = await running.starter("approve", "P1", "--by", "bea", "--asked", "nothing", "--json")
    twice = await running.starter("approve", "P1", "--by", "bea", *WHAT, "--asked", "{}")

    assert [(said.exit, said.json["status"]) for said in waiting] == [(0, "awaiting_approval")] * 3
    assert [(said.exit, said.json["status"], said.json["reason"]) for said in denied] == [
        (3, "cancelled", "denied")
    ] * 2
    assert (called_off.exit, called_off.json["cancel"]) == (3, "cancelled")
    assert [(said.exit, said.json["reason"]) for said in again] == [(3, "denied"), (3, "denied"), (3, "cancelled")]
    assert (unread.exit, twice.exit) == (2, 2)
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
