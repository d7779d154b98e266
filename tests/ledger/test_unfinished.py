"""What stands still in the books: the questions that a sweep asks of them."""

import time

from ledger import schema
from ledger.book import Ledger
from ledger.database import reading
from ledger.operation import MarkDelivered
from ledger.operations import cancel, credit, debit, refund
from ledger.reader import START, Reader
from tests.support.examples import a_transfer, open_with, transfers

LATER = 3600 * 1_000_000


def _now() -> int:
    return time.time_ns() // 1000


async def test_what_is_in_transit_is_unfinished_and_nothing_else_is(ledger: Ledger) -> None:
    """
    A transfer's first operation brings it further than accepted in the same transaction, so none stands there.
    """
    await open_with(ledger, alice=100_00, bob=0)
    in_transit, settled, given_back, never_debited = transfers(4)
    too_much = a_transfer("too-much", amount_minor=1_000_00)
    await ledger.apply_all([debit(transfer) for transfer in (in_transit, settled, given_back, too_much)])
    await ledger.apply_all([credit(settled), refund(given_back, "cancelled"), cancel(never_debited, "cancelled")])

    unfinished = await ledger.unfinished(_now() + LATER)

    assert [one.state.transfer for one in unfinished] == [in_transit]
    async with reading(ledger.engine) as connection:
        standing = {row.status for row in await connection.execute(schema.transfers.select())}
    assert standing == {"debited", "settled", "refunded", "rejected", "cancelled"}


async def test_unfinished_transfers_come_in_pages_the_longest_unchanged_first(ledger: Ledger) -> None:
    """
    Also where many have changed in the same instant: each is in one page, none in two.
    """
    await open_with(ledger, alice=100_00, bob=0)
    asked = transfers(7)
    for some in (asked[:1], asked[1:6], asked[6:]):  # the five of a batch have one instant
        await ledger.apply_all([debit(transfer) for transfer in some])

    seen, place = [], START
    while page := await ledger.unfinished(_now() + LATER, place, limit=2):
        seen.append([one.state.transfer for one in page])
        place = page[-1].place

    assert seen == [asked[0:2], asked[2:4], asked[4:6], asked[6:]]


async def test_what_changed_since_is_not_among_what_stands_still(ledger: Ledger) -> None:
    """
    The credit of most transfers comes within a moment of their debit.
    """
    await open_with(ledger, alice=100_00, bob=0)
    began = _now()
    await ledger.apply(debit(a_transfer()))

    assert await ledger.unfinished(began) == []
    assert len(await ledger.unfinished(_now() + 1)) == 1


async def test_a_notification_is_undelivered_until_it_is_marked(ledger: Ledger) -> None:
    """
    The outbox answers in pages too, the oldest first.
    """
    await open_with(ledger, alice=100_00, bob=0)
    began = _now()
    settled = transfers(4)
    await ledger.apply_all([operation(transfer) for transfer in settled for operation in (debit, credit)])
    keys = [f"{transfer.id}/notify/settled" for transfer in settled]
    await ledger.apply(MarkDelivered((keys[0],)))

    first = await ledger.undelivered(_now() + LATER, limit=2)
    rest = await ledger.undelivered(_now() + LATER, first[-1].place, limit=2)

    assert [(one.key, one.transfer_id) for one in [*first, *rest]] == [
        (key, transfer.id) for key, transfer in zip(keys[1:], settled[1:], strict=True)
    ]
    assert await ledger.undelivered(began) == []


async def test_a_reader_who_may_not_write_may_ask_what_stands_still(ledger: Ledger, database_url: str) -> None:
    """
    The questions take no lock and write nothing.
    """
    await open_with(ledger, alice=100_00, bob=0)
    await ledger.apply(debit(a_transfer()))

    async with Reader.open_read_only(database_url) as reader:
        assert len(await reader.unfinished(_now() + LATER)) == 1
        assert await reader.undelivered(_now() + LATER) == []
