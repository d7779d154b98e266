"""A process remembers the notifications that it has just committed: the first look at one needs no database."""

import pytest
from sqlalchemy import text

from ledger import book
from ledger.book import Ledger
from ledger.entries import Share, Split
from ledger.errors import OutcomeUnknown
from ledger.operation import MarkDelivered
from ledger.operations import credit, debit
from ledger.reader import Reader
from tests.ledger.test_unknown import BrokenCommits
from tests.support.examples import a_transfer, open_with

KEY = "T1/notify/settled"


async def test_what_is_remembered_is_what_the_books_say(ledger: Ledger) -> None:
    """Of a transfer and of an entry: the first look, the second, and somebody else's are the same."""
    await open_with(ledger, alice=100_00, bob=0)
    split = Split("S1", "alice", "USD", (Share("bob", 2_00),)).operation()
    await ledger.apply_all([debit(a_transfer()), credit(a_transfer()), split])
    keys = [KEY, "S1/split/notify/settled"]

    first = [await ledger.notification(key) for key in keys]
    second = [await ledger.notification(key) for key in keys]
    elsewhere = [await Reader(ledger.engine).notification(key) for key in keys]

    assert None not in first
    assert first == second == elsewhere


@pytest.mark.parametrize("executed", [True, False], ids=["executed", "not executed"])
async def test_nothing_is_remembered_of_a_commit_whose_answer_was_lost(ledger: Ledger, executed: bool) -> None:
    """What was not committed is not told; what was is read from the books."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer()))

    with BrokenCommits(ledger, executed), pytest.raises(OutcomeUnknown):
        await ledger.apply(credit(a_transfer()))

    assert (await ledger.notification(KEY) is not None) == executed


async def test_one_that_was_delivered_is_no_longer_remembered(ledger: Ledger) -> None:
    """Nobody delivers it a second time because this process has not yet looked."""
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([debit(a_transfer()), credit(a_transfer())])

    await ledger.apply(MarkDelivered((KEY,)))

    looked = await ledger.notification(KEY)
    assert looked is not None
    assert looked.delivered_at is not None


async def test_only_so_many_are_remembered(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest is forgotten first, and is found in the books."""
    monkeypatch.setattr(book, "FRESH", 2)
    await open_with(ledger, alice=100_00, bob=0)
    several = [a_transfer(f"T{number}") for number in range(3)]
    await ledger.apply_all([debit(transfer) for transfer in several])

    for transfer in several:
        await ledger.apply(credit(transfer))

    assert list(ledger._fresh) == ["T1/notify/settled", "T2/notify/settled"]
    assert await ledger.notification("T0/notify/settled") is not None


async def test_what_was_committed_a_while_ago_is_read_from_the_books(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process may have delivered it since, and only the books know."""
    monkeypatch.setattr(book, "FRESH_SECONDS", 0.0)
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply_all([debit(a_transfer()), credit(a_transfer())])
    async with ledger.engine.begin() as elsewhere:
        await elsewhere.execute(text("UPDATE notifications SET delivered_at = 5"))

    looked = await ledger.notification(KEY)

    assert looked is not None
    assert looked.delivered_at == 5
