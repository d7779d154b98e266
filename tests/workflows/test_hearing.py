"""Callbacks: a rail's word wakes a payout, or has it looked up after its end; it is never believed by itself."""

import asyncio

import pytest
from temporalio.client import WorkflowExecutionDescription

from activities.late_words import LateAnswer, LateWord, LateWordActivities
from activities.terms import PayoutRequest
from engine.hearing import Heard, hear, late_word_workflow_id
from ledger.transfer import Status
from rails.callbacks import Spoken
from rails.rail import Rejected
from tests.support.bank import PATIENCE, Bank
from tests.workflows.test_deciding import ACCOUNTS, NOT_PAID, PAID, decided, stuck, violations
from tests.workflows.test_payout import open_clearing
from workflows.search_attributes import NEEDS_ATTENTION


async def says(bank: Bank, request: PayoutRequest, event: str, accepted: bool = True) -> Heard:
    """What the inbox does with a callback."""
    said = Spoken("bank", f"{bank.task_queue}.{event}", f"{request.transfer_id}/submit", accepted)
    return await hear(bank.client, said, bank.task_queue)


async def looked_up(bank: Bank, event: str) -> tuple[LateAnswer, WorkflowExecutionDescription]:
    """What became of a callback that came late."""
    id = late_word_workflow_id(LateWord(rail="bank", event_id=f"{bank.task_queue}.{event}", payment_key=""))
    handle = bank.client.get_workflow_handle(id, result_type=LateAnswer)
    answer = await asyncio.wait_for(handle.result(), PATIENCE)
    return answer, await handle.describe()


async def ended_by_a_decision(bank: Bank, paid: bool) -> PayoutRequest:
    """A payout whose rail was silent until the money had followed a person."""
    request = await stuck(bank)
    await decided(bank, request, PAID if paid else NOT_PAID)
    await bank.transfer(request)
    bank.rail.silent_before, bank.rail.silent = 0, False
    return request


async def test_a_callback_makes_a_payout_ask_at_once(bank: Bank) -> None:
    """The rail wanted to be left alone for longer than this test waits. Repeats leave nothing in the history."""
    await open_clearing(bank)
    request = bank.payout()
    bank.rail.silent, bank.rail.retry_after_seconds = True, 25.0
    submitted = await bank.start(request)
    await bank.attempted("submit", 1)
    await asyncio.sleep(0.5)

    heard = [await says(bank, request, "evt_1")]
    await bank.attempted("submit", 2)
    heard.append(await says(bank, request, "evt_1"))
    bank.rail.silent = False
    heard.append(await says(bank, request, "evt_2"))
    outcome = await asyncio.wait_for(bank.outcome(submitted), 20)
    heard.append(await says(bank, request, "evt_3"))

    assert heard == [Heard.WOKEN, Heard.NO_NEWS, Heard.WOKEN, Heard.NO_NEWS]
    assert outcome.status == "settled"
    assert len(bank.rail.paid) == 1
    assert await bank.balances(*ACCOUNTS) == [75_00, 25_00, 0]


async def test_a_callback_decides_nothing_by_itself(bank: Bank) -> None:
    """The rail is asked, and says otherwise, before and after the end; what is not ours is looked for in vain."""
    await open_clearing(bank)
    request = bank.payout(beneficiary="closed")
    bank.rail.silent = True
    submitted = await bank.start(request)
    await bank.attempted("submit", 1)
    await says(bank, request, "evt_1")
    bank.rail.silent = False

    assert (await bank.outcome(submitted)).status == "refunded"
    assert await says(bank, request, "evt_2") is Heard.LATE
    assert await says(bank, bank.payout("nobody"), "evt_3") is Heard.LATE
    assert [(await looked_up(bank, event))[0].contradicted for event in ("evt_2", "evt_3")] == [None, None]
    assert await bank.ledger.asked(f"{request.transfer_id}/accepted") is None
    assert await violations(bank) == []
    assert await bank.balances(*ACCOUNTS) == [100_00, 0, 0]


