"""Splits and exchanges come back: whole or in part, in proportion, and never more on any account than there was."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.account import AccountStatus
from ledger.audit import audit
from ledger.book import Ledger
from ledger.entries import EntryReversal, Quote, Reversible, Share, Split, at_quote
from ledger.errors import MalformedRequest
from ledger.limits import SetLimits
from ledger.operation import OpenAccount, SetAccountStatus
from ledger.operations import deposit
from ledger.rejections import Code
from tests.support.examples import balances, open_with

NEVER = 2**62
SPLIT = Split("S1", "alice", "USD", (Share("bob", 20_00), Share("carol", 5_00)))
EXCHANGE = at_quote(Quote("Q1", "0.9215", "0.93", NEVER, "fx"), "X1", "alice", "yves", 10_00, "USD", "EUR")
PARTIES = ("alice", "yves", "fx:USD", "fx:EUR", "fx-spread:EUR")


def _back(id: str, original: Reversible, amount_minor: int | None = None) -> EntryReversal:
    return EntryReversal.of_entry(id, original, amount_minor)


async def test_a_split_comes_back_in_proportion_and_not_a_minor_unit_is_lost(funded: Ledger) -> None:
    """Of 20.00 and 5.00, 0.03 and then the rest: 0.02 and 0.01, by largest remainder, and then all that is left."""
    await funded.apply(SPLIT.operation())

    assert (await funded.apply(_back("R1", SPLIT, 3).operation())).applied
    assert await balances(funded, "alice", "bob", "carol") == [75_03, 54_98, 4_99]
    assert (await funded.apply(_back("R2", SPLIT, 24_97).operation())).applied
    assert await balances(funded, "alice", "bob", "carol") == [100_00, 35_00, 0]


async def test_an_exchange_comes_back_at_its_own_rate_with_its_spread(funded: Ledger) -> None:
    """
    For 3.33 of 10.00 USD Yves gives 3.07 EUR, which is 3.068595 rounded up; in the end everybody has what he had.
    """
    before = await balances(funded, *PARTIES)
    await funded.apply(EXCHANGE.operation())

    await funded.apply(_back("R1", EXCHANGE, 3_33).operation())
    assert await balances(funded, *PARTIES) == [93_33, 9_21 - 3_07, 6_67, 100_00 - 9_30 + 3_07 + 2, 9 - 2]

    await funded.apply(_back("R2", EXCHANGE, 6_67).operation())
    assert await balances(funded, *PARTIES) == before


async def test_a_reversal_of_what_was_never_paid_so_is_a_rejection_also_when_all_is_back(funded: Ledger) -> None:
    """Its shares are other ones than those that came back, of one of them less: its neighbour is answered, too."""
    other = Split("S1", "alice", "USD", (Share("bob", 40_00), Share("carol", 1_00)))
    await funded.apply_all([SPLIT.operation(), _back("R1", SPLIT).operation()])

    wrong, right = await funded.apply_all([_back("R2", other, 16_00).operation(), EXCHANGE.operation()])

    assert (wrong.code, right.applied) == (Code.DIFFERS_FROM_ORIGINAL, True)
    assert await balances(funded, "alice", "bob", "carol") == [90_00, 35_00, 0]


async def test_a_reversal_that_would_exceed_the_original_is_a_rejection_for_ever(funded: Ledger) -> None:
    """Of either kind: all of it after a part has come back; nothing moves, also when it is asked again."""
    await funded.apply_all([SPLIT.operation(), EXCHANGE.operation()])
    await funded.apply_all([_back("R1", SPLIT, 1).operation(), _back("R2", EXCHANGE, 1).operation()])
    after = await balances(funded, *PARTIES)

    for reversal in (_back("R3", SPLIT), _back("R4", EXCHANGE)):
        first, again = await funded.apply(reversal.operation()), await funded.apply(reversal.operation())
        assert (first.code, again.code, again.replayed) == (Code.EXCEEDS_ORIGINAL, Code.EXCEEDS_ORIGINAL, True)

    assert await balances(funded, *PARTIES) == after


async def test_only_what_has_happened_and_as_it_happened_comes_back(funded: Ledger) -> None:
    """Not a split that nobody knows, not one that was rejected, and not one of other shares."""
    large = Split("S2", "bob", "USD", (Share("alice", 900_00),))
    await funded.apply_all([SPLIT.operation(), large.operation()])
    other = Split("S1", "alice", "USD", (Share("bob", 5_00), Share("carol", 20_00)))
    unknown = Split("S9", "alice", "USD", (Share("bob", 1),))

    codes = [
        (await funded.apply(_back(f"R{n}", original, 1).operation())).code
        for n, original in enumerate((unknown, large, other))
    ]

    assert codes == [Code.ENTRY_NOT_FOUND, Code.NOT_SETTLED, Code.DIFFERS_FROM_ORIGINAL]
    assert await balances(funded, "alice", "bob", "carol") == [75_00, 55_00, 5_00]


async def test_what_cannot_be_given_back_is_a_rejection_of_the_whole(funded: Ledger) -> None:
    """Carol is frozen, and later has spent it: Bob does not give his part either."""
    await funded.apply(SPLIT.operation())
    await funded.apply(SetAccountStatus("carol", AccountStatus.FROZEN))
    frozen = await funded.apply(_back("R1", SPLIT, 5_00).operation())
    await funded.apply(SetAccountStatus("carol", AccountStatus.OPEN))
    await funded.apply(Split("S2", "carol", "USD", (Share("alice", 4_50),)).operation())
    spent = await funded.apply(_back("R2", SPLIT, 5_00).operation())

    assert (frozen.code, spent.code) == (Code.ACCOUNT_FROZEN, Code.INSUFFICIENT_FUNDS)
    assert await balances(funded, "alice", "bob", "carol") == [79_50, 55_00, 50]


async def test_giving_back_takes_nothing_from_a_limit_and_needs_no_approval(funded: Ledger) -> None:
    """As a reversal of a transfer: who gives back does not pay."""
    await funded.apply(SPLIT.operation())
    await funded.apply(SetLimits("bob", "USD", 1, 1, approval_above_minor=0, approvals=1))

    assert (await funded.apply(_back("R1", SPLIT).operation())).applied


async def test_one_reversal_id_gives_back_one_thing(funded: Ledger) -> None:
    """A reversal's key is the same whatever it gives back: under the id of another it is told what differs."""
    await funded.apply_all([SPLIT.operation(), EXCHANGE.operation()])
    await funded.apply(_back("R1", SPLIT, 5_00).operation())

    other = await funded.apply(_back("R1", EXCHANGE, 5_00).operation())

    assert other.key_reused
    assert "reverses: S1/split -> X1/exchange" in (other.detail or "")


