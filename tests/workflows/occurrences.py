"""Occurrences: having Temporal start those of some days, as the Web UI does, and waiting for their ends."""

import asyncio
from datetime import datetime

from temporalio.service import RPCError

from activities.recurring import RecurringOrder
from tests.support.bank import PATIENCE, Bank


def occurrence_workflow(order: RecurringOrder, nominal: datetime) -> str:
    return f"recurring/{order.recurring_id}-{nominal:%Y-%m-%dT%H:%M:%SZ}"


async def backfill(bank: Bank, order: RecurringOrder, *days: datetime) -> list[str | None]:
    """Backfill from the first to the last of these days, and wait for the end of each: why it was not paid, if so."""
    before = {day: await _run_id(bank, occurrence_workflow(order, day)) for day in days}
    await bank.backfill(order, days[0], days[-1])
    for day in days:
        async with asyncio.timeout(PATIENCE):
            while await _run_id(bank, occurrence_workflow(order, day)) == before[day]:
                await asyncio.sleep(0.05)
    return [await bank.ended(occurrence_workflow(order, day)) for day in days]


async def _run_id(bank: Bank, id: str) -> str | None:
    try:
        return (await bank.client.get_workflow_handle(id).describe()).run_id
    except RPCError:
        return None
