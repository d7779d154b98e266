"""Scenarios: the stories that are told again with a fault at every site they pass, and how each must end.

Every case has an id and two accounts of its own: `<id>-a` with 100.00 USD and `<id>-b` with nothing. An exchange has a
desk of its own, too, and `<id>-b` is in EUR. The first part of the id is the scenario, by which the worker and the
receiver know what to do to it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from activities.decisions import PayoutDecision
from activities.limits import LimitChange
from activities.messages import (
    AccountChange,
    AccountOpening,
    DepositRequest,
    EntryRequest,
    LegOutcome,
    TransferOutcome,
    TransferRequest,
)
from activities.payouts import ReturnRequest
from activities.terms import PayoutRequest
from engine.approving import Refused
from engine.deciding import decide_payout
from engine.limits import set_limits
from engine.results import result_of
from engine.returns import hand_in, return_workflow_id
from engine.submitting import Submitter
from ledger.account import AccountStatus
from ledger.entries import Entry, EntryReversal, Quote, Share, Split, TargetBalance, at_quote
from ledger.operation import OpenAccount, Operation
from ledger.operations import deposit
from tests.faults.crash import approved
from tests.faults.crash.batches import results_of_a_file
from tests.faults.crash.held import captured
from tests.faults.crash.recurring import paid_by_a_schedule, transfer_of
from tests.faults.crash.said import AMOUNT, PATIENCE, Said

FUNDS = 100_00
PAID_OUT, RETURNED, DECIDED = "paid_out", "payout_returned", "payout_decided"
CONTRADICTED = "payout_contradicted"
EXCHANGED = "exchange_reversed"
RECURRED = "recurred"
CARRIED_OUT: dict[str, list[int]] = {
    **{paid: [AMOUNT] for paid in (PAID_OUT, RETURNED, CONTRADICTED)},
    **{unpaid: [] for unpaid in ("payout_rejected", "payout_recalled", DECIDED)},
}
"""What the bank pays of each payout, in minor units."""


@dataclass(frozen=True)
class Scenario:
    """A story: how it is asked for, what is answered, and the balances of the accounts a and b afterwards."""

    name: str
    ask: Callable[[Submitter, str], Awaitable[Said]]
    answer: Said
    a: int
    b: int
    is_transfer: bool = True
    amount_minor: int = AMOUNT
    waits_by_the_clock: bool = False
    """Whether somebody looks again until its time has come: nobody knows how often its workflow is woken then."""

    def settle_on(self, id: str) -> tuple[str, ...]:
        """Workflows that go on after the answer."""
        if self.name == RECURRED:
            return (transfer_of(id),)
        return (f"notification/{id}/notify/settled",) if self.name == "told_later" else ()


def _transfer(amount_minor: int = AMOUNT) -> Callable[[Submitter, str], Awaitable[Said]]:
    async def ask(submitter: Submitter, id: str) -> Said:
        request = TransferRequest(
            transfer_id=id, source=f"{id}-a", destination=f"{id}-b", amount_minor=amount_minor, currency="USD"
        )
        submitted = await submitter.transfer(request)
        outcome = await submitter.outcome(submitted, TransferOutcome, PATIENCE)
        return Said(outcome.status, outcome.reason)

    return ask


def is_payout(id: str) -> bool:
    """Whether a case is about a payout."""
    return id.partition(".")[0] in CARRIED_OUT


def _payout(id: str) -> PayoutRequest:
    return PayoutRequest(
        transfer_id=id,
        source=f"{id}-a",
        destination=b_of(id),
        amount_minor=AMOUNT,
        currency="USD",
        rail=b_of(id).partition(":")[0],
        beneficiary="closed-1" if id.startswith("payout_rejected") else "acct-1",
    )


async def _paid_out(submitter: Submitter, id: str) -> Said:
    outcome = await submitter.outcome(await submitter.transfer(_payout(id)), TransferOutcome, PATIENCE)
    return Said(outcome.status, outcome.reason)


async def _decided(submitter: Submitter, id: str) -> Said:
    """The bank is silent. As soon as its key's life is over, a person says that it has not paid (and may be wrong)."""
    decision = PayoutDecision(decided="not_paid", by="bea", evidence="the bank's letter")
    submitted = await submitter.transfer(_payout(id))
    while submitted.running:
        try:
            await decide_payout(submitter, id, decision, PATIENCE)
            break
        except Refused as refused:  # too early, or, if it has ended, too late
            if "has ended" in str(refused):
                break
            await asyncio.sleep(0.2)
    outcome = await submitter.outcome(submitted, TransferOutcome, PATIENCE)
    return Said(outcome.status, outcome.reason)


