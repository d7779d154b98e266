"""Every ending of an occurrence of a recurring transfer, as a short story that a bank plays: see `endings.py`."""

from datetime import datetime

from activities.recurring import RecurringOrder
from ledger import operations
from tests.support.bank import DAYS, Bank


async def occurrence_paid(bank: Bank) -> str:
    """A schedule starts an occurrence, which submits its transfer and waits for its end."""
    return await _occurrence(bank, bank.order("paid"), DAYS[0])


async def occurrence_reused(bank: Bank) -> str:
    """The books know the occurrence with another amount."""
    order = bank.order("reused")
    await bank.ledger.apply(operations.debit(order.occurrence(DAYS[0]).as_transfer()))
    return await _occurrence(bank, order.model_copy(update={"amount_minor": 1}), DAYS[0])


async def no_occurrence(bank: Bank) -> str:
    """Triggered in the Web UI, at a time at which nothing recurs."""
    order = bank.order("triggered")
    await bank.recurring.create(order)
    handle = bank.client.get_schedule_handle(f"recurring/{order.recurring_id}")
    await handle.trigger()
    id = (await bank.started(order, 1))[0]
    await handle.delete()
    await bank.ended(id)
    return id


async def _occurrence(bank: Bank, order: RecurringOrder, nominal: datetime) -> str:
    await bank.recurring.create(order)
    await bank.backfill(order, nominal, nominal)
    id = f"recurring/{order.recurring_id}-{nominal:%Y-%m-%dT%H:%M:%SZ}"
    await bank.ended(id)
    await bank.recurring.delete(order.recurring_id)  # not before: Temporal could forget the backfill with it
    return id


STORIES = (occurrence_paid, occurrence_reused, no_occurrence)
