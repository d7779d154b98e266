"""Recurring transfers: what is ordered once, and paid once at each instant at which it recurs.

    order        from whom, to whom, how much, and when it recurs: the input of a Temporal Schedule's action
    occurrence   one instant of it, by its nominal time; a transfer `<recurring id>.<nominal time>`

An occurrence is paid at most once because its transfer's id is made of nothing but the order's id and the nominal time.
"""

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, Self

from pydantic import StrictInt, StrictStr, model_validator
from temporalio import activity

from activities.messages import Asked, Instant, Message, TransferRequest
from activities.recurrence import Recurrence, occurrence_id, recurrence
from ledger.errors import MalformedRequest
from ledger.fingerprint import CURRENT
from ledger.keys import OCCURRENCE_LENGTH, Leg, check_id, operation_key
from ledger.money import parse_amount
from ledger.reader import Reader
from ledger.transfer import Transfer

_LONGEST_ID = 128 - OCCURRENCE_LENGTH


class RecurringOrder(Asked):
    """Move `amount_minor` (minor units) from `source` to `destination` whenever it recurs, once per occurrence.

    It recurs by `cron` or `every_seconds`, in UTC, and not before `starting_at` (microseconds since 1970). `version`
    grows by one with every change.
    """

    recurring_id: StrictStr
    source: StrictStr
    destination: StrictStr
    amount_minor: StrictInt
    currency: StrictStr
    cron: StrictStr | None = None
    every_seconds: StrictInt | None = None
    starting_at: Instant | None = None
    version: StrictInt = 1

    @model_validator(mode="after")
    def _could_be_done(self) -> Self:
        check_id(self.recurring_id, "recurring id")
        if len(self.recurring_id) > _LONGEST_ID:
            raise MalformedRequest(f"recurring id {self.recurring_id!r} must be at most {_LONGEST_ID} characters")
        if (self.starting_at or 0) % 1_000_000:
            raise MalformedRequest("something recurs at whole seconds: it cannot start between two of them")
        self.recurrence()
        Transfer(self.recurring_id, self.source, self.destination, self.amount_minor, self.currency)
        return self

    def recurrence(self) -> Recurrence:
        """When it recurs. Raises MalformedRequest."""
        return recurrence(self.cron, self.every_seconds, self.starting_at)

    def recurs_at(self, nominal: datetime) -> bool:
        """Whether there is an occurrence of this nominal time."""
        second = int(nominal.timestamp())
        return (
            nominal.microsecond == 0 and second * 1_000_000 >= (self.starting_at or 0) and self.recurrence().has(second)
        )

    def content(self) -> dict[str, str | int | None]:
        """What a second order of the same id must repeat."""
        return self.model_dump(exclude={"recurring_id", "version"})

    def occurrence(self, nominal: datetime) -> TransferRequest:
        """The transfer that an occurrence is. The same id for the same nominal time, whatever else was changed."""
        return TransferRequest(
            transfer_id=occurrence_id(self.recurring_id, nominal),
            source=self.source,
            destination=self.destination,
            amount_minor=self.amount_minor,
            currency=self.currency,
        )


@dataclass(frozen=True, slots=True)
class OrderChange:
    """What an order shall have from now on; None leaves what stands there. `amount` is in the order's currency.

    With an `expected_version`, only if the order is still at that version, or is as wanted already.
    """

    source: str | None = None
    destination: str | None = None
    amount: str | None = None
    cron: str | None = None
    every_seconds: int | None = None
    starting_at: int | None = None
    expected_version: int | None = None

    def __post_init__(self) -> None:
        if not self._set():
            raise MalformedRequest("nothing to change: say --from, --to, --amount, --cron, --every or --starting")
        if self.cron is not None and self.every_seconds is not None:
            raise MalformedRequest("something recurs by a cron or by an interval: --cron or --every, not both")

    def of(self, order: RecurringOrder) -> RecurringOrder:
        """The order as it shall be, in its next version; itself if it is so already. Raises MalformedRequest."""
        changed = RecurringOrder.model_validate(order.model_dump() | self._wanted(order.currency))
        if changed.content() == order.content():
            return order
        return changed.model_copy(update={"version": order.version + 1})

    def fits(self, order: RecurringOrder) -> bool:
        """Whether the order may be changed, or is as wanted already."""
        return self.expected_version in (None, order.version) or self.of(order) == order

    def _set(self) -> dict[str, Any]:
        values = {name: getattr(self, name) for name in self.__slots__ if name != "expected_version"}
        return {name: value for name, value in values.items() if value is not None}

    def _wanted(self, currency: str) -> dict[str, Any]:
        wanted = self._set()
        if self.amount is not None:
            wanted["amount_minor"] = parse_amount(wanted.pop("amount"), currency)
        if self.cron is not None or self.every_seconds is not None:
            wanted |= {"cron": self.cron, "every_seconds": self.every_seconds}
        return wanted


class OccurrenceAnswer(Message):
    """What is known of an occurrence: `status` is its transfer's, None while it has not ended.

    `reused` says what differs, if its id was paid, or is being paid, with other content.
    """

    status: str | None = None
    reason: str | None = None
    detail: str | None = None
    reused: str | None = None


class Submitting(Protocol):
    """What an occurrence needs of Temporal; the engine has it. Raises when Temporal does not answer."""

    def __call__(self, request: TransferRequest) -> Awaitable[tuple[tuple[str, ...], bool]]:
        """Submit a transfer, or find it: what the one that is there has otherwise, and whether it is running."""


class RecurringActivities:
    """The books, and a way to Temporal."""

    def __init__(self, books: Reader, submit: Submitting) -> None:
        self._books = books
        self._submit = submit

    @activity.defn
    async def pay_occurrence(self, request: TransferRequest) -> OccurrenceAnswer:
        """See that the transfer of an occurrence is under way, or how it ended. It waits for nothing.

        The books are asked first: they remember what Temporal may have forgotten.
        """
        asked = await self._books.asked(operation_key(request.transfer_id, Leg.DEBIT))
        if asked is not None and (others := asked.differences(request.content(), CURRENT)):
            return OccurrenceAnswer(reused="; ".join(others))
        state = await self._books.transfer(request.transfer_id)
        if state is not None and state.status.terminal:
            return OccurrenceAnswer(status=state.status, reason=state.reason, detail=state.detail)
        differences, running = await self._submit(request)
        if differences and not running:  # as long as it runs it may be a stranger's, who is about to be refused
            return OccurrenceAnswer(reused="; ".join(differences))
        return OccurrenceAnswer()
