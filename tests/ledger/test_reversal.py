"""Reversals: a settled transfer comes back, whole or in part, and never more of it than there was."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ledger.audit import audit
from ledger.book import Ledger
from ledger.entries import Reversal, Share, Split
from ledger.operations import credit, debit
from ledger.rejections import Code
from tests.support.examples import a_transfer, balance, balances, open_with


def _back(id: str, amount_minor: int, of: str = "T1") -> Reversal:
    return Reversal(id, of, "bob", "alice", amount_minor, "USD")


async def test_a_transfer_is_given_back_in_parts_and_never_more_than_it_was(funded: Ledger) -> None:
    """25.00 went to Bob: 20.00 and 5.00 come back, and not a cent more."""
    codes = [(await funded.apply(_back(f"R{amount}", amount).operation())).code for amount in (20_00, 6_00, 5_00, 1)]

    assert codes == [None, Code.EXCEEDS_ORIGINAL, None, Code.EXCEEDS_ORIGINAL]
    assert await balances(funded, "alice", "bob") == [125_00, 10_00]


async def test_only_a_settled_transfer_can_be_given_back(funded: Ledger) -> None:
    """Not one on its way, not one that nobody knows, and not a reversal."""
    await funded.apply(debit(a_transfer("T2")))
    await funded.apply(_back("R1", 5_00).operation())

    answers = [await funded.apply(_back(f"of-{of}", 1_00, of).operation()) for of in ("T2", "T9", "R1")]

    assert [answer.code for answer in answers] == [Code.NOT_SETTLED, Code.TRANSFER_NOT_FOUND, Code.TRANSFER_NOT_FOUND]
    assert await balance(funded, "bob") == 30_00


async def test_a_reversal_goes_between_the_accounts_of_the_original(funded: Ledger) -> None:
    """Carol, who had no part in it, neither pays for it nor gets it."""
    await open_with(funded, dora=50_00)

    answers = [
        await funded.apply(Reversal("R1", "T1", "bob", "carol", 1_00, "USD").operation()),
        await funded.apply(Reversal("R2", "T1", "dora", "alice", 1_00, "USD").operation()),
    ]

    assert [answer.code for answer in answers] == [Code.DIFFERS_FROM_ORIGINAL] * 2


async def test_what_was_spent_cannot_be_given_back(funded: Ledger) -> None:
    """Bob has less than the transfer brought him: a rejection, as for any payment of his."""
    await funded.apply(debit(a_transfer("T2", "bob", "carol", 34_00)))

    assert (await funded.apply(_back("R1", 25_00).operation())).code == Code.INSUFFICIENT_FUNDS


async def test_reversals_at_once_never_exceed_the_original(new_database: Callable[[], str]) -> None:
    """Twenty of 5.00 each, of a transfer of 25.00: five happen, from whichever worker they come."""
    url = new_database()
    async with AsyncExitStack() as open:
        workers = [await open.enter_async_context(Ledger.open(url))]
        if url.startswith("postgresql"):
            workers.append(await open.enter_async_context(Ledger.open(url)))
        await open_with(workers[0], alice=25_00, bob=100_00)
        await workers[0].apply_all([debit(a_transfer()), credit(a_transfer())])

        reversals = [_back(f"R{n}", 5_00).operation() for n in range(20)]
        outcomes = await asyncio.gather(
            *(workers[n % len(workers)].apply(operation) for n, operation in enumerate(reversals))
        )

        assert sum(outcome.applied for outcome in outcomes) == 5
        assert await balances(workers[0], "alice", "bob") == [25_00, 100_00]
        assert (await audit(workers[0])).ok


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("('S1/split', 'T1', 2501, 1)", "more would be given back"),
        ("('S1/split', 'T9', 1, 1)", "more would be given back"),
        ("('S1/split', 'T1', 0, 1)", "(?i)check|more would"),
    ],
)
async def test_the_database_itself_refuses_to_give_back_too_much(funded: Ledger, row: str, said: str) -> None:
    """Whoever writes to it, and however."""
    await funded.apply(Split("S1", "alice", "USD", (Share("bob", 1),)).operation())
    async with funded.engine.connect() as connection:
        with pytest.raises(DBAPIError, match=said):
            await connection.execute(text(f"INSERT INTO reversals VALUES {row}"))
        await connection.rollback()
