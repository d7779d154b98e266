"""set-limits, as scripts meet it."""

from tests.support.databases import only_sqlite
from tests.support.processes import Folder

PAY = ("transfer", "--from", "alice", "--to", "bob", "--json")
SET = ("set-limits", "alice", "--json")


@only_sqlite
async def test_limits_are_set_shown_held_and_taken_away(running: Folder) -> None:
    """
    0 for a setting, now or before; 3 and `limit_exceeded` for a transfer beyond; `balance` shows what holds.
    """
    both = (*SET, "--per-transfer", "30.00", "--per-day", "50.00")
    first, again = await running.starter(*both), await running.starter(*both)
    shown = await running.starter("balance", "alice", "--json")
    at_once = await running.starter(*PAY, "--id", "T1", "--amount", "30.01")
    paid = await running.starter(*PAY, "--id", "T2", "--amount", "30.00")
    in_a_day = await running.starter(*PAY, "--id", "T3", "--amount", "20.01")
    gone = await running.starter(*SET, "--per-day", "none")
    after = await running.starter(*PAY, "--id", "T4", "--amount", "20.01")
    left = await running.starter("balance", "alice", "--json")

    assert [(said.exit, said.json["replayed"]) for said in (first, again)] == [(0, False), (0, True)]
    assert (shown.json["per_transfer_minor"], shown.json["per_day_minor"]) == (30_00, 50_00)
    assert [(said.exit, said.json["reason"]) for said in (at_once, in_a_day)] == [(3, "limit_exceeded")] * 2
    assert "of which 20.00 USD is left" in in_a_day.json["detail"]
    assert [said.exit for said in (paid, gone, after)] == [0, 0, 0]
    assert (left.json["per_transfer_minor"], left.json["per_day_minor"]) == (30_00, None)
    assert await running.balances("alice", "bob") == [49_99, 50_01]


@only_sqlite
async def test_limits_that_cannot_be_set_are_refused(running: Folder) -> None:
    """
    2 for what makes no sense, 3 for an account that is not there or is in another currency.
    """
    said = [
        await running.starter(*SET),
        await running.starter(*SET, "--per-day", "0"),
        await running.starter(*SET, "--per-day", "lots"),
        await running.starter(*SET, "--approvals", "2"),
        await running.starter("set-limits", "nobody", "--per-day", "5", "--json"),
        await running.starter(*SET, "--per-day", "5", "--currency", "EUR"),
    ]

    assert [each.exit for each in said] == [2, 2, 2, 2, 3, 3]
    assert [each.json["reason"] for each in said[4:]] == ["account_not_found", "currency_mismatch"]
