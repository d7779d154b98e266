"""A Temporal server for all tests of this folder, and a bank for each."""

from collections.abc import AsyncIterator, Callable

import pytest
from temporalio.client import Client

from activities.recurring import RecurringOrder
from ledger.book import Ledger
from tests.support.bank import Bank
from tests.support.examples import open_with

Order = Callable[..., RecurringOrder]


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


@pytest.fixture
async def order(idle_bank: Bank) -> AsyncIterator[Order]:
    """A function that makes orders of this bank, whose schedules are gone after the test."""
    made: list[RecurringOrder] = []

    def make(**fields: object) -> RecurringOrder:
        made.append(RecurringOrder.model_validate(idle_bank.order().model_dump() | fields))
        return made[-1]

    yield make
    for one in made:
        await idle_bank.recurring.delete(one.recurring_id)
