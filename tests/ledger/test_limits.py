"""Limits: what may be taken from an account at once and in a day. Pinned like any rejection, given back by a refund."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from ledger import store
from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.books import Use
from ledger.entries import Reversal, Share, Split, TargetBalance
from ledger.errors import MalformedRequest
from ledger.limits import DAY, NONE, Change, Limits, SetLimits
from ledger.operation import OpenAccount, Request, SetAccountStatus
from ledger.operations import credit, debit, refund
from ledger.rejections import Code
from tests.ledger.in_memory import ask, books_with
from tests.support.examples import a_transfer, balance, balances, open_with, transfers


def per_day(amount_minor: Change) -> SetLimits:
    """Alice's daily limit."""
    return SetLimits("alice", "USD", per_day_minor=amount_minor)


async def test_more_than_may_be_paid_at_once_is_rejected_for_ever(ledger: Ledger) -> None:
    """Exactly the limit passes. The rejection is pinned: it stays when the limit is gone."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(SetLimits("alice", "USD", per_transfer_minor=25_00))

    within, beyond = await ledger.apply_all([debit(a_transfer("T1")), debit(a_transfer("T2", amount_minor=25_01))])
    await ledger.apply(SetLimits("alice", "USD", per_transfer_minor=NONE))
    again = await ledger.apply(debit(a_transfer("T2", amount_minor=25_01)))

    assert within.applied
    assert (beyond.code, beyond.detail) == (
        Code.LIMIT_EXCEEDED,
        "account alice may pay 25.00 USD at once, 25.01 USD asked",
    )
    assert (again.code, again.replayed) == (Code.LIMIT_EXCEEDED, True)
    assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_a_day_takes_no_more_than_its_limit(ledger: Ledger) -> None:
    """Of six that meet in one batch each sees those before it, and the detail says what is left."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(per_day(45_00))

    outcomes = await ledger.apply_all([debit(transfer) for transfer in transfers(6)])
    rest = await ledger.apply(debit(a_transfer("rest", amount_minor=5_00)))

    assert [outcome.code for outcome in outcomes] == [None] * 4 + [Code.LIMIT_EXCEEDED] * 2
    assert (
        outcomes[-1].detail == "account alice may pay 45.00 USD in 24 hours, of which 5.00 USD is left, 10.00 USD asked"
    )
    assert rest.applied
    assert await balances(ledger, "alice", "transit:USD") == [55_00, 45_00]


async def test_what_was_refunded_does_not_count(ledger: Ledger) -> None:
    """Its use is given back in the refund's own transaction, once, also within one batch."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(per_day(30_00))
    first, second = a_transfer("T1"), a_transfer("T2")
    await ledger.apply_all([debit(first), credit(first)])

    refused = await ledger.apply(debit(a_transfer("refused", amount_minor=6_00)))
    await ledger.apply(per_day(50_00))
    back = await ledger.apply_all([debit(second), refund(second, "asked"), refund(second, "asked")])
    after = await ledger.apply_all([debit(a_transfer("T3")), debit(a_transfer("T4", amount_minor=1))])

    assert refused.code == Code.LIMIT_EXCEEDED
    assert all(outcome.applied for outcome in back)
    assert [outcome.code for outcome in after] == [None, Code.LIMIT_EXCEEDED]
    assert await balances(ledger, "alice", "bob", "transit:USD") == [50_00, 25_00, 25_00]


async def test_a_use_counts_for_a_day_and_no_longer(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The day is a rolling one, by the books' clock, to the microsecond; a late refund gives nothing back twice."""
    now = [1_000 * DAY]
    monkeypatch.setattr(store, "time", type("Clock", (), {"time_ns": staticmethod(lambda: now[0] * 1000)}))
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(per_day(25_00))
    first = a_transfer("T1")
    await ledger.apply(debit(first))

    now[0] += DAY - 1
    too_early = await ledger.apply(debit(a_transfer("T2", amount_minor=1)))
    now[0] += 1
    free = await ledger.apply_all([debit(a_transfer("T3")), refund(first, "asked")])
    full = await ledger.apply(debit(a_transfer("T4", amount_minor=1)))

    assert too_early.code == Code.LIMIT_EXCEEDED
    assert all(outcome.applied for outcome in free)
    assert full.code == Code.LIMIT_EXCEEDED
    assert await balances(ledger, "alice", "transit:USD") == [75_00, 25_00]


