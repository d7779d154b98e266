"""When something recurs: what can be ordered, and that Temporal takes it as we do."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from activities.recurring import RecurringOrder
from tests.support.bank import Bank
from tests.support.databases import only_sqlite
from tests.workflows.conftest import Order


@only_sqlite
async def test_creating_it_again_tells_what_differs(idle_bank: Bank, order: Order) -> None:
    """
    The same again is no error.
    """
    rent, other = order(), order(amount_minor=1, cron="0 10 1-3 * *")

    first, again = await idle_bank.recurring.create(rent), await idle_bank.recurring.create(rent)
    differences = await idle_bank.recurring.create(other)

    assert first == again == []
    assert differences == ["amount_minor: 1000 -> 1", "cron: 0 9 1-3 * * -> 0 10 1-3 * *"]


@only_sqlite
@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "0 9 1 * *"},
        {"cron": "*/20 8-9,18 * 2,12 1-5"},
        {"cron": "5/25 0 29-31 */2 *"},
        {"cron": "59 23 * * 0,6/1", "starting_at": 1_769_904_000_000_000},
        {"cron": None, "every_seconds": 30 * 24 * 3600, "starting_at": 1_769_938_200_000_000},
        {"cron": None, "every_seconds": 7 * 3600 + 11 * 60},
    ],
)
async def test_temporal_takes_when_it_recurs_as_we_do(idle_bank: Bank, order: Order, fields: dict[str, object]) -> None:
    """
    Every minute that it names within four months is one of ours, and there are no others.
    """
    ours = order(**fields)
    await idle_bank.recurring.create(ours)
    begin, end = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)

    theirs = await idle_bank.recurring.between(ours.recurring_id, begin, end)

    recurrence = ours.recurrence()  # read once, for what recurs needs it at least
    minutes = (begin + timedelta(minutes=minute) for minute in range((end - begin) // timedelta(minutes=1)))
    possible = [minute for minute in minutes if recurrence.has(int(minute.timestamp()))]
    assert theirs
    assert [minute for minute in possible if ours.recurs_at(minute)] == theirs


@pytest.mark.parametrize(
    "fields",
    [
        {"cron": "0 9 1 *"},
        {"cron": "60 9 1 * *"},
        {"cron": "0 9 0 * *"},
        {"cron": "0 9 1 * MON"},
        {"cron": "0 9 1 * 1"},
        {"cron": "0 9 31 2,4 *"},
        {"cron": "*/0 9 1 * *"},
        {"cron": "5-3 9 1 * *"},
        {"cron": "@monthly"},
        {"cron": "٠ 9 1 * *"},
        {"cron": None},
        {"every_seconds": 60},
        {"cron": None, "every_seconds": 0},
        {"cron": None, "every_seconds": 10**9},
        {"starting_at": 1},
        {"amount_minor": 0},
        {"destination": "alice"},
        {"recurring_id": "a/b"},
        {"recurring_id": "x" * 110},
    ],
)
def test_an_order_that_can_never_be_paid_is_refused(fields: dict[str, object]) -> None:
    """
    Before anything recurs: an occurrence would find out too late.
    """
    good = {"recurring_id": "rent", "source": "alice", "destination": "bob", "amount_minor": 1, "currency": "USD"}
    RecurringOrder.model_validate(good | {"cron": "0 9 1 * *"})

    with pytest.raises(ValidationError):
        RecurringOrder.model_validate(good | {"cron": "0 9 1 * *"} | fields)
