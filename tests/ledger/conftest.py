"""Fixtures of the ledger's own tests."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from ledger.book import Ledger
from ledger.operations import credit, debit
from tests.support.examples import a_transfer, open_with


@pytest.fixture
async def connection(ledger: Ledger) -> AsyncIterator[AsyncConnection]:
    """Raw SQL on books with rows in every table, in a transaction that is rolled back."""
    await open_with(ledger, alice=100_00, bob=50_00, carol=0)
    await open_with(ledger, "EUR", yves=10_00)
    settled = a_transfer("settled")
    await ledger.apply_all([debit(settled), credit(settled), debit(a_transfer("debited"))])
    async with ledger.engine.connect() as connection:
        await connection.begin()
        yield connection
        await connection.rollback()
