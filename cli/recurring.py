"""recurring: what is ordered once and paid at each instant at which it recurs. Each command is safe to repeat."""

import asyncio
import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from activities.recurrence import occurrence_id
from cli.answers import Answer, Exit
from cli.instants import parse_instant, show_instant
from cli.reach import books, known_otherwise, temporal
from cli.transfers import KEY_REUSED, check_reason
from cli.transfers import transfer as submit_transfer
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_id, operation_key
from ledger.money import say

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from activities.messages import TransferRequest
    from activities.recurring import OrderChange, RecurringOrder
    from engine.recurring import Recurring, RecurringTransfers

MOST_OCCURRENCES = 1000
"""How many occurrences of a period Temporal counts."""

VERSION_CONFLICT = "version_conflict"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
_EVERY = re.compile(r"(?P<number>\d{1,9})(?P<unit>[smhd])", re.ASCII)


def parse_every(text: str) -> int:
    """`30d`, `12h`, `15m` or `90s`, in seconds. Raises MalformedRequest."""
    match = _EVERY.fullmatch(text)
    if match is None:
        raise MalformedRequest(f"{text!r} is not an interval such as 30d, 12h, 15m or 90s")
    return int(match["number"]) * _UNITS[match["unit"]]


async def create(settings: Settings, order: "RecurringOrder", timeout_seconds: float) -> Answer:
    """Make a recurring transfer; the same again is no error, another of the same id is key_reused."""
    async with _reach(settings, timeout_seconds) as recurring:
        differences = await recurring.create(order)
        if differences:
            data = {"recurring_id": order.recurring_id, "status": KEY_REUSED, "detail": "; ".join(differences)}
            return Answer(data, Exit.KEY_REUSED, _headline(order.recurring_id, "red", KEY_REUSED), hide=_SHOWN)
        found = await recurring.find(order.recurring_id)
    return _not_found(order.recurring_id) if found is None else _told(found)


async def change(settings: Settings, recurring_id: str, change: "OrderChange", timeout_seconds: float) -> Answer:
    """Change what is not due yet; `version_conflict` if it is neither as expected nor as wanted."""
    check_id(recurring_id, "recurring id")
    async with _reach(settings, timeout_seconds) as recurring:
        found = await recurring.change(recurring_id, change)
    if found is None:
        return _not_found(recurring_id)
    if change.fits(found.order):
        return _told(found)
    detail = f"it is at version {found.order.version}, not {change.expected_version}: look at it with `recurring show`"
    data = {"recurring_id": recurring_id, "status": None, "reason": VERSION_CONFLICT, "detail": detail}
    return Answer(data, Exit.NO, _headline(recurring_id, "yellow", VERSION_CONFLICT), hide=_SHOWN | {"reason"})


async def pause(settings: Settings, recurring_id: str, reason: str, timeout_seconds: float) -> Answer:
    """Let nothing come due until it is resumed."""
    check_reason(reason)
    return await _set(settings, recurring_id, lambda all, _: all.pause(recurring_id, reason), timeout_seconds)


async def resume(settings: Settings, recurring_id: str, reason: str, timeout_seconds: float) -> Answer:
    """Let it recur again; what came due meanwhile is for a backfill."""
    check_reason(reason)
    return await _set(settings, recurring_id, lambda all, _: all.resume(recurring_id, reason), timeout_seconds)


async def delete(settings: Settings, recurring_id: str, timeout_seconds: float) -> Answer:
    """End it. That there is none any more is no error."""
    check_id(recurring_id, "recurring id")
    async with _reach(settings, timeout_seconds) as recurring:
        was_there = await recurring.delete(recurring_id)
    detail = None if was_there else "there is none of this id (any more)"
    data = {"recurring_id": recurring_id, "status": "deleted", "detail": detail}
    return Answer(data, headline=_headline(recurring_id, "green", "deleted"), hide=_SHOWN)


