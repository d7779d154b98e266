"""Entries that are called off, and what the outside is told of how each ended."""

import json

import pytest

from ledger.book import Ledger
from ledger.entries import Entry, EntryReversal, Share, Split
from ledger.operation import Outcome
from ledger.rejections import Code
from tests.ledger.in_memory import ask, books_with
from tests.ledger.test_entries import BACK, PAID, SOLD, TO
from tests.support.examples import balances

UNPAID = EntryReversal.of_entry("R2", PAID, 1_00)
LARGE = Split("S2", "alice", "USD", (Share("bob", 900_00),))
ONE_OF_EACH = pytest.mark.parametrize("entry", [PAID, SOLD, BACK, UNPAID, TO], ids=lambda entry: entry.recipe)


async def _told(books: Ledger, key: str) -> dict[str, object] | None:
    pending = await books.notification(key)
    return None if pending is None else dict(json.loads(pending.body))


@ONE_OF_EACH
async def test_an_entry_that_was_called_off_never_happens(funded: Ledger, entry: Entry) -> None:
    """The fence is under its own key: a late attempt, and a second one, find it, and not a cent moves."""
    before = await balances(funded, "alice", "bob", "carol", "yves")

    called_off = await funded.apply(entry.cancellation("cancelled", "changed my mind"))
    late, again = await funded.apply(entry.operation()), await funded.apply(entry.operation())

    assert (called_off.applied, late.fenced, again.fenced) == (True, True, True)
    assert (late.code, late.detail) == (f"{entry.key}/cancel", "cancelled: changed my mind")
    assert await balances(funded, "alice", "bob", "carol", "yves") == before
    assert (await funded.entries(entry.id))[0][0] == entry


async def test_a_cancel_after_the_entry_is_too_late(funded: Ledger) -> None:
    """Whether it was paid or refused: what happened stays, and the answer says which it was, for ever."""
    await funded.apply_all([PAID.operation(), LARGE.operation()])

    answers = [await funded.apply(entry.cancellation("cancelled")) for entry in (PAID, LARGE, PAID)]

    codes = [Code.ALREADY_ENTERED, Code.ALREADY_REJECTED, Code.ALREADY_ENTERED]
    assert ([answer.code for answer in answers], answers[2].replayed) == (codes, True)
    assert await balances(funded, "alice", "bob", "carol") == [75_00, 55_00, 5_00]


def test_other_content_under_a_fenced_id_is_told_what_differs() -> None:
    """The id belongs to what was called off."""
    books = books_with(alice=100_00, bob=0, carol=0)
    other = Split("S1", "alice", "USD", (Share("bob", 25_00),))

    _, answer = ask(books, PAID.cancellation("cancelled"), other.operation())

    assert (answer.key_reused, answer.detail) == (True, "shares: bob/2000 carol/500 -> bob/2500")


def test_a_cancel_of_an_entry_is_none_of_the_transfer_with_the_same_id() -> None:
    """Their keys differ in every part but the id."""
    assert PAID.cancellation("cancelled").key == "S1/split/cancel"


@pytest.mark.parametrize(
    ("entry", "status", "reason"),
    [(PAID, "settled", None), (LARGE, "rejected", "insufficient_funds"), (SOLD, "cancelled", "denied")],
    ids=["settled", "rejected", "cancelled"],
)
async def test_the_outbox_tells_how_an_entry_ended(
    funded: Ledger, entry: Entry, status: str, reason: str | None
) -> None:
    """From its own transaction on, once, under a key of its own, and with everything that was asked."""
    if status == "cancelled":
        await funded.apply(entry.cancellation("denied", "by Zoë: no"))
    outcomes: list[Outcome] = [await funded.apply(entry.operation()) for _ in range(2)]

    key = f"{entry.key}/notify/{status}"
    told = await _told(funded, key)

    assert told is not None
    assert told == dict(entry.content()) | {
        "type": f"{entry.leg}.{status}",
        "id": entry.id,
        "kind": entry.leg,
        "status": status,
        "iso20022_status": {"settled": "ACSC", "rejected": "RJCT", "cancelled": "CANC"}[status],
        "reason": reason,
        "detail": outcomes[0].detail,
    }
    assert [pending.key for pending in await funded.undelivered(2**62) if pending.transfer_id is None] == [key]