@pytest.mark.parametrize("original", [SPLIT, EXCHANGE], ids=["split", "exchange"])
async def test_twenty_reversals_at_once_never_exceed_the_original(
    new_database: Callable[[], str], original: Reversible
) -> None:
    """Each of a fifth of it, from whichever worker they come: five happen, and everybody has what he had."""
    url = new_database()
    async with AsyncExitStack() as open:
        workers = [await open.enter_async_context(Ledger.open(url))]
        if url.startswith("postgresql"):
            workers.append(await open.enter_async_context(Ledger.open(url)))
        await open_with(workers[0], alice=100_00, bob=0, carol=0)
        await open_with(workers[0], "EUR", yves=0)
        await workers[0].apply_all([OpenAccount(id, id.rpartition(":")[2]) for id in PARTIES[2:]])
        await workers[0].apply(deposit("D", "fx:EUR", 100_00, "EUR"))
        before = await balances(workers[0], *PARTIES, "bob", "carol")
        await workers[0].apply(original.operation())

        part = (25_00 if original is SPLIT else 10_00) // 5
        reversals = [_back(f"R{n}", original, part).operation() for n in range(20)]
        outcomes = await asyncio.gather(*(workers[n % len(workers)].apply(r) for n, r in enumerate(reversals)))

        assert sum(outcome.applied for outcome in outcomes) == 5
        assert {outcome.code for outcome in outcomes} == {None, Code.EXCEEDS_ORIGINAL}
        assert await balances(workers[0], *PARTIES, "bob", "carol") == before
        assert (await audit(workers[0])).ok


