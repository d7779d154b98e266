"""A bank in a process of its own, and the rail that leads to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rails.bank import BankRail
from tests.support.outside_bank import OutsideBank, outside_bank


@pytest.fixture
async def outside(tmp_path: Path) -> AsyncIterator[OutsideBank]:
    """A simulated bank whose keys live for a day."""
    async with outside_bank(tmp_path) as bank:
        yield bank


@pytest.fixture
async def rail(outside: OutsideBank) -> AsyncIterator[BankRail]:
    """The way to it."""
    rail = BankRail(outside.url)
    yield rail
    await rail.aclose()