async def _returned(submitter: Submitter, id: str) -> Said:
    """The bank gives it back, and says so twice."""
    said = await _paid_out(submitter, id)
    request = ReturnRequest(rail=b_of(id).partition(":")[0], return_id="ret_1", payment_key=f"{id}/submit")
    for _ in range(2):
        await hand_in(submitter.client, request, submitter.task_queue)
    handle = submitter.client.get_workflow_handle(return_workflow_id(request), result_type=LegOutcome)
    returned = await result_of(handle, PATIENCE)
    return said if returned.applied else Said(said.status, returned.code)


def accounts_of(id: str) -> list[OpenAccount]:
    """The accounts that a case has before it begins."""
    accounts = {f"{id}-a": "USD", b_of(id): "USD"}
    if id.startswith(EXCHANGED):
        accounts |= {b_of(id): "EUR", f"{id}-desk:USD": "USD", f"{id}-desk:EUR": "EUR", f"{id}-desk-spread:EUR": "EUR"}
    return [OpenAccount(account, currency) for account, currency in accounts.items()]


def funds_of(id: str) -> list[Operation]:
    """The money that is in them."""
    funds = [deposit(f"first-{id}", f"{id}-a", FUNDS, "USD")]
    if id.startswith(EXCHANGED):
        funds.append(deposit(f"desk-{id}", f"{id}-desk:EUR", FUNDS, "EUR"))
    return funds


def b_of(id: str) -> str:
    """The account b of a case. Of a payout it is the account of a rail that has the case's name."""
    return f"{id}-b:USD" if is_payout(id) else f"{id}-b"


async def _batched(submitter: Submitter, id: str) -> Said:
    results = await results_of_a_file(submitter, id, (AMOUNT - 1, 1), PATIENCE)
    return Said(results.replace(id, "~"))


async def _deposit(submitter: Submitter, id: str) -> Said:
    request = DepositRequest(deposit_id=id, account_id=f"{id}-a", amount_minor=AMOUNT, currency="USD")
    outcome = await submitter.outcome(await submitter.deposit(request), LegOutcome, PATIENCE)
    return Said(outcome.kind, outcome.code)


async def _split(submitter: Submitter, id: str) -> Said:
    split = Split(id, f"{id}-a", "USD", (Share(f"{id}-b", AMOUNT - 1), Share(f"{id}-b", 1)))
    return await _entered(submitter, split)


async def _exchange_reversed(submitter: Submitter, id: str) -> Said:
    """25.00 USD are sold for 22.50 EUR, with a spread of 0.50; then 10.00 of them come back, at the same rate."""
    quote = Quote("q", rate="0.9", middle_rate="0.92", expires_at=2**57, desk=f"{id}-desk")
    exchange = at_quote(quote, id, f"{id}-a", f"{id}-b", AMOUNT, "USD", "EUR")
    exchanged = await _entered(submitter, exchange)
    reversed = await _entered(submitter, EntryReversal.of_entry(f"{id}.back", exchange, 10_00))
    return reversed if exchanged == Said("applied") else exchanged


async def _emptied(submitter: Submitter, id: str) -> Said:
    return await _entered(submitter, TargetBalance(id, f"{id}-a", 0, f"{id}-b", "USD"))


async def _entered(submitter: Submitter, entry: Entry) -> Said:
    submitted = await submitter.enter(EntryRequest.of(entry))
    outcome = await submitter.outcome(submitted, LegOutcome, PATIENCE)
    return Said(outcome.kind, outcome.code)


async def _open(submitter: Submitter, id: str) -> Said:
    outcome = await submitter.open_account(AccountOpening(account_id=f"{id}-new", currency="USD"), PATIENCE)
    return Said(outcome.kind, outcome.code)