@pytest.mark.parametrize("row", ["'R1/reversal', 1, 'S1/split', 500", "'R1/reversal', 7, 'S1/split', 1"])
async def test_the_database_itself_refuses_to_give_back_more_of_a_posting(funded: Ledger, row: str) -> None:
    """Whoever writes to it, and however: 0.01 of Carol's 5.00 has come back, and there is no eighth share."""
    await funded.apply_all([SPLIT.operation(), _back("R1", SPLIT, 3).operation()])
    async with funded.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=r"(?i)more would be given back|already has|unique"):
            await connection.execute(text(f"INSERT INTO entry_reversals VALUES ({row}, 1)"))
        await connection.rollback()


@pytest.mark.parametrize(
    ("reverses", "amount_minor", "currency", "original"),
    [
        ("S1/split", 25_01, "USD", None),
        ("S1/split", 0, "USD", None),
        ("S1/split", 1, "EUR", None),
        ("S1/target", 1, "USD", None),
        ("S1/reversal", 1, "USD", None),
        ("S1", 1, "USD", None),
        ("S1/split", 1, "USD", "{}"),
        ("S1/split", 1, "USD", "no json"),
        ("S1/split", 1, "USD", '{"amount_minor": 1, "currency": "USD", "shares": "bob/1", "source": "alice"}'),
    ],
)
def test_a_reversal_that_could_never_be_is_refused(
    reverses: str, amount_minor: int, currency: str, original: str | None
) -> None:
    """More than there was, nothing, another currency, no key of a split or an exchange, or no canonical content."""
    asked = _back("R1", SPLIT).original if original is None else original
    with pytest.raises(MalformedRequest):
        EntryReversal("R1", reverses, amount_minor, currency, asked)


AMOUNTS = st.integers(1, 10**7)


@given(st.lists(AMOUNTS, min_size=1, max_size=8), st.data())
def test_whatever_parts_a_split_comes_back_in_it_comes_to_its_shares(amounts: list[int], data: st.DataObject) -> None:
    """Each part comes to what is asked, takes no share below zero, and the last one leaves nothing."""
    split = Split("S", "a", "USD", tuple(Share(f"b{n}", amount) for n, amount in enumerate(amounts)))
    _comes_back_exactly(split, amounts, data, lambda before, parts: sum(parts))


@given(AMOUNTS, st.integers(1_000, 200_000_000), st.sampled_from(["EUR", "JPY", "KWD"]), st.data())
def test_whatever_parts_an_exchange_comes_back_in_it_comes_to_its_amounts(
    sold: int, rate: int, into: str, data: st.DataObject
) -> None:
    """
    Between currencies of any decimals: the destination has never given less than the rate says, and in the end exactly
    what it got.
    """
    rates = [f"{millionths // 10**6}.{millionths % 10**6:06}" for millionths in (rate, rate + rate // 100)]
    try:
        exchange = at_quote(Quote("Q", rates[0], rates[1], NEVER, "fx"), "X", "a", "b", sold, "USD", into)
    except MalformedRequest:
        return  # nothing would be bought
    asked = [posting.amount_minor for posting in exchange.operation().postings]
    _comes_back_exactly(exchange, asked, data, lambda before, parts: parts[0])


def _comes_back_exactly(
    original: Reversible, asked: list[int], data: st.DataObject, paid: Callable[[list[int], list[int]], int]
) -> None:
    before = [0 for _ in asked]
    for last in (False, False, False, True):
        if not (left := original.left(before)):
            break
        amount = left if last else data.draw(st.integers(1, left))
        parts = list(original.parts(amount, before))
        assert len(parts) == len(asked)
        assert min(parts) >= 0
        assert paid(before, parts) == amount
        before = [sum(pair) for pair in zip(before, parts, strict=True)]
        assert all(came <= was for came, was in zip(before, asked, strict=True))
    assert before == asked
