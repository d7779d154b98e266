"""Approval: above an account's threshold nothing is taken until enough people agree to exactly this, whoever asks."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from ledger.approval import Approval
from ledger.approvals import read_standing
from ledger.book import Ledger
from ledger.entries import Quote, Share, Split, TargetBalance, at_quote
from ledger.errors import MalformedRequest
from ledger.fingerprint import HOLD
from ledger.keys import Leg
from ledger.limits import SetLimits
from ledger.operation import OpenAccount
from ledger.operations import approve, cancel, debit, deposit, hold
from ledger.rejections import Code
from ledger.transfer import Transfer
from tests.support.examples import a_transfer, balances, open_with


def approval(transfer: Transfer, approver: str, initiator: str = "ines") -> Approval:
    """Somebody's approval of a transfer that Ines has asked for."""
    return Approval(debit(transfer).intent, approver, initiator)


async def open_guarded(ledger: Ledger, approvals: int = 2) -> None:
    """Alice has 100.00 USD, of which more than 10.00 at once takes this many approvals."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(SetLimits("alice", "USD", approval_above_minor=10_00, approvals=approvals))


async def test_a_debit_without_approvals_is_rejected_for_ever(ledger: Ledger) -> None:
    """Whoever asks, and by whatever way; up to the threshold, nobody has to be asked. What is pinned stays so."""
    await open_guarded(ledger)
    transfer = a_transfer()

    small = await ledger.apply(debit(a_transfer("small", amount_minor=10_00)))
    without = await ledger.apply(debit(transfer))
    given = await ledger.apply_all([approve(approval(transfer, name)) for name in ("bea", "carl")])
    again = await ledger.apply(debit(transfer))

    assert small.applied
    assert (without.code, without.detail) == (
        Code.APPROVAL_REQUIRED,
        "account alice pays more than 10.00 USD with 2 approvals, 0 given",
    )
    assert all(outcome.applied for outcome in given)
    assert (again.code, again.replayed) == (Code.APPROVAL_REQUIRED, True)
    assert await balances(ledger, "alice", "transit:USD") == [90_00, 10_00]


async def test_each_approver_counts_once(ledger: Ledger) -> None:
    """However often one person approves, two are needed; the second one makes it enough, in the same batch too."""
    await open_guarded(ledger)
    one, two = a_transfer("one"), a_transfer("two")

    first, again = await ledger.apply_all([approve(approval(one, "bea"))] * 2)
    alone = await ledger.apply(debit(one))
    await ledger.apply(approve(approval(two, "bea")))
    both = await ledger.apply_all([approve(approval(two, "carl")), debit(two)])

    assert [(outcome.applied, outcome.replayed) for outcome in (first, again)] == [(True, False), (True, True)]
    assert alone.code == Code.APPROVAL_REQUIRED
    assert all(outcome.applied for outcome in both)
    assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_an_approval_is_of_exactly_one_content(ledger: Ledger) -> None:
    """What was approved for 25.00 does not let 26.00 pass; nor can the same person approve that under the same id."""
    await open_guarded(ledger, approvals=1)
    edited = a_transfer(amount_minor=26_00)
    await ledger.apply(approve(approval(a_transfer(), "bea")))

    other = await ledger.apply(approve(approval(edited, "bea")))
    refused = await ledger.apply(debit(edited))

    assert (other.key_reused, other.detail) == (True, "amount_minor: 2500 -> 2600")
    assert refused.code == Code.APPROVAL_REQUIRED
    assert await balances(ledger, "alice", "transit:USD") == [100_00, 0]


async def test_nobody_who_has_asked_for_a_transfer_counts(ledger: Ledger) -> None:
    """Neither its own initiator, nor an approver who asks for it again under another name for the first."""
    await open_guarded(ledger, approvals=2)
    transfer = a_transfer()
    with pytest.raises(MalformedRequest, match="cannot approve"):
        approval(transfer, "ines")

    await ledger.apply_all([approve(approval(transfer, "bea")), approve(approval(transfer, "carl", initiator="bea"))])
    refused = await ledger.apply(debit(transfer))

    assert (refused.code, refused.detail) == (
        Code.APPROVAL_REQUIRED,
        "account alice pays more than 10.00 USD with 2 approvals, 1 given",
    )


async def test_an_approval_after_the_end_moves_nothing(ledger: Ledger) -> None:
    """The cancel has fenced the debit: a late approval is noted, and changes nothing."""
    await open_guarded(ledger, approvals=1)
    transfer = a_transfer()
    await ledger.apply(cancel(transfer, "denied"))

    late = await ledger.apply(approve(approval(transfer, "bea")))
    fenced = await ledger.apply(debit(transfer))

    assert (late.applied, fenced.fenced) == (True, True)
    assert await balances(ledger, "alice", "transit:USD") == [100_00, 0]


async def test_an_entry_takes_approvals_of_its_own(ledger: Ledger) -> None:
    """A split of more than the threshold is no way around it; those of a transfer with the same id are not its."""
    await open_guarded(ledger)
    split, other = (
        Split("T1", "alice", "USD", (Share("bob", 20_00),)),
        Split("S2", "alice", "USD", (Share("bob", 20_00),)),
    )
    await ledger.apply_all([approve(approval(a_transfer(), name)) for name in ("bea", "carl")])

    refused = await ledger.apply(split.operation())
    given = await ledger.apply_all(
        [approve(Approval(other.operation().intent, name, "ines")) for name in ("bea", "carl")]
    )
    applied = await ledger.apply(other.operation())

    assert (refused.code, refused.detail) == (
        Code.APPROVAL_REQUIRED, "account alice pays more than 10.00 USD with 2 approvals, 0 given",
    )  # fmt: skip  # one answer
    assert [outcome.applied for outcome in (*given, applied)] == [True] * 3
    assert await balances(ledger, "alice", "bob") == [80_00, 20_00]


async def test_an_approval_of_a_plain_transfer_is_none_of_a_hold(ledger: Ledger) -> None:
    """Nor the other way round, nor of a hold on other terms; the same person is told that the key was used for that."""
    await open_guarded(ledger, approvals=1)
    transfer = a_transfer()
    held, longer = (hold(transfer, HOLD, {"expires_at": expires_at}) for expires_at in (10**16, 2 * 10**16))
    await ledger.apply_all([approve(approval(transfer, "bea")), approve(Approval(longer.intent, "carl", "ines"))])

    again = await ledger.apply(approve(Approval(held.intent, "bea", "ines")))
    refused = await ledger.apply(held)

    assert (again.key_reused, again.detail) == (True, "kind: transfer -> hold")
    assert refused.code == Code.APPROVAL_REQUIRED
    assert await balances(ledger, "alice", "transit:USD") == [100_00, 0]


async def test_the_payer_that_asks_for_most_decides(ledger: Ledger) -> None:
    """An exchange takes from its source and from the desk: the one asks for one approval, the other for two."""
    await open_with(ledger, alice=100_00, bob=0)
    for desk, currency in (("fx:USD", "USD"), ("fx:EUR", "EUR"), ("eve", "EUR")):
        await ledger.apply(OpenAccount(desk, currency))
    await ledger.apply(deposit("D-desk", "fx:EUR", 100_00, "EUR"))
    await ledger.apply(SetLimits("alice", "USD", approval_above_minor=1_00, approvals=1))
    await ledger.apply(SetLimits("fx:EUR", "EUR", approval_above_minor=1_00, approvals=2))
    quote = Quote("Q1", "0.9", "0.9", 2**57, "fx")
    one, two = (at_quote(quote, id, "alice", "eve", 10_00, "USD", "EUR").operation() for id in ("X1", "X2"))
    await ledger.apply_all([approve(Approval(asked.intent, "bea", "ines")) for asked in (one, two)])
    await ledger.apply(approve(Approval(two.intent, "carl", "ines")))

    refused, applied = await ledger.apply_all([one, two])
    standing = [await read_standing(ledger, asked) for asked in (one, two)]

    assert (refused.code, applied.applied) == (Code.APPROVAL_REQUIRED, True)
    assert [(len(s.approvers), s.needed, s.is_known) for s in standing] == [(1, 2, True), (2, 2, True)]
    assert await balances(ledger, "alice", "eve") == [90_00, 9_00]


def test_nobody_can_approve_of_what_has_no_amount_before_it_happens() -> None:
    """What a target balance takes, only the books can tell."""
    target = TargetBalance("B1", "alice", 0, "bob", "USD")

    with pytest.raises(MalformedRequest, match="nobody can approve of B1/target"):
        Approval(target.operation().intent, "bea", "ines")


async def test_two_workers_record_an_approval_once(new_database: Callable[[], str]) -> None:
    """The unique key decides, on whichever worker it comes."""
    url = new_database()
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(Ledger.open(url))
        other = await stack.enter_async_context(Ledger.open(url)) if url.startswith("postgresql") else ledger
        await open_guarded(ledger)
        given = approve(approval(a_transfer(), "bea"))

        answers = await asyncio.gather(*(each.apply(given) for each in (ledger, other) * 5))

        assert sum(answer.applied and not answer.replayed for answer in answers) == 1
        assert (await ledger.apply(debit(a_transfer()))).code == Code.APPROVAL_REQUIRED


def test_the_longest_names_have_room_in_a_key() -> None:
    """The books take keys of up to 200 characters."""
    assert len(approval(a_transfer("T" * 128), "b" * 60).key) <= 200
    with pytest.raises(MalformedRequest, match="at most 60"):
        approval(a_transfer(), "b" * 61)
    longest = at_quote(Quote("Q1", "0.9", "0.9", 2**57, "fx"), "X" * 128, "alice", "eve", 10_00, "USD", "EUR")
    assert len(Approval(longest.operation().intent, "b" * 53, "ines").key) == 200
    with pytest.raises(MalformedRequest, match="more than 53 characters"):
        Approval(longest.operation().intent, "b" * 54, "ines")


@pytest.mark.parametrize("leg", Leg)
def test_nobody_is_called_like_an_operation(leg: Leg) -> None:
    """Whoever reads keys by their end would take `T1/approval/deposit` for a deposit."""
    with pytest.raises(MalformedRequest, match="name of an operation"):
        approval(a_transfer(), str(leg))


async def test_an_approval_counts_for_a_threshold_that_comes_in_the_same_commit(ledger: Ledger) -> None:
    """
    It was given before there was a threshold; the debit beside the new one finds it, and is not refused for good.
    """
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(approve(approval(a_transfer(), "carol", "alice")))
    threshold = SetLimits("alice", "USD", approval_above_minor=1_00, approvals=1, number=1)

    _, approved, unapproved = await ledger.apply_all([threshold, debit(a_transfer()), debit(a_transfer("T2"))])

    assert (approved.applied, unapproved.code) == (True, Code.APPROVAL_REQUIRED)
