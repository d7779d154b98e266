"""Every ending a workflow can have, as a short story that a bank plays: the source of the golden histories."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from activities.messages import (
    AccountChange,
    AccountOpening,
    DepositRequest,
    ExpressRequest,
    LegOutcome,
    ScheduledRequest,
    SweepRequest,
    TransferRequest,
)
from activities.terms import Decision, HoldRequest
from engine.deciding import decide
from engine.results import KeyReused
from engine.submitting import workflow_id
from engine.sweeping import sweep_id
from ledger import failpoints, operations
from ledger.account import AccountStatus
from ledger.operation import SetAccountStatus
from tests.support.bank import PATIENCE, Bank
from tests.workflows import endings_approved, endings_entries, endings_occurrences
from tests.workflows.batch_endings import batch_cancelled, batch_over, batch_reused, chunk_settled
from tests.workflows.payout_endings import PAYOUT_ENDINGS


async def settled(bank: Bank) -> str:
    """Debit, credit, notify."""
    request = bank.request("settled")
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def rejected(bank: Bank) -> str:
    """The source cannot pay."""
    request = bank.request("rejected", amount_minor=1_000_000)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def refunded(bank: Bank) -> str:
    """The destination is closed while the money is in transit."""
    request = bank.request("refunded", destination="carol")
    gate = bank.gates.close("credit", before=True)
    submitted = await bank.start(request)
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("carol", AccountStatus.CLOSED))
    gate.open.set()
    await bank.outcome(submitted)
    await bank.ledger.apply(SetAccountStatus("carol", AccountStatus.OPEN))
    return workflow_id(request.transfer_id)


async def cancelled_before_the_debit(bank: Bank) -> str:
    """The debit does not answer and has not happened; the cancel fences it."""
    return await _cancelled_while_silent(bank, bank.request("cancelled"), "ledger.before_transaction", "debit")


async def cancelled_after_a_silent_debit(bank: Bank) -> str:
    """The debit does not answer but has happened; the cancel gives it back."""
    return await _cancelled_while_silent(bank, bank.request("cancelled-debited"), "ledger.after_commit", "debit")


async def refunded_by_a_cancel(bank: Bank) -> str:
    """The credit does not answer and has not happened; the cancel fences it and refunds."""
    return await _cancelled_while_silent(bank, bank.request("cancelled-transit"), "ledger.before_transaction", "credit")


async def cancelled_too_late(bank: Bank) -> str:
    """The credit does not answer but has happened; the refund finds it in the books."""
    return await _cancelled_while_silent(bank, bank.request("too-late"), "ledger.after_commit", "credit")


async def answered_from_the_ledger(bank: Bank) -> str:
    """Temporal forgot it; the first step finds the recorded outcome."""
    request = bank.request("forgotten")
    await bank.transfer(request)
    await bank.forget(request)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def key_reused(bank: Bank) -> str:
    """Temporal forgot it; the ledger answers that the id had other content."""
    request = bank.request("reused")
    await bank.transfer(request)
    await bank.forget(request)
    with suppress(KeyReused):
        await bank.transfer(bank.request("reused", amount_minor=1))
    return workflow_id(request.transfer_id)


async def told_later(bank: Bank) -> str:
    """The receiver does not take the notification in time; the transfer leaves it to a workflow of its own."""
    request = bank.request("told-later")
    bank.notifier.refusals = 6
    await bank.transfer(request)
    await bank.client.get_workflow_handle(f"notification/{request.transfer_id}/notify/settled").result()
    return workflow_id(request.transfer_id)


async def notification(bank: Bank) -> str:
    """The workflow that such a notification is left to."""
    await told_later(bank)
    return f"notification/{bank.request('told-later').transfer_id}/notify/settled"


async def swept(bank: Bank) -> str:
    """A sweep that finds a transfer which nobody works on."""
    request = bank.request("swept")
    await bank.ledger.apply(operations.debit(request.as_transfer()))
    await bank.sweep()
    await bank.transfer(request)
    return sweep_id(SweepRequest(older_than_seconds=0), bank.task_queue)


async def finished_after_a_sweep(bank: Bank) -> str:
    """The transfer that a sweep has started again: its debit is a replay."""
    await swept(bank)
    return workflow_id(bank.request("swept").transfer_id)


async def nothing_to_sweep(bank: Bank) -> str:
    """A sweep of books in which nothing stands still."""
    await bank.sweep()
    return sweep_id(SweepRequest(older_than_seconds=0), bank.task_queue)


async def account_opened(bank: Bank) -> str:
    """An account is opened."""
    await bank.submitter.open_account(AccountOpening(account_id="dave", currency="EUR"), PATIENCE)
    return "account/dave/open/EUR"


async def account_changed(bank: Bank) -> str:
    """An account is frozen."""
    change = AccountChange(account_id="carol", status=AccountStatus.FROZEN)
    await bank.submitter.set_account(change, PATIENCE)
    await bank.ledger.apply(SetAccountStatus("carol", AccountStatus.OPEN))
    return "account/carol/frozen/any"


async def account_changed_at_the_second_look(bank: Bank) -> str:
    """Between the look and the setting, somebody else changes the account: it looks again."""
    gate = bank.gates.close("set_account_status", before=True)
    change = AccountChange(account_id="bob", status=AccountStatus.FROZEN)
    changing = asyncio.create_task(bank.submitter.set_account(change, PATIENCE))
    await gate.reached.wait()
    await bank.ledger.apply(SetAccountStatus("bob", AccountStatus.CLOSED, number=1))
    gate.open.set()
    await changing
    return "account/bob/frozen/any"


async def deposited(bank: Bank) -> str:
    """Cash comes in."""
    id = f"{bank.task_queue}.D"
    request = DepositRequest(deposit_id=id, account_id="alice", amount_minor=100, currency="USD")
    await bank.submitter.outcome(await bank.submitter.deposit(request), LegOutcome, PATIENCE)
    return f"deposit/{id}"


async def settled_when_due(bank: Bank) -> str:
    """It waits for its time first."""
    request = _in_a_second(bank.request("due"))
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def cancelled_before_it_was_due(bank: Bank) -> str:
    """A cancel ends the waiting."""
    request = ScheduledRequest(**bank.request("called-off").model_dump(), due_at=2**57)
    submitted = await bank.start(request)
    while not ((found := await bank.submitter.find(request.transfer_id)) and found.is_scheduled):
        await asyncio.sleep(0.05)
    await bank.cancel(request)
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


async def settled_by_express(bank: Bank) -> str:
    """Debit, credit, notify, all in one workflow task."""
    request = _express(bank, "express")
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def rejected_by_express(bank: Bank) -> str:
    """The source cannot pay."""
    request = ExpressRequest(**bank.request("express-poor", amount_minor=1_000_000).model_dump())
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def express_that_was_silent(bank: Bank) -> str:
    """The credit is silent at first, and then asked in the ordinary way."""
    request = _express(bank, "express-silent")
    site = f"ledger.before_transaction[{request.transfer_id}/credit]=raise"
    failpoints.arm(";".join(f"{site}@{nth}" for nth in (1, 2, 3)))
    await bank.transfer(request)
    failpoints.arm("")
    return workflow_id(request.transfer_id)


async def express_called_off(bank: Bank) -> str:
    """A cancel while the credit is silent."""
    request = _express(bank, "express-called-off")
    return await _cancelled_while_silent(bank, request, "ledger.before_transaction", "credit")


def _express(bank: Bank, name: str) -> ExpressRequest:
    return ExpressRequest(**bank.request(name).model_dump())


async def captured_in_part(bank: Bank) -> str:
    """A hold, of which a part is captured."""
    return await _decided(bank, "captured", Decision(captures=20_00))


async def voided(bank: Bank) -> str:
    """A hold that is given back."""
    return await _decided(bank, "voided", Decision(reason="left early"))


async def expired(bank: Bank) -> str:
    """A hold that nobody decides."""
    request = _hold(bank, "expired", time.time_ns() // 1000 + 1_500_000)
    await bank.transfer(request)
    return workflow_id(request.transfer_id)


async def hold_called_off(bank: Bank) -> str:
    """A cancel while it is held."""
    request = _hold(bank, "hold-called-off")
    submitted = await bank.start(request)
    await _until_held(bank, request)
    await bank.cancel(request)
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


def _hold(bank: Bank, name: str, expires_at: int = 2**57) -> HoldRequest:
    return HoldRequest(**bank.request(name).model_dump(), expires_at=expires_at)


async def _decided(bank: Bank, name: str, decision: Decision) -> str:
    request = _hold(bank, name)
    submitted = await bank.start(request)
    await _until_held(bank, request)
    await decide(bank.submitter, request.transfer_id, decision, PATIENCE)
    await bank.outcome(submitted)
    return workflow_id(request.transfer_id)


async def _until_held(bank: Bank, request: HoldRequest) -> None:
    while not ((found := await bank.submitter.find(request.transfer_id)) and found.is_held):
        await asyncio.sleep(0.05)


def _in_a_second(request: TransferRequest) -> ScheduledRequest:
    return ScheduledRequest(**request.model_dump(), due_at=time.time_ns() // 1000 + 1_000_000)


async def _cancelled_while_silent(bank: Bank, request: TransferRequest, site: str, leg: str) -> str:
    failpoints.arm(f"{site}[{request.transfer_id}/{leg}]=raise@*")
    before = bank.gates.attempts.get(leg, 0)
    submitted = await bank.start(request)
    await bank.attempted(leg, before + 2)
    await bank.cancel(request)
    await bank.outcome(submitted)
    failpoints.arm("")
    return workflow_id(request.transfer_id)


ENDINGS: dict[str, Callable[[Bank], Awaitable[str]]] = {
    ending.__name__: ending
    for ending in (
        settled, rejected, refunded, cancelled_before_the_debit, cancelled_after_a_silent_debit,
        refunded_by_a_cancel, cancelled_too_late, answered_from_the_ledger, key_reused, told_later, notification,
        account_opened, account_changed, account_changed_at_the_second_look, deposited,
        swept, finished_after_a_sweep, nothing_to_sweep, *endings_entries.STORIES,
        settled_when_due, cancelled_before_it_was_due, captured_in_part, voided, expired, hold_called_off,
        settled_by_express, rejected_by_express, express_that_was_silent, express_called_off,
        *endings_approved.STORIES,
        *PAYOUT_ENDINGS,
        *endings_occurrences.STORIES,
        batch_over, batch_cancelled, batch_reused, chunk_settled,
    )
}  # fmt: skip  # a list of names
"""The name of each ending and its story, which returns the workflow id, and `#` with a run's if it is not the last."""