async def _freeze(submitter: Submitter, id: str) -> Said:
    change = AccountChange(account_id=f"{id}-a", status=AccountStatus.FROZEN)
    outcome = await submitter.set_account(change, PATIENCE)
    return Said(outcome.kind, outcome.code)


async def _limited(submitter: Submitter, id: str) -> Said:
    """Two transfers in one day that has room for one: the first uses the limit up, whatever happens to it."""
    change = LimitChange(account_id=f"{id}-a", currency="USD", per_day_minor=AMOUNT)
    await set_limits(submitter, change, PATIENCE)
    await _transfer()(submitter, id)
    second = TransferRequest(
        transfer_id=f"{id}.second", source=f"{id}-a", destination=f"{id}-b", amount_minor=1, currency="USD"
    )
    outcome = await submitter.outcome(await submitter.transfer(second), TransferOutcome, PATIENCE)
    return Said(outcome.status, outcome.reason)


async def _recurred(submitter: Submitter, id: str) -> Said:
    """The schedule asks, in its own time; so does the occurrence that it starts, whether its transfer has ended."""
    outcome = await paid_by_a_schedule(submitter, id, AMOUNT, PATIENCE)
    return Said(outcome.status, outcome.reason)


LEFT = FUNDS - AMOUNT
SCENARIOS = (
    Scenario("settled", _transfer(), Said("settled"), LEFT, AMOUNT),
    Scenario("rejected", _transfer(1000_00), Said("rejected", "insufficient_funds"), FUNDS, 0, amount_minor=1000_00),
    Scenario("refunded", _transfer(), Said("refunded", "account_closed"), FUNDS, 0),
    Scenario("refunded_by_a_cancel", _transfer(), Said("refunded", "cancelled"), FUNDS, 0),
    Scenario("cancelled", _transfer(), Said("cancelled", "cancelled"), FUNDS, 0),
    Scenario("told_later", _transfer(), Said("settled"), LEFT, AMOUNT),
    Scenario("captured", captured, Said("settled"), LEFT + 1, AMOUNT - 1),
    Scenario("approved", approved.approved, Said("settled"), LEFT, AMOUNT),
    Scenario("approved_hold", approved.approved_hold, Said("settled"), LEFT + 1, AMOUNT - 1, waits_by_the_clock=True),
    Scenario("approved_split", approved.approved_split, Said("applied"), LEFT, AMOUNT, is_transfer=False),
    Scenario("limited", _limited, Said("rejected", "limit_exceeded"), LEFT, AMOUNT, is_transfer=False),
    Scenario(PAID_OUT, _paid_out, Said("settled"), LEFT, AMOUNT),
    Scenario("batched", _batched, Said("~.2,settled,,false; ~.3,settled,,false"), LEFT, AMOUNT, is_transfer=False),
    Scenario(RECURRED, _recurred, Said("settled"), LEFT, AMOUNT, is_transfer=False, waits_by_the_clock=True),
    Scenario("payout_rejected", _paid_out, Said("refunded", "rejected_by_rail"), FUNDS, 0),
    Scenario("payout_recalled", _paid_out, Said("refunded", "cancelled"), FUNDS, 0),
    Scenario(RETURNED, _returned, Said("settled"), FUNDS, 0),
    Scenario(DECIDED, _decided, Said("refunded", "decided_not_paid"), FUNDS, 0, waits_by_the_clock=True),
    Scenario(CONTRADICTED, _decided, Said("settled"), LEFT, AMOUNT, waits_by_the_clock=True),
    Scenario("deposited", _deposit, Said("applied"), FUNDS + AMOUNT, 0, is_transfer=False),
    Scenario("split", _split, Said("applied"), LEFT, AMOUNT, is_transfer=False),
    Scenario(EXCHANGED, _exchange_reversed, Said("applied"), LEFT + 10_00, 13_50, is_transfer=False),
    Scenario("emptied", _emptied, Said("applied"), 0, FUNDS, is_transfer=False),
    Scenario("account_opened", _open, Said("applied"), FUNDS, 0, is_transfer=False),
    Scenario("account_frozen", _freeze, Said("applied"), FUNDS, 0, is_transfer=False),
)
"""Every story. A cancel by the caller itself is made within the worker, where its moment is certain."""
