"""Entries: movements of many postings or of one, whole or not at all, each once under its own key."""

import json

import pytest

from ledger.book import Ledger
from ledger.entries import KINDS, Entry, EntryReversal, Quote, Reversal, Share, Split, TargetBalance, at_quote
from tests.support.examples import balances

PAID = Split("S1", "alice", "USD", (Share("bob", 20_00), Share("carol", 5_00)))
SOLD = at_quote(Quote("Q1", "0.9215", "0.93", 2**62, "fx"), "X1", "alice", "yves", 10_00, "USD", "EUR")
BACK = Reversal("R1", "T1", "bob", "alice", 5_00, "USD")
TO = TargetBalance("B1", "alice", 40_00, "bob", "USD")
UNPAID = EntryReversal.of_entry("R2", Split("S9", "alice", "USD", (Share("bob", 1_00),)))
ACCOUNTS = ("alice", "bob", "carol", "yves", "fx:USD", "fx:EUR", "fx-spread:EUR")
ONE_OF_EACH = pytest.mark.parametrize("entry", [PAID, SOLD, BACK, TO], ids=lambda entry: entry.leg)


@ONE_OF_EACH
async def test_an_entry_asked_twice_moves_once(funded: Ledger, entry: Entry) -> None:
    """The second answer is the first one, replayed; not a cent moves."""
    first = await funded.apply(entry.operation())
    after = await balances(funded, *ACCOUNTS)

    again = await funded.apply(entry.operation())

    assert (first.applied, first.replayed, again.applied, again.replayed) == (True, False, True, True)
    assert await balances(funded, *ACCOUNTS) == after


@pytest.mark.parametrize("entry", [PAID, SOLD, BACK, UNPAID, TO], ids=lambda entry: entry.recipe)
async def test_an_entry_comes_back_from_what_is_recorded_of_it(funded: Ledger, entry: Entry) -> None:
    """An auditor can make the whole entry again of its key and its fingerprint."""
    await funded.apply(entry.operation())

    asked = await funded.asked(entry.operation().key)

    assert asked is not None
    (kind,) = [kind for kind in KINDS if kind.recipe == asked.recipe]
    assert kind.of(entry.id, json.loads(asked.text)) == entry


async def test_an_entry_with_other_content_is_told_what_differs(funded: Ledger) -> None:
    """The id belongs to the first content, for ever."""
    await funded.apply(PAID.operation())

    other = await funded.apply(Split("S1", "alice", "USD", (Share("bob", 24_00), Share("carol", 1_00))).operation())

    assert other.key_reused
    assert other.detail == "shares: bob/2000 carol/500 -> bob/2400 carol/100"
    assert await balances(funded, "alice", "bob", "carol") == [75_00, 55_00, 5_00]
