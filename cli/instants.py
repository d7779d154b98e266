"""Instants: how people and scripts write a moment in time, and how it is written back to them.

Inside, an instant is whole microseconds since 1970-01-01T00:00:00Z, as in the books.
"""

import re
from datetime import UTC, datetime, timedelta

from ledger.errors import MalformedRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d (?P<time>[T ] \d\d:\d\d (:\d\d (\.\d{1,6})?)? (Z|[+-]\d\d:\d\d))?", re.ASCII | re.VERBOSE
)


def parse_instant(text: str) -> int:
    """`2026-07-01T12:00:00+02:00`, or `2026-07-01`, which is its beginning in UTC. Raises MalformedRequest.

    A time without a zone is refused: it would mean something else on every machine.
    """
    match = _INSTANT.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        instant = datetime.fromisoformat(text if match["time"] else f"{text}T00:00Z").astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedRequest(
            f"{text!r} is not an instant such as 2026-07-01T12:00:00Z (with a zone), nor a date such as 2026-07-01"
        ) from None
    return (instant - _EPOCH) // timedelta(microseconds=1)


def show_instant(microseconds: int, timespec: str = "auto") -> str:
    """An instant in UTC, as ISO 8601."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec=timespec)
