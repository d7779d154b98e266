"""A person decides about a payout whose rail is silent for good: once, not too early, and below the rail's word."""

import asyncio
import time

import pytest

from activities.decisions import PayoutDecision
from activities.terms import PayoutRequest
from engine.approving import Refused
from engine.deciding import decide_payout
from ledger import payouts
from ledger.audit import audit
from ledger.keys import Leg, operation_key
from ledger.operation import OpenAccount
from ledger.transfer import Status
from tests.support.bank import PATIENCE, Bank
from workflows.payout import DECIDED, REJECTED

ACCOUNTS = ("alice", "bank:USD", "transit:USD")
PAID = PayoutDecision(decided="paid", by="carol", evidence="pay_77")
NOT_PAID = PayoutDecision(decided="not_paid", by="carol", evidence="the bank's letter of 3 May")


async def stuck(bank: Bank, window_seconds: float = 1.0) -> PayoutRequest:
    """A payout that the rail has been asked for, of which it says nothing; its key is forgotten soon."""
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))
    bank.rail.key_window_seconds, bank.rail.look_up_misses_nothing = window_seconds, False
    bank.rail.silent_before, bank.rail.silent = 1000, True
    request = bank.payout()
    await bank.start(request)
    await bank.attempted("submit", 1)
    if window_seconds <= 1:
        async with asyncio.timeout(PATIENCE):
            while (
                recorded_at := await bank.ledger.recorded_at(operation_key(request.transfer_id, Leg.SUBMIT))
            ) is None:
                await asyncio.sleep(0.02)
        await asyncio.sleep(max(0.0, recorded_at / 1_000_000 + window_seconds + 0.1 - time.time()))
    return request


async def decided(bank: Bank, request: PayoutRequest, decision: PayoutDecision) -> None:
    """What the starter's command sends."""
    assert await decide_payout(bank.submitter, request.transfer_id, decision, PATIENCE)


async def violations(bank: Bank) -> list[tuple[str, str]]:
    """What the audit names, and about what."""
    return [(found.check, found.subject) for found in (await audit(bank.ledger)).violations]


async def test_what_a_person_says_is_paid_is_settled(bank: Bank) -> None:
    """Who said so, and on which evidence, is in the books; nothing was submitted after it."""
    request = await stuck(bank)
    submits = len(bank.rail.submits)

    await decided(bank, request, PAID)
    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]
    kept = await bank.ledger.asked(operation_key(request.transfer_id, Leg.DECISION))
    assert kept is not None
    assert kept.differences(request.as_transfer().content() | PAID.as_decision().content()) == []
    assert len(bank.rail.submits) == submits
    assert await violations(bank) == []


async def test_what_a_person_says_is_not_paid_is_given_back(bank: Bank) -> None:
    """With the person and the evidence as the reason. The same decision again is answered as before."""
    request = await stuck(bank)

    await asyncio.gather(decided(bank, request, NOT_PAID), decided(bank, request, NOT_PAID))
    outcome = await bank.transfer(request)

    assert (outcome.status, outcome.reason) == ("refunded", DECIDED)
    assert outcome.detail == "carol: the bank's letter of 3 May"
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]
    assert await violations(bank) == []


async def test_nobody_decides_while_the_rail_knows_its_key(bank: Bank) -> None:
    """Until then asking again is safe, and only the rail's own word counts."""
    request = await stuck(bank, window_seconds=24 * 3600.0)

    with pytest.raises(Refused, match="keeps its key until"):
        await decided(bank, request, NOT_PAID)
    bank.rail.silent_before, bank.rail.silent = 0, False

    assert (await bank.transfer(request)).status == "settled"
    assert await bank.ledger.asked(operation_key(request.transfer_id, Leg.DECISION)) is None


async def test_a_second_person_cannot_decide_otherwise(bank: Bank) -> None:
    """The first decision stands, in this run and in any other one."""
    request = await stuck(bank)
    await decided(bank, request, PAID)

    with pytest.raises(Refused, match=r"decided otherwise|has ended"):
        await decided(bank, request, NOT_PAID)

    assert (await bank.transfer(request)).status == "settled"


async def test_a_decision_outlives_the_run_that_took_it(bank: Bank) -> None:
    """It is in the books when the workflow is terminated; the next run finds it, and asks the rail for nothing."""
    request = await stuck(bank)
    gate = bank.gates.close("decide", before=False)
    deciding = asyncio.create_task(decide_payout(bank.submitter, request.transfer_id, NOT_PAID, PATIENCE))
    await gate.reached.wait()
    await bank.terminate(request)
    gate.open.set()
    await asyncio.gather(deciding, return_exceptions=True)
    bank.rail.silent_before = 0  # it would pay, if it were asked

    await bank.sweep()
    await bank.reaches(request, Status.REFUNDED)

    assert bank.rail.paid == {}
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


async def test_what_the_rail_says_after_all_stands_above_a_decision(bank: Bank) -> None:
    """It was asked once more before the money went back: it has paid. Both are kept, and the books are the rail's."""
    request = await stuck(bank)
    gate = bank.gates.close("submit", before=True)
    await decided(bank, request, NOT_PAID)
    await gate.reached.wait()
    bank.rail.silent_before, bank.rail.silent = 0, False
    bank.rail.pays(f"{request.transfer_id}/submit")
    gate.open.set()

    outcome = await bank.transfer(request)

    assert outcome.status == "settled"
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]
    assert await bank.ledger.asked(f"{request.transfer_id}/accepted") is not None
    assert await violations(bank) == []


async def test_a_rail_that_denies_what_was_decided_to_be_paid_is_believed(bank: Bank) -> None:
    """The money goes back for the rail's own reason, and the decision stays in the books."""
    request = await stuck(bank)
    gate = bank.gates.close("submit", before=True)
    await decided(bank, request, PAID)
    await gate.reached.wait()
    bank.rail.silent_before, bank.rail.silent, bank.rail.look_up_misses_nothing = 0, False, True
    gate.open.set()

    outcome = await bank.transfer(request)

    assert (outcome.status, outcome.reason) == ("refunded", REJECTED)
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]
    assert await bank.ledger.asked(f"{request.transfer_id}/rejected") is not None


async def test_a_request_on_its_way_is_waited_for_before_the_money_goes_back(bank: Bank) -> None:
    """An attempt that knew of no decision may still be about to ask. The last look comes after it is invalid."""
    request = await stuck(bank)
    bank.rail.key_window_seconds = 4.0  # 2 s on its way
    await asyncio.sleep(3)
    before = len(bank.rail.look_ups)
    await decided(bank, request, NOT_PAID)
    recorded_at = await bank.ledger.recorded_at(f"{request.transfer_id}/decision")

    outcome = await bank.transfer(request)

    ended_at = await bank.ledger.recorded_at(f"{request.transfer_id}/refund")
    assert outcome.status == "refunded"
    assert (ended_at or 0) - (recorded_at or 0) >= 2_000_000
    assert len(bank.rail.look_ups) > before


async def test_the_audit_names_a_contradiction_until_it_is_corrected(bank: Bank) -> None:
    """The rail says later that it has paid what was given back: the books say so until the money is taken again."""
    request = await stuck(bank)
    await decided(bank, request, NOT_PAID)
    await bank.transfer(request)
    await bank.ledger.apply(payouts.contradiction(request.as_transfer(), accepted=True, word="pay_1"))

    named = await violations(bank)
    correction = bank.request("P1.correction", destination="bank:USD")
    await bank.transfer(correction)

    assert named == [("contradictions", request.transfer_id)]
    assert await violations(bank) == []
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]