async def trigger(
    settings: Settings, recurring_id: str, occurrence: str | None, wait: bool, timeout_seconds: float
) -> Answer:
    """Pay one occurrence now, and not again when its time comes. It is a transfer, and answers as one.

    The occurrence must be named: of "the next one", a retry that comes after it was due would pay another.
    """
    check_id(recurring_id, "recurring id")
    async with _reach(settings, timeout_seconds) as recurring:
        found = await recurring.find(recurring_id)
    if found is None:
        return _not_found(recurring_id)
    order = found.order
    following = ", ".join(f"{time:%Y-%m-%dT%H:%M:%SZ}" for time in found.upcoming[:3])
    if occurrence is None:
        raise MalformedRequest(f"--occurrence must name the one to pay; the next are {following}")
    seconds, microseconds = divmod(parse_instant(occurrence), 1_000_000)
    nominal = datetime.fromtimestamp(seconds, UTC)
    if microseconds or not order.recurs_at(nominal):
        raise MalformedRequest(f"{recurring_id} does not recur at {occurrence}; the next are {following}")
    return await submit_transfer(settings, order.occurrence(nominal), wait, timeout_seconds)


async def backfill(settings: Settings, recurring_id: str, begin: str, end: str, timeout_seconds: float) -> Answer:
    """Start every occurrence from `begin` until before `end`, which is over. What was paid is not paid again."""
    check_id(recurring_id, "recurring id")
    first, behind = _second(begin), _second(end)
    if not first < behind <= datetime.now(UTC):
        raise MalformedRequest("--from must be before --to, and --to not in the future")
    async with _reach(settings, timeout_seconds) as recurring:
        found = await recurring.find(recurring_id)
        times = await recurring.between(recurring_id, first, behind)
    if found is None:
        return _not_found(recurring_id)
    if len(times) >= MOST_OCCURRENCES:
        raise MalformedRequest(f"{MOST_OCCURRENCES} occurrences or more: ask for a shorter period")
    reused = await _submit(settings, [found.order.occurrence(time) for time in times], timeout_seconds)
    ids = [occurrence_id(recurring_id, time) for time in times]
    status, exit, colour = (KEY_REUSED, Exit.KEY_REUSED, "red") if reused else ("accepted", Exit.OK, "green")
    data = {"recurring_id": recurring_id, "status": status, "transfer_ids": ids, "reused": reused}
    lines = [("occurrence", "  ".join(filter(None, (id, reused.get(id))))) for id in ids] or [("occurrence", "none")]
    return Answer(data, exit, show=lambda: _write(_headline(recurring_id, colour, status), lines))


async def _submit(settings: Settings, requests: "list[TransferRequest]", timeout_seconds: float) -> dict[str, str]:
    """Submit the transfers of occurrences without waiting for their ends. What was paid with other content, by id.

    Not by a backfill of Temporal's: of several at the same moment, server 1.32 accepts all and loses some.
    """
    from activities.messages import TransferOutcome
    from engine.claiming import claim

    reused: dict[str, str] = {}
    async with temporal(settings, timeout_seconds) as submitter:
        for request in requests:
            key = operation_key(request.transfer_id, Leg.DEBIT)
            is_theirs = partial(known_otherwise, settings, key, request.content())
            if await is_theirs():  # Temporal may have forgotten it
                reused[request.transfer_id] = "the books know it with other content"
                continue
            submit = partial(submitter.transfer, request)
            submitted = await claim(submitter, submit, TransferOutcome, is_theirs, timeout_seconds)
            if submitted.differences:
                reused[request.transfer_id] = "; ".join(submitted.differences)
    return reused


async def list_all(settings: Settings, timeout_seconds: float) -> Answer:
    """Every recurring transfer, and when it is due next."""
    async with _reach(settings, timeout_seconds) as recurring:
        all = [found async for id in recurring.ids() if (found := await recurring.find(id)) is not None]
    rows = [_fields(found) for found in sorted(all, key=lambda found: found.order.recurring_id)]
    return Answer({"recurring": rows}, show=lambda: _show_list(rows))


async def show(settings: Settings, recurring_id: str, timeout_seconds: float) -> Answer:
    """One recurring transfer: the next occurrences, and how the last ones ended."""
    check_id(recurring_id, "recurring id")
    async with _reach(settings, timeout_seconds) as recurring:
        found = await recurring.find(recurring_id)
        failures = {} if found is None else {nominal: await recurring.failure(id) for nominal, id in found.recent}
    async with books(settings) as reader:
        paid = await reader.occurrences(recurring_id)
    last: dict[str, dict[str, Any]] = {
        state.transfer.id: {
            "transfer_id": state.transfer.id,
            "status": state.status,
            "reason": state.reason,
            "amount_minor": state.transfer.amount_minor,
        }
        for state in paid
    }
    for nominal, failure in failures.items():
        id = occurrence_id(recurring_id, nominal)
        last[id] = {"transfer_id": id, "status": None} | last.get(id, {}) | {"failure": failure}
    rows = [last[id] for id in sorted(last, reverse=True)]
    if found is None:
        return _not_found(recurring_id, {"last": rows})
    return _told(found, {"last": rows})