async def test_a_daily_limit_counts_from_when_it_is_set(ledger: Ledger) -> None:
    """What went before was never noted; what was used under an earlier limit of the same day still counts."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer("before")))
    await ledger.apply(per_day(25_00))
    await ledger.apply(debit(a_transfer("T1")))

    gone, again = await ledger.apply_all([per_day(NONE), per_day(30_00)])
    beyond = await ledger.apply(debit(a_transfer("T2", amount_minor=6_00)))
    within = await ledger.apply(debit(a_transfer("T3", amount_minor=5_00)))

    assert gone.applied
    assert again.applied
    assert (beyond.code, within.code) == (Code.LIMIT_EXCEEDED, None)


async def test_two_workers_at_once_use_a_limit_up_once(new_database: Callable[[], str]) -> None:
    """The account's lock puts them one after the other, on whichever worker they come."""
    url = new_database()
    async with AsyncExitStack() as stack:
        ledger = await stack.enter_async_context(Ledger.open(url))
        other = await stack.enter_async_context(Ledger.open(url)) if url.startswith("postgresql") else ledger
        await open_with(ledger, alice=1000_00, bob=0)
        await ledger.apply(per_day(200_00))

        answers = await asyncio.gather(
            *((ledger, other)[n % 2].apply(debit(transfer)) for n, transfer in enumerate(transfers(40)))
        )

        assert sum(answer.applied for answer in answers) == 20
        assert await balances(ledger, "alice", "transit:USD") == [800_00, 200_00]


async def test_entries_are_limited_by_whoever_pays(ledger: Ledger) -> None:
    """A split counts as a whole, a target by what it takes; what comes in, and a reversal, do not count."""
    await open_with(ledger, alice=100_00, bob=0, carol=0)
    transfer = a_transfer("T1", amount_minor=40_00)
    await ledger.apply_all([debit(transfer), credit(transfer)])
    await ledger.apply_all([SetLimits(id, "USD", per_day_minor=10_00) for id in ("alice", "bob")])

    split = Split("S1", "alice", "USD", (Share("bob", 6_00), Share("carol", 5_00)))
    small = Split("S2", "alice", "USD", (Share("bob", 3_00), Share("carol", 2_00)))
    target = TargetBalance("B1", "carol", 8_00, "alice", "USD")
    reversal = Reversal("R1", "T1", "bob", "alice", 40_00, "USD")
    outcomes = [await ledger.apply(entry.operation()) for entry in (split, small, target, reversal)]

    assert [outcome.code for outcome in outcomes] == [Code.LIMIT_EXCEEDED, None, Code.LIMIT_EXCEEDED, None]
    assert await balances(ledger, "alice", "bob", "carol") == [95_00, 3_00, 2_00]


async def test_only_what_is_named_is_set(ledger: Ledger) -> None:
    """The others stay; NONE takes one away; setting what is set changes nothing; postings leave limits alone."""
    await open_with(ledger, alice=100_00, bob=0)
    steps: list[Request] = [
        SetLimits("alice", "USD", per_transfer_minor=50_00, approval_above_minor=0, approvals=2, number=1),
        SetLimits("alice", "USD", per_day_minor=70_00, number=2),
        SetLimits("alice", "USD", per_day_minor=70_00, number=3),
        SetLimits("alice", "USD", per_transfer_minor=NONE, approval_above_minor=NONE, number=3),
        OpenAccount("dora", "USD"),
        SetLimits("dora", "USD", per_transfer_minor=1),
    ]

    outcomes = await ledger.apply_all([*steps, debit(a_transfer())])
    alice, dora = await ledger.account("alice"), await ledger.account("dora")

    assert [(o.applied, o.replayed) for o in outcomes[:4]] == [
        (True, False),
        (True, False),
        (True, True),
        (True, False),
    ]
    assert alice is not None
    assert dora is not None
    assert (alice.limits, alice.balance) == (Limits(per_day_minor=70_00), 75_00)
    assert dora.limits == Limits(per_transfer_minor=1)
    assert await ledger.next_setting("alice") == 4