@pytest.mark.parametrize("paid", [True, False], ids=["settled, and not paid", "given back, and paid"])
async def test_what_a_rail_says_against_an_end_is_kept_and_somebody_is_called(bank: Bank, paid: bool) -> None:
    """It is looked up, kept once, and named by the audit; no money moves, and whoever looks finds what to do."""
    request = await ended_by_a_decision(bank, paid)
    before = await bank.balances(*ACCOUNTS)
    if paid:
        bank.rail.paid[f"{request.transfer_id}/submit"] = Rejected("no_such_payee")
    else:
        bank.rail.pays(f"{request.transfer_id}/submit")

    heard = [await says(bank, request, event, accepted=not paid) for event in ("evt_1", "evt_1", "evt_2")]
    (first, shown), (second, _) = [await looked_up(bank, event) for event in ("evt_1", "evt_2")]

    leg, word = ("rejected", "no_such_payee") if paid else ("accepted", "pay_1")
    assert (heard[0], heard[2]) == (Heard.LATE, Heard.LATE)
    assert first.contradicted == second.contradicted == f"{request.transfer_id}/{leg}: {word}"
    assert shown.typed_search_attributes.get(NEEDS_ATTENTION) is True
    assert await violations(bank) == [("contradictions", request.transfer_id)]
    assert await bank.balances(*ACCOUNTS) == before


async def test_after_retention_a_callback_is_held_against_the_books(bank: Bank) -> None:
    """Temporal has forgotten how the payout ended; what agrees with the books leaves nothing in them."""
    await open_clearing(bank)
    request = bank.payout()
    await bank.transfer(request)
    await bank.forget(request)

    heard = await says(bank, request, "evt_1")
    answer, shown = await looked_up(bank, "evt_1")

    assert (heard, answer.contradicted) == (Heard.LATE, None)
    assert shown.typed_search_attributes.get(NEEDS_ATTENTION) is not True
    assert await violations(bank) == []


async def test_a_rail_that_is_silent_when_it_is_looked_up_is_asked_again(bank: Bank) -> None:
    """Silence is no word: nothing is kept until it answers."""
    request = await ended_by_a_decision(bank, paid=False)
    bank.rail.pays(f"{request.transfer_id}/submit")
    bank.rail.silent = True

    assert await says(bank, request, "evt_1") is Heard.LATE
    await bank.attempted("look_after_all", 2)
    kept = await bank.ledger.asked(f"{request.transfer_id}/accepted")
    bank.rail.silent = False
    answer, _ = await looked_up(bank, "evt_1")

    assert kept is None
    assert answer.contradicted == f"{request.transfer_id}/accepted: pay_1"


async def test_what_a_rail_has_said_and_does_not_show_yet_is_looked_for_until_it_does(bank: Bank) -> None:
    """Its list may lag behind its word, which comes once. A rail whose look-ups miss nothing is taken at that."""
    request = await ended_by_a_decision(bank, paid=False)
    word = LateWord(rail="bank", event_id="evt_0", payment_key=f"{request.transfer_id}/submit", accepted=True)
    look_up = LateWordActivities(bank.ledger, {"bank": bank.rail}).look_after_all

    assert await says(bank, request, "evt_1") is Heard.LATE
    await bank.attempted("look_after_all", 2)
    of_no_use = [word.model_copy(update={"accepted": said}) for said in (False, None)]
    unmoved = [await look_up(each) for each in of_no_use]
    bank.rail.look_up_misses_nothing = True
    unmoved.append(await look_up(word))
    bank.rail.look_up_misses_nothing = False
    bank.rail.pays(f"{request.transfer_id}/submit")
    answer, _ = await looked_up(bank, "evt_1")

    assert unmoved == [LateAnswer()] * 3
    assert answer.contradicted == f"{request.transfer_id}/accepted: pay_1"
    assert await violations(bank) == [("contradictions", request.transfer_id)]


async def test_a_rail_that_speaks_of_a_recalled_payout_was_never_asked(bank: Bank) -> None:
    """Nothing of it is kept: there is no payment that it could be about."""
    await open_clearing(bank)
    request = bank.payout()
    gate = bank.gates.close("debit_on_terms", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()
    assert (await bank.outcome(submitted)).status == Status.REFUNDED

    assert await says(bank, request, "evt_1") is Heard.LATE

    assert (await looked_up(bank, "evt_1"))[0].contradicted is None
    assert bank.rail.look_ups == []
    assert await violations(bank) == []
