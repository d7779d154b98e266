"""Limits through their workflow, and transfers against them."""

import asyncio

import pytest
from pydantic import ValidationError

from activities.limits import LimitChange
from engine.limits import set_limits
from ledger.limits import NONE, Limits, SetLimits
from tests.support.bank import PATIENCE, Bank
from tests.support.databases import both_databases, only_sqlite


async def test_a_transfer_beyond_a_limit_is_rejected_and_told_so_again(bank: Bank) -> None:
    """
    Pinned: also when the limit is gone, after a reset, and when Temporal has forgotten it.
    """
    asked = LimitChange(account_id="alice", currency="USD", per_day_minor=30_00)
    first, again = [await set_limits(bank.submitter, asked, PATIENCE) for _ in range(2)]
    within, beyond = bank.request("within"), bank.request("beyond")
    outcomes = [await bank.transfer(request) for request in (within, beyond)]
    gone = await set_limits(bank.submitter, asked.model_copy(update={"per_day_minor": NONE}), PATIENCE)
    after_a_reset = await bank.outcome(await bank.reset(beyond))
    await bank.forget(beyond)
    forgotten = await bank.transfer(beyond)

    assert [(answer.applied, answer.replayed) for answer in (first, again, gone)] == [
        (True, False), (True, True), (True, False),
    ]  # fmt: skip  # one answer beside the other
    assert [(outcome.status, outcome.reason) for outcome in outcomes] == [
        ("settled", None), ("rejected", "limit_exceeded"),
    ]  # fmt: skip  # one outcome beside the other
    for outcome in (after_a_reset, forgotten):
        assert (outcome.status, outcome.reason, outcome.replayed) == ("rejected", "limit_exceeded", True)
    assert await bank.balances() == [75_00, 25_00, 0]


@both_databases
async def test_of_two_transfers_at_once_only_one_fits(bank: Bank) -> None:
    """
    Whichever debit is first uses the limit up; the other is rejected, and both callers know.
    """
    await bank.ledger.apply(SetLimits("alice", "USD", per_day_minor=40_00))

    outcomes = await asyncio.gather(*(bank.transfer(bank.request(name)) for name in ("one", "other")))

    assert sorted(outcome.status for outcome in outcomes) == ["rejected", "settled"]
    assert await bank.balances() == [75_00, 25_00, 0]


@only_sqlite
async def test_whoever_was_overtaken_looks_again(bank: Bank) -> None:
    """
    Somebody else took the number in between with another limit; both are set, because each names its own.
    """
    gate = bank.gates.close("set_limits", before=True)
    asked = LimitChange(account_id="alice", currency="USD", per_day_minor=1)
    setting = asyncio.create_task(set_limits(bank.submitter, asked, PATIENCE))
    await gate.reached.wait()
    await bank.ledger.apply(SetLimits("alice", "USD", per_transfer_minor=2, number=1))
    gate.open.set()
    outcome = await setting
    account = await bank.ledger.account("alice")

    assert (outcome.applied, outcome.replayed) == (True, False)
    assert account is not None
    assert account.limits == Limits(per_transfer_minor=2, per_day_minor=1)


@pytest.mark.parametrize("wrong", [{}, {"per_day_minor": 1.0}, {"per_day_minor": "some"}, {"approvals": 2}])
def test_a_change_that_could_never_be_made_is_refused(wrong: dict[str, object]) -> None:
    """
    Before it is sent anywhere.
    """
    with pytest.raises(ValidationError):
        LimitChange.model_validate({"account_id": "alice", "currency": "USD"} | wrong)
