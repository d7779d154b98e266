"""Histories of honest books for the audit to read: one that is told, and random ones."""

import random
from collections.abc import Callable

from ledger.account import AccountStatus, Guard
from ledger.approval import Approval
from ledger.book import Ledger
from ledger.entries import Entry, EntryReversal, Quote, Reversal, Share, Split, TargetBalance, at_quote
from ledger.errors import OutOfOrder
from ledger.fingerprint import HOLD, PAYOUT
from ledger.limits import SetLimits
from ledger.operation import OpenAccount, Operation, SetAccountStatus
from ledger.operations import approve, cancel, capture, credit, debit, deposit, hold, refund
from ledger.payouts import clearing_account, paid, recall, submission
from ledger.transfer import Transfer
from tests.support.examples import a_transfer, open_with


async def a_story(ledger: Ledger) -> None:
    """One transfer of each kind: S1 and E1 settled, F1 and F2 refunded, R1 rejected, C1 cancelled, D1 on its way."""
    await open_with(ledger, alice=500_00, bob=0, carol=0)
    await open_with(ledger, "EUR", anna=300_00, bert=0)
    settled, european = a_transfer("S1"), a_transfer("E1", "anna", "bert", 10_00, "EUR")
    for operation in (debit(settled), credit(settled), debit(european), credit(european)):
        await ledger.apply(operation)
    given_back, refused = a_transfer("F1"), a_transfer("F2", destination="carol")
    await ledger.apply_all([debit(given_back), refund(given_back, "cancelled", 'by Zoë: "no"\n'), debit(refused)])
    await ledger.apply(SetAccountStatus("carol", AccountStatus.FROZEN))
    await ledger.apply_all(
        [credit(refused), refund(refused, "account_frozen"), debit(a_transfer("R1", "bob", "alice", 9_000_00))]
    )
    await ledger.apply_all(
        [cancel(a_transfer("C1"), "cancelled"), debit(a_transfer("C1")), refund(settled, "too late")]
    )
    await ledger.apply_all([debit(a_transfer("D1", amount_minor=7_00)), deposit("lost", "nobody", 1, "USD")])


async def a_story_with_entries(ledger: Ledger) -> None:
    """The same, and then a split P1, an exchange X1, reversals of them (V2, V3, V4) and of S1 (V1), a target B1; P2 is
    refused and P3 called off. Of the holds H1 is captured in part, H2 voided, H3 captured whole, and H4 still held; and
    four payouts.

    At last L1 settled and L2 refunded, L3 is a split and L4 a hold, within limits of Alice's and with Carol's approval.
    """
    await a_story(ledger)
    await open_with(ledger, dora=20_00)
    await ledger.apply_all([OpenAccount(id, id.rpartition(":")[2]) for id in ("fx:USD", "fx:EUR", "fx-spread:EUR")])
    await ledger.apply(deposit("first-fx", "fx:EUR", 100_00, "EUR"))
    quote = Quote("Q1", "0.9215", "0.93", 2**62, "fx")
    shared = Split("P1", "alice", "USD", (Share("bob", 3_00), Share("dora", 2_00)))
    exchanged = at_quote(quote, "X1", "alice", "anna", 10_00, "USD", "EUR")
    entries: list[Entry] = [
        shared,
        exchanged,
        EntryReversal.of_entry("V2", shared, 1_01),
        EntryReversal.of_entry("V3", shared, 1_01),
        EntryReversal.of_entry("V4", exchanged, 3_33),
        Reversal("V1", "S1", "bob", "alice", 5_00, "USD"),
        TargetBalance("B1", "dora", 1_00, "bob", "USD"),
        Split("P2", "dora", "USD", (Share("bob", 3_00), Share("alice", 2_00))),
    ]
    await ledger.apply_all([entry.operation() for entry in entries])
    called_off = Split("P3", "alice", "USD", (Share("bob", 1_00),))
    await ledger.apply_all([called_off.cancellation("cancelled", "ça va"), called_off.operation()])
    holds = [a_transfer(f"H{number}") for number in range(1, 5)]
    await ledger.apply_all([hold(each, HOLD, {"expires_at": 2**50}) for each in holds])
    await ledger.apply_all([capture(holds[0], 20_00), refund(holds[1], "voided"), capture(holds[2], 25_00)])
    await _payouts(ledger)
    settled, given_back = a_transfer("L1"), a_transfer("L2")
    await ledger.apply(SetLimits("alice", "USD", 25_00, 100_00, approval_above_minor=1_00, approvals=1, number=1))
    await ledger.apply_all(
        [approve(Approval(debit(transfer).intent, "carol", "alice")) for transfer in (settled, given_back)]
    )
    await ledger.apply_all([debit(settled), credit(settled), debit(given_back), refund(given_back, "asked")])
    paid, held = Split("L3", "alice", "USD", (Share("bob", 2_00),)).operation(), a_transfer("L4", amount_minor=3_00)
    of_both = [paid, hold(held, HOLD, {"expires_at": 2**50})]
    await ledger.apply_all([approve(Approval(each.intent, "carol", "alice")) for each in of_both])
    await ledger.apply_all([*of_both, capture(held, 2_00)])


