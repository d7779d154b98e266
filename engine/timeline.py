"""Timeline: one transfer as Temporal and the books remember it, merged into one list of lines. Pure: no I/O, no clock.

Lines are in the order of their instants. Those of the books were given by the worker that wrote, those of Temporal's
history by Temporal's servers: on several machines, lines may change places by as much as their clocks differ. At one
instant Temporal comes first, then what one transaction of the ledger wrote: the beginning of the transfer's life, the
outcome, its postings, its fence, the change of the status, the notification.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ledger.money import say
from ledger.operation import OutcomeKind, Posting
from ledger.story import Change, Entry, Story


class Source(StrEnum):
    """Where a line comes from."""

    TEMPORAL = "temporal"
    LEDGER = "ledger"
    NOTIFY = "notify"


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened: when (microseconds), according to whom, what, and under which key.

    `detail` says more, for people. A movement of money has its `posting`, an event of Temporal's its `run_id`.
    """

    at: int
    source: Source
    what: str
    key: str | None = None
    detail: str | None = None
    posting: Posting | None = None
    run_id: str | None = None


def merge(story: Story | None, moments: Iterable[Line]) -> list[Line]:
    """All lines about a transfer, in order. `moments` are Temporal's, in the order of its history."""
    told = _of_the_books(story) if story else ()
    return sorted([*moments, *told], key=lambda line: line.at)


def _of_the_books(story: Story) -> Iterator[Line]:
    """The lines of the books, those of one instant in the order in which they belong."""
    fences = {entry.code: entry for entry in story.entries if entry.outcome is OutcomeKind.FENCED}
    for entry in story.entries:
        changes = [change for change in story.changes if change.operation_key == entry.key]
        yield from (_changed(change) for change in changes if change.before is None)
        if entry.outcome is not OutcomeKind.FENCED:
            yield _decided(entry)
        yield from (_moved(entry, posting) for posting in entry.postings)
        if entry.key in fences:
            yield _fenced(fences[entry.key])
        yield from (_changed(change) for change in changes if change.before is not None)
    for telling in story.tellings:
        yield Line(telling.recorded_at, Source.NOTIFY, "put in the outbox", telling.key)
        if telling.delivered_at is not None:
            yield Line(telling.delivered_at, Source.NOTIFY, "known to be delivered", telling.key)


def _decided(entry: Entry) -> Line:
    what = f"{operation(entry.key)} {entry.outcome}" + (f": {entry.code}" if entry.code else "")
    return Line(entry.recorded_at, Source.LEDGER, what, entry.key, entry.detail)


def _moved(entry: Entry, posting: Posting) -> Line:
    amount = say(posting.amount_minor, posting.currency)
    what = f"{amount}  {posting.debit_account_id} → {posting.credit_account_id}"
    return Line(entry.recorded_at, Source.LEDGER, what, entry.key, posting=posting)


def _fenced(entry: Entry) -> Line:
    what = f"{operation(entry.key)} fenced: it will never apply"
    return Line(entry.recorded_at, Source.LEDGER, what, entry.key, entry.detail)


def _changed(change: Change) -> Line:
    what = change.after if change.before is None else f"{change.before} → {change.after}"
    detail = ": ".join(filter(None, (change.reason, change.detail)))
    return Line(change.recorded_at, Source.LEDGER, what, change.operation_key, detail or None)


def operation(key: str) -> str:
    """What a key is about, without its owner: `credit/2` of `T1/credit/2`."""
    return key.partition("/")[2]
