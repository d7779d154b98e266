"""hold, capture and void as scripts meet them: exit status, one JSON object, and balances."""

from tests.support.databases import only_sqlite
from tests.support.processes import Folder

HOLD = ("hold", "--from", "alice", "--to", "bob", "--amount", "25.00", "--expires", "2999-01-01T00:00:00Z", "--json")


@only_sqlite
async def test_a_hold_is_captured_in_part_and_every_command_can_be_repeated(running: Folder) -> None:
    """
    0 for the hold and its capture, again and again; 4 for a capture of another amount.
    """
    first, again = await running.starter(*HOLD, "--id", "H1"), await running.starter(*HOLD, "--id", "H1")
    held = await running.starter("balance", "alice", "--json")
    shown = await running.starter("balance", "alice")
    captured = await running.starter("capture", "H1", "--amount", "20.00", "--json")
    repeated = await running.starter("capture", "H1", "--amount", "20.00", "--json")
    other = await running.starter("capture", "H1", "--json")
    late = await running.starter("void", "H1", "--json")
    after = await running.starter(*HOLD, "--id", "H1")

    assert [(said.exit, said.json["status"]) for said in (first, again)] == [(0, "debited")] * 2
    assert [held.json[name] for name in ("balance_minor", "held_minor", "posted_minor")] == [75_00, 25_00, 100_00]
    assert "25.00 USD more is held, 100.00 USD with it" in shown.output
    assert captured.json == repeated.json
    assert (captured.exit, captured.json["decision"], captured.json["captured_minor"]) == (0, "captured", 20_00)
    assert (other.exit, other.json["status"], other.json["detail"]) == (4, "key_reused", "captured_minor: 2000 -> 2500")
    assert (late.exit, late.json["decision"]) == (0, "too_late")
    assert (after.exit, after.json["replayed"], after.json["captured_minor"]) == (0, True, 20_00)
    assert await running.balances("alice", "bob") == [80_00, 20_00]


@only_sqlite
async def test_a_hold_is_voided_and_bad_requests_are_told_apart(running: Folder) -> None:
    """
    3 for a void as for any refund; 2 for what could never be; 3 for a hold that nobody knows or cannot pay.
    """
    await running.starter(*HOLD, "--id", "H1")
    too_much = await running.starter("capture", "H1", "--amount", "25.01", "--json")
    voided = await running.starter("void", "H1", "--reason", "left early", "--json")
    late = await running.starter("capture", "H1", "--json")
    past = await running.starter(*HOLD[:-2], "2020-01-01T00:00:00Z", "--id", "H2", "--json")
    poor = await running.starter(*HOLD, "--id", "H3", "--amount", "1000.00")
    unknown = await running.starter("capture", "H9", "--json")
    await running.starter("transfer", "--id", "T1", "--from", "alice", "--to", "bob", "--amount", "1.00")
    no_hold = await running.starter("capture", "T1", "--json")

    assert [said.exit for said in (too_much, voided, late, past, poor, unknown, no_hold)] == [2, 3, 3, 2, 3, 3, 2]
    assert (voided.json["decision"], voided.json["detail"]) == ("voided", "left early")
    assert (late.json["decision"], late.json["status"]) == ("too_late", "refunded")
    assert (poor.json["status"], poor.json["reason"]) == ("rejected", "insufficient_funds")
    assert await running.balances("alice", "bob") == [99_00, 1_00]
    assert (await running.audit())["ok"]
