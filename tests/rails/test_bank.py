"""The bank's rail against the real simulated bank: whatever it does to its answers, one key is one payment."""

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from rails.bank import BankRail
from rails.rail import Accepted, KeyTooOld, NoAnswer, NotKnown, Payment, Rejected, pay
from tests.support.outside_bank import OutsideBank, outside_bank


def payment(key: str = "P1/submit", beneficiary: str = "acct-1", asked_seconds_ago: float = 0) -> Payment:
    """25.00 USD to somebody, first asked for a while ago."""
    return Payment(key, 25_00, "USD", beneficiary, first_asked_at=time.time() - asked_seconds_ago)


async def statuses(outside: OutsideBank) -> list[str]:
    """How every payment that the bank knows ended."""
    return [payment["status"] for payment in await outside.payments()]


async def test_the_same_key_pays_once(outside: OutsideBank, rail: BankRail) -> None:
    """
    Ten submits at once are one payment, and all of them are told the same.
    """
    answers = await asyncio.gather(*(pay(rail, payment()) for _ in range(10)))

    assert set(answers) == {Accepted("pay_1")}
    assert await statuses(outside) == ["accepted"]


async def test_a_rejection_is_remembered_under_its_key(outside: OutsideBank, rail: BankRail) -> None:
    """
    Asked again, the bank answers the same, and a look-up says so, too.
    """
    first = await pay(rail, payment(beneficiary="closed-1"))

    assert first == Rejected("account_closed", "closed-1 has closed its account")
    assert await pay(rail, payment(beneficiary="closed-1")) == first
    assert await rail.look_up(payment()) == first


@pytest.mark.parametrize(
    "fault", [{"drops_answer": 1}, {"fails_after_acting": 1}, {"slow": 1}], ids=["dropped", "failed", "slow"]
)
async def test_an_answer_that_is_lost_is_looked_up(outside: OutsideBank, rail: BankRail, fault: dict[str, Any]) -> None:
    """
    The bank has paid and did not say so. The look-up by key does.
    """
    await outside.misbehave(**fault)

    assert await pay(rail, payment()) == Accepted("pay_1")
    assert await statuses(outside) == ["accepted"]


async def test_a_failure_before_the_bank_acts_decides_nothing(outside: OutsideBank, rail: BankRail) -> None:
    """
    It is no rejection: the same key is asked again, and pays.
    """
    await outside.misbehave(fails_before_acting=1)

    with pytest.raises(NoAnswer, match="500"):
        await pay(rail, payment())
    assert await statuses(outside) == []
    assert await pay(rail, payment()) == Accepted("pay_1")


async def test_a_bank_that_is_busy_says_for_how_long(outside: OutsideBank, rail: BankRail) -> None:
    """
    It is left alone for as long as it asks: not even a look-up comes in between.
    """
    await outside.misbehave(too_many=1, retry_after_seconds=7)

    with pytest.raises(NoAnswer) as silence:
        await pay(rail, payment())
    assert silence.value.retry_after_seconds == 7


async def test_a_bank_that_is_killed_in_the_middle_has_paid_once(outside: OutsideBank, rail: BankRail) -> None:
    """
    It was killed after it had written the payment and before it answered. It remembers, and is asked again.
    """
    await outside.misbehave(slow=1, slow_seconds=60)
    asking = asyncio.create_task(pay(rail, payment()))
    while not await outside.payments():
        await asyncio.sleep(0.01)
    await outside.kill()

    with pytest.raises(NoAnswer):
        await asking
    await outside.start()
    assert await pay(rail, payment()) == Accepted("pay_1")
    assert await statuses(outside) == ["accepted"]


async def test_another_payment_under_the_same_key_is_no_answer(outside: OutsideBank, rail: BankRail) -> None:
    """
    Neither paid nor rejected: somebody has to look why a key means two things.
    """
    await pay(rail, payment())

    response = await outside.client.post(
        f"{outside.url}/payments",
        json={"amount_minor": 1, "currency": "USD", "beneficiary": "acct-1"},
        headers={"idempotency-key": "P1/submit"},
    )
    assert response.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert len(await outside.payments()) == 1


async def test_a_request_that_was_held_up_is_refused(outside: OutsideBank, rail: BankRail) -> None:
    """
    A process that was frozen with its request in hand sends it after its time: the bank does not carry it out.
    """
    late = Payment("P1/submit", 25_00, "USD", "acct-1", time.time(), valid_until=time.time() - 1)

    with pytest.raises(NoAnswer, match="410"):
        await rail.submit(late)
    assert await outside.payments() == []


class TestKeyWindow:
    """What is done when the bank may have forgotten the key."""

    async def test_a_forgotten_key_is_looked_up_and_not_submitted(self, tmp_path: Path) -> None:
        """
        The bank's keys live for a moment only; it would pay again. It is asked what it did instead.
        """
        async with outside_bank(tmp_path, "--key-window", "0.2") as outside:
            rail = BankRail(outside.url, key_window_seconds=0.2)
            await rail.submit(payment())
            await asyncio.sleep(0.4)

            answer = await pay(rail, payment(asked_seconds_ago=0.4))

            assert answer == Accepted("pay_1")
            assert await statuses(outside) == ["accepted"]
            await rail.submit(payment())  # what would have happened
            assert await statuses(outside) == ["accepted", "accepted"]
            await rail.aclose()

    async def test_a_payment_that_never_arrived_is_made_after_the_window(
        self, outside: OutsideBank, rail: BankRail
    ) -> None:
        """
        No worker ran for longer than keys live. The bank says that it never heard of it, and it misses nothing.
        """
        assert await pay(rail, payment(asked_seconds_ago=7 * 86400)) == Accepted("pay_1")

    async def test_a_rail_that_may_miss_something_is_left_to_a_person(self, outside: OutsideBank) -> None:
        """
        "Not found" by such a rail is no evidence: neither paid again, nor given back.
        """
        rail = BankRail(outside.url)
        rail.look_up_misses_nothing = False

        assert await rail.look_up(payment()) == NotKnown()
        with pytest.raises(KeyTooOld):
            await pay(rail, payment(asked_seconds_ago=7 * 86400))
        assert await outside.payments() == []
        await rail.aclose()
