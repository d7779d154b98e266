"""Fixtures of the ledger's own tests."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.approval import Approval
from ledger.audit import audit
from ledger.book import Ledger
from ledger.entries import EntryReversal, Reversal, Share, Split
from ledger.limits import SetLimits
from ledger.operation import OpenAccount
from ledger.operations import approve, credit, debit, deposit
from tests.support.examples import a_transfer, open_with


@pytest.fixture
async def connection(ledger: Ledger) -> AsyncIterator[AsyncConnection]:
    """Raw SQL on books with rows in every table, in a transaction that is rolled back."""
    await open_with(ledger, alice=100_00, bob=50_00, carol=0)
    await open_with(ledger, "EUR", yves=10_00)
    settled = a_transfer("settled")
    await ledger.apply(SetLimits("alice", "USD", per_day_minor=1000_00))
    await ledger.apply(approve(Approval(debit(settled).intent, "carol", "ann")))
    await ledger.apply_all([debit(settled), credit(settled), debit(a_transfer("debited"))])
    await ledger.apply(Reversal("back", "settled", "bob", "alice", 1_00, "USD").operation())
    shared = Split("shared", "alice", "USD", (Share("bob", 2_00), Share("carol", 1_00)))
    await ledger.apply_all([shared.operation(), EntryReversal.of_entry("back-shared", shared, 1_00).operation()])
    async with ledger.engine.connect() as connection:
        await connection.begin()
        yield connection
        await connection.rollback()


@pytest.fixture
async def funded(ledger: Ledger) -> AsyncIterator[Ledger]:
    """Alice has 100.00 and Bob 10.00, of which 25.00 USD went from Alice to Bob as T1; a desk trades euros."""
    await open_with(ledger, alice=125_00, bob=10_00, carol=0)
    await open_with(ledger, "EUR", yves=0)
    await ledger.apply_all([OpenAccount(id, id.rpartition(":")[2]) for id in ("fx:USD", "fx:EUR", "fx-spread:EUR")])
    await ledger.apply(deposit("first-fx", "fx:EUR", 100_00, "EUR"))
    await ledger.apply_all([debit(a_transfer()), credit(a_transfer())])
    yield ledger
    report = await audit(ledger)
    assert report.ok, report.violations
