"""A Temporal server for all tests of this folder, and a bank for each."""

from collections.abc import AsyncIterator

import pytest
from temporalio.client import Client

from ledger.book import Ledger
from tests.support.bank import Bank
from tests.support.examples import open_with


@pytest.fixture
async def idle_bank(ledger: Ledger, temporal: Client) -> Bank:
    """A bank without a worker: Alice has 100.00 USD, Bob and Carol nothing."""
    await open_with(ledger, alice=100_00, bob=0, carol=0)
    return Bank(ledger, temporal)


@pytest.fixture
async def bank(idle_bank: Bank) -> AsyncIterator[Bank]:
    """A bank with a running worker: Alice has 100.00 USD, Bob and Carol nothing."""
    async with idle_bank.working():
        yield idle_bank