async def _set(
    settings: Settings,
    recurring_id: str,
    set: "Callable[[RecurringTransfers, Recurring], Awaitable[bool]]",
    timeout_seconds: float,
) -> Answer:
    check_id(recurring_id, "recurring id")
    async with _reach(settings, timeout_seconds) as recurring:
        found = await recurring.find(recurring_id)
        if found is not None and await set(recurring, found):
            found = await recurring.find(recurring_id)
    return _not_found(recurring_id) if found is None else _told(found)


@asynccontextmanager
async def _reach(settings: Settings, timeout_seconds: float) -> "AsyncIterator[RecurringTransfers]":
    from engine.recurring import RecurringTransfers
    from engine.results import Unanswered

    try:
        async with asyncio.timeout(timeout_seconds), temporal(settings, timeout_seconds) as submitter:
            yield RecurringTransfers(submitter.client)
    except TimeoutError:
        raise Unanswered(f"Temporal did not answer within {timeout_seconds:g} s") from None


def _second(text: str) -> datetime:
    """The first whole second at or after an instant."""
    return datetime.fromtimestamp(-(-parse_instant(text) // 1_000_000), UTC)


_SHOWN = frozenset({"recurring_id", "status"})


def _fields(found: "Recurring") -> dict[str, Any]:
    order = found.order
    return {
        "recurring_id": order.recurring_id,
        "status": "paused" if found.paused else "active",
        "amount_minor": order.amount_minor,
        "currency": order.currency,
        "from": order.source,
        "to": order.destination,
        "cron": order.cron,
        "every_seconds": order.every_seconds,
        "starting_at": None if order.starting_at is None else show_instant(order.starting_at),
        "version": order.version,
        "note": found.note or None,
        "next": [time.isoformat() for time in found.upcoming],
    }


def _told(found: "Recurring", more: dict[str, Any] | None = None) -> Answer:
    data = _fields(found) | (more or {})
    return Answer(data, show=lambda: _show(data))


def _not_found(recurring_id: str, more: dict[str, Any] | None = None) -> Answer:
    data = {"recurring_id": recurring_id, "status": None, "reason": "recurring_not_found"} | (more or {})
    headline = _headline(recurring_id, "yellow", "recurring_not_found")
    return Answer(data, Exit.NO, show=lambda: _write(headline, _last(data)))


def _headline(recurring_id: str, colour: str, status: str) -> str:
    return f"[bold]{recurring_id}[/]  [{colour}]{status}[/]"


def _show(data: dict[str, Any]) -> None:
    headline = _headline(data["recurring_id"], "green" if data["status"] == "active" else "yellow", data["status"])
    lines = [
        (name, str(data[name]))
        for name in ("from", "to", "cron", "every_seconds", "starting_at", "version", "note")
        if data[name]
    ]
    following = [("next", time) for time in data["next"][:3]]
    _write(f"{headline}  {say(data['amount_minor'], data['currency'])}", lines + following + _last(data))


def _last(data: dict[str, Any]) -> list[tuple[str, str]]:
    """How the last occurrences ended, a line each."""
    words = [(row["transfer_id"], row["status"], row.get("reason"), row.get("failure")) for row in data.get("last", ())]
    return [("last", "  ".join(word for word in line if word)) for line in words]


def _write(headline: str, lines: list[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False, soft_wrap=True)
    console.print(headline)
    for name, text in lines:
        console.print(f"  [dim]{name:<16}[/] {escape(text)}")


def _show_list(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("recurring", "status", "amount", "from", "to", "next"):
        table.add_column(name)
    for row in rows:
        following = row["next"][0] if row["next"] else ""
        amount = say(row["amount_minor"], row["currency"])
        table.add_row(row["recurring_id"], row["status"], amount, row["from"], row["to"], following)
    Console(highlight=False).print(table)