def test_a_late_attempt_does_not_undo_a_later_limit() -> None:
    """Its number is taken: by itself, or by another setting of the same account, of whichever kind."""
    books = books_with(alice=0)
    first = SetLimits("alice", "USD", per_day_minor=1, number=1)
    ask(books, first, SetLimits("alice", "USD", per_day_minor=2, number=2))

    (zombie,) = ask(books, first)
    frozen, third = ask(
        books,
        SetAccountStatus("alice", AccountStatus.FROZEN, number=1),
        SetLimits("alice", "USD", per_day_minor=NONE, number=2),
    )

    assert (zombie.applied, zombie.replayed) == (True, True)
    assert [answer.key_reused for answer in (frozen, third)] == [True, True]
    assert third.detail == "per_day_minor: 2 -> none"
    assert books.accounts["alice"].limits == Limits(per_day_minor=2)


def test_limits_of_an_unknown_account_or_in_another_currency_are_told() -> None:
    """Nothing is set, and no number is taken."""
    books = books_with(alice=0)

    unknown, foreign = ask(
        books,
        SetLimits("nobody", "USD", per_day_minor=1, number=1),
        SetLimits("alice", "EUR", per_day_minor=1, number=1),
    )

    assert [unknown.code, foreign.code] == [Code.ACCOUNT_NOT_FOUND, Code.CURRENCY_MISMATCH]
    assert books.operations == {}


def test_a_limit_that_was_lowered_leaves_nothing() -> None:
    """More was used than may be now: nothing is left, and never less than nothing."""
    books = books_with(alice=100_00, bob=0)
    ask(books, per_day(50_00), debit(a_transfer()), per_day(10_00))

    (beyond,) = ask(books, debit(a_transfer("T2", amount_minor=1)))

    assert beyond.detail == "account alice may pay 10.00 USD in 24 hours, of which 0.00 USD is left, 0.01 USD asked"
    assert books.changes.uses == [Use("T1/debit", "alice", 0, 25_00)]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"per_day_minor": 0},
        {"per_transfer_minor": -1},
        {"per_day_minor": True},
        {"per_day_minor": 2**63},
        {"approvals": 2},
        {"approval_above_minor": 1},
        {"approval_above_minor": -1, "approvals": 1},
        {"approval_above_minor": 1, "approvals": 0},
        {"approval_above_minor": 1, "approvals": 10},
        {"approval_above_minor": NONE, "approvals": 1},
        {"per_day_minor": 1, "account_id": "transit:USD"},
    ],
)
def test_limits_that_could_never_be_set_are_refused(asked: dict[str, int]) -> None:
    """Before anybody is asked, and without a trace."""
    with pytest.raises(MalformedRequest):
        SetLimits(**({"account_id": "alice", "currency": "USD"} | asked))  # type: ignore[arg-type]  # wrong on purpose


async def test_an_account_without_limits_leaves_no_uses(ledger: Ledger) -> None:
    """And pays for none: no query is made for it."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(SetLimits("bob", "USD", per_transfer_minor=1))
    transfer = a_transfer()

    await ledger.apply_all([debit(transfer), credit(transfer)])

    async with ledger.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT COUNT(*) FROM limit_uses")).scalar_one() == 0
    assert await balance(ledger, "bob") == 25_00