async def _payouts(ledger: Ledger) -> None:
    """O1 is paid and returned, O2 rejected by the rail, O3 recalled, O4 submitted and without an answer yet."""
    await ledger.apply(OpenAccount(clearing_account("bank", "USD"), "USD"))
    payouts = [a_transfer(f"O{number}", destination="bank:USD") for number in range(1, 5)]
    await ledger.apply_all([hold(each, PAYOUT, {"rail": "bank", "beneficiary": "acct-1"}) for each in payouts])
    await ledger.apply_all([submission(payouts[n]) for n in (0, 1, 3)] + [recall(payouts[2], "cancelled")])
    await ledger.apply_all([paid(payouts[0]), refund(payouts[1], "rejected_by_rail"), refund(payouts[2], "cancelled")])
    await ledger.apply_all([submission(payouts[2]), recall(payouts[3], "cancelled")])
    await ledger.apply(Reversal("bank:ret_1", "O1", "bank:USD", "alice", 25_00, "USD").operation())


def _send_back(transfer: Transfer) -> Operation:
    return refund(transfer, "sent back", "ça va")


def _call_off(transfer: Transfer) -> Operation:
    return cancel(transfer, "changed mind")


async def a_random_history(ledger: Ledger, seed: int, steps: int) -> None:
    """Legs of 400 transfers in any order, in batches of any size, between accounts that freeze and thaw."""
    dice = random.Random(seed)
    await ledger.apply(OpenAccount("equity", "USD", Guard.NONE))
    await open_with(ledger, alice=300_00, bob=50_00, carol=0)
    await open_with(ledger, "EUR", anna=300_00, bert=0)
    dollars, euros = ["alice", "bob", "carol", "equity"], ["anna", "bert"]
    names = [*dollars, *euros, "nobody"]
    pairs = [dice.sample(dice.choice([dollars, dollars, euros, names]), 2) for _ in range(400)]
    asked = [
        a_transfer(f"T{n}", source, destination, dice.randint(1, 30_00), "EUR" if source in euros else "USD")
        for n, (source, destination) in enumerate(pairs)
    ]
    legs: list[Callable[[Transfer], Operation]] = [*[debit] * 5, *[credit] * 4, _send_back, _call_off]
    for step in range(steps):
        if dice.random() < 0.2:
            status = dice.choice([*AccountStatus, *[AccountStatus.OPEN] * 4])
            await ledger.apply(SetAccountStatus(dice.choice(names), status))
        batch: list[Operation] = [dice.choice(legs)(dice.choice(asked)) for _ in range(dice.randint(1, 16))]
        batch.append(
            deposit(f"in-{step % 40}", dice.choice(names), dice.randint(1, 20_00), dice.choice(["USD", "EUR"]))
        )
        try:
            await ledger.apply_all(batch)
        except OutOfOrder:
            continue  # its neighbours are in the books all the same
