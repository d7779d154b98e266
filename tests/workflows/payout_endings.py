"""Every ending a payout can have, and a return: stories like those of `endings.py`."""

import asyncio

from activities.decisions import PayoutDecision
from activities.late_words import LateWord
from activities.payouts import ReturnRequest
from activities.terms import PayoutRequest
from engine.deciding import decide_payout
from engine.hearing import hear, late_word_workflow_id
from engine.returns import hand_in, return_workflow_id
from engine.submitting import workflow_id
from ledger.operation import OpenAccount
from rails.callbacks import Spoken
from tests.support.bank import PATIENCE, Bank


async def paid_out(bank: Bank) -> str:
    """Debit, submit, credit, notify."""
    return await _to_its_end(bank, bank.payout("paid-out"))


async def rejected_by_the_rail(bank: Bank) -> str:
    """The rail would not pay; the money comes back."""
    return await _to_its_end(bank, bank.payout("rail-rejected", beneficiary="closed"))


async def payout_recalled(bank: Bank) -> str:
    """A cancel between the debit's commit and its answer: the rail is never asked."""
    await _open(bank)
    request = bank.payout("recalled")
    gate = bank.gates.close("debit_on_terms", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


async def payout_cancelled_too_late(bank: Bank) -> str:
    """A cancel while the rail is silent: it is asked until it answers."""
    await _open(bank)
    request = bank.payout("late-cancel")
    bank.rail.silent = True
    before = bank.gates.attempts.get("submit", 0)
    submitted = await bank.start(request)
    await bank.attempted("submit", before + 2)
    await bank.cancel(request)
    await bank.attempted("submit", before + 3)
    bank.rail.silent = False
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


async def payout_cancelled_in_its_second_run(bank: Bank) -> str:
    """The first run has submitted it and was terminated; the recall of the second finds that."""
    await _open(bank)
    request = bank.payout("second-run")
    bank.rail.silent = True
    before = bank.gates.attempts.get("submit", 0)
    await bank.start(request)
    await bank.attempted("submit", before + 1)
    await bank.terminate(request)
    gate = bank.gates.close("debit_on_terms", before=False)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.cancel(request)
    gate.open.set()
    bank.rail.silent = False
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


async def payout_returned(bank: Bank) -> str:
    """The rail gives a settled payout back."""
    request = bank.payout("returned")
    await _to_its_end(bank, request)
    return await _returned(bank, request.transfer_id)


async def return_of_nothing(bank: Bank) -> str:
    """The rail gives back what the books know nothing of: an operator has to look."""
    return await _returned(bank, f"{bank.task_queue}.nothing")


async def payout_decided_paid(bank: Bank) -> str:
    """The rail is silent beyond its key's life; a person says that it has paid."""
    return await _decided(bank, bank.payout("decided-paid"), "paid")


async def payout_decided_not_paid(bank: Bank) -> str:
    """The same, and that it has not."""
    return await _decided(bank, bank.payout("decided-not-paid"), "not_paid")


async def contradicted_after_its_end(bank: Bank) -> str:
    """A payout that was given back because a person said so; then the bank says that it has paid it."""
    request = bank.payout("contradicted")
    await _decided(bank, request, "not_paid")
    key = f"{request.transfer_id}/submit"
    bank.rail.pays(key)
    word = LateWord(rail="bank", event_id=f"{request.transfer_id}.evt", payment_key=key)
    await hear(bank.client, Spoken("bank", word.event_id, key, accepted=True), bank.task_queue)
    await bank.client.get_workflow_handle(late_word_workflow_id(word)).result()
    return late_word_workflow_id(word)


async def _decided(bank: Bank, request: PayoutRequest, decided: str) -> str:
    await _open(bank)
    window, bank.rail.key_window_seconds, bank.rail.look_up_misses_nothing = bank.rail.key_window_seconds, 1.0, False
    bank.rail.silent_before, bank.rail.silent = 1000, True
    before = bank.gates.attempts.get("submit", 0)
    submitted = await bank.start(request)
    await bank.attempted("submit", before + 1)
    await asyncio.sleep(1.1)
    decision = PayoutDecision(decided=decided, by="carol", evidence="a letter")
    await decide_payout(bank.submitter, request.transfer_id, decision, PATIENCE)
    await bank.outcome(submitted)
    bank.rail.key_window_seconds, bank.rail.look_up_misses_nothing = window, True
    bank.rail.silent_before, bank.rail.silent = 0, False
    return workflow_id(request.transfer_id)


async def _open(bank: Bank) -> None:
    await bank.ledger.apply(OpenAccount("bank:USD", "USD"))


async def _to_its_end(bank: Bank, request: PayoutRequest) -> str:
    await _open(bank)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def _returned(bank: Bank, transfer_id: str) -> str:
    request = ReturnRequest(rail="bank", return_id=f"{transfer_id}.ret", payment_key=f"{transfer_id}/submit")
    await hand_in(bank.client, request, bank.task_queue)
    await bank.client.get_workflow_handle(return_workflow_id(request)).result()
    return return_workflow_id(request)


PAYOUT_ENDINGS = (
    paid_out, rejected_by_the_rail, payout_recalled, payout_cancelled_too_late, payout_cancelled_in_its_second_run,
    payout_returned, return_of_nothing, payout_decided_paid, payout_decided_not_paid, contradicted_after_its_end,
)  # fmt: skip  # a list of names
"""The stories, each of which returns the workflow id."""
