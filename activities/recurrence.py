"""Recurrence: at which instants something recurs. Pure, in whole seconds since 1970, in UTC.

    Every     epoch + offset + n * seconds, as Temporal's intervals are
    Cron      minute hour day-of-month month day-of-week

That a cron names both a day of the month and a day of the week is refused: some programs take it for "or", others,
Temporal among them, for "and".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ledger.errors import MalformedRequest

_PART = re.compile(r"(?:\*|(?P<first>\d{1,2})(?:-(?P<last>\d{1,2}))?)(?:/(?P<step>\d{1,2}))?", re.ASCII)
FIELDS: Mapping[str, tuple[int, int]] = {
    "minute": (0, 59),
    "hour": (0, 23),
    "day_of_month": (1, 31),
    "month": (1, 12),
    "day_of_week": (0, 6),
}
"""The fields of a cron, with the least and the greatest number that each can have. Sunday is 0."""

LONGEST = 366 * 24 * 3600
"""The most seconds from one occurrence to the next."""


@dataclass(frozen=True, slots=True)
class Every:
    """Every so many seconds, at `offset` seconds into each interval."""

    seconds: int
    offset: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.seconds <= LONGEST:
            raise MalformedRequest(f"something can recur every 1 to {LONGEST} s, not every {self.seconds}")

    def has(self, second: int) -> bool:
        """Whether it recurs at this second."""
        return (second - self.offset) % self.seconds == 0


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron of five fields of numbers, such as `0 9 1 * *`: at 09:00 on the first of each month."""

    numbers: Mapping[str, frozenset[int]]

    @classmethod
    def parse(cls, text: str) -> "Cron":
        """Numbers, `*`, ranges, steps and lists. Raises MalformedRequest."""
        fields = text.split(" ")
        if len(fields) != len(FIELDS):
            raise MalformedRequest(f"{text!r} is not a cron of five fields such as '0 9 1 * *'")
        numbers = {name: _numbers(name, field) for name, field in zip(FIELDS, fields, strict=True)}
        if not any(numbers[name] == _whole(name) for name in ("day_of_month", "day_of_week")):
            raise MalformedRequest(f"{text!r} names a day of the month and a day of the week: only one of them can be")
        if not any(day <= _DAYS[month] for month in numbers["month"] for day in numbers["day_of_month"]):
            raise MalformedRequest(f"{text!r} is a day that never comes")
        return cls(numbers)

    def has(self, second: int) -> bool:
        """Whether it recurs at this second."""
        moment = datetime.fromtimestamp(second, UTC)
        values = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
        named = all(value in self.numbers[name] for name, value in zip(FIELDS, values, strict=True))
        return moment.second == 0 and named


Recurrence = Every | Cron


def occurrence_id(recurring_id: str, nominal: datetime) -> str:
    """The transfer id of an occurrence, by its nominal time in UTC, in whole seconds: `rent.2026-12-01T090000Z`."""
    return f"{recurring_id}.{nominal:%Y-%m-%dT%H%M%SZ}"


def recurrence(cron: str | None, every_seconds: int | None, starting_at: int | None) -> Recurrence:
    """Either of the two; an interval is counted from `starting_at` (microseconds), or from 1970 without it."""
    if (cron is None) == (every_seconds is None):
        raise MalformedRequest("something recurs by a cron or by an interval: one of both is needed")
    if cron is not None:
        return Cron.parse(cron)
    assert every_seconds is not None
    return Every(every_seconds, (starting_at or 0) // 1_000_000 % max(every_seconds, 1))


_DAYS = {month: 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31 for month in range(1, 13)}


def _whole(name: str) -> frozenset[int]:
    least, greatest = FIELDS[name]
    return frozenset(range(least, greatest + 1))


def _numbers(name: str, field: str) -> frozenset[int]:
    """The numbers of one field: `1,15`, `1-5`, `*/10`, `*`."""
    least, greatest = FIELDS[name]
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            raise MalformedRequest(f"{part!r} is nothing that a cron's {name} can be")
        step = int(match["step"] or 1)
        first = least if match["first"] is None else int(match["first"])
        alone = match["first"] is not None and match["step"] is None
        last = int(match["last"]) if match["last"] else first if alone else greatest
        if step < 1 or not least <= first <= last <= greatest:
            raise MalformedRequest(f"{part!r} is nothing that a cron's {name} can be: {least} to {greatest}")
        found.update(range(first, last + 1, step))
    return frozenset(found)
