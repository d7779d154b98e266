"""Messages: what travels between starter, workflows and activities, as JSON that Temporal keeps.

Every message checks itself when it is made and when it is read. One that can never be right raises pydantic's
ValidationError, which the data converter turns into a failure that is not retried (`engine/converter.py`).
Fields may be added with a default; none is ever renamed or removed, because old histories are replayed.
"""

from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, model_validator

from ledger import operations
from ledger.account import AccountStatus
from ledger.entries import Entry, entry_of
from ledger.fingerprint import CURRENT, SCHEDULED
from ledger.operation import OpenAccount, Operation, Outcome, OutcomeKind, SetAccountStatus
from ledger.transfer import Status, Transfer

SHORT_TEXT = 256
"""The longest free text, in characters: outcomes stay far below Temporal's limits."""

MOST_SECONDS = 366 * 24 * 3600.0
"""The longest time that a sweep can be told to leave alone."""

LAST_INSTANT = 253_402_300_799_999_999
"""The end of the year 9999, in microseconds since 1970: no later instant can be written."""

KEY_REUSED = "KeyReused"
"""The type, in Temporal's sense, of the failure of a workflow whose key belongs to other content."""

Text = Annotated[StrictStr, Field(max_length=SHORT_TEXT)]
Instant = Annotated[StrictInt, Field(ge=0, le=LAST_INSTANT)]


class Message(BaseModel):
    """An immutable message. Unknown fields are ignored: a newer sender may know more than this reader."""

    model_config = ConfigDict(frozen=True)


class Asked(Message):
    """A message that somebody sends in. One that can never be right is refused for good.

    Not so an answer: one that cannot be read comes from a newer worker, and is an accident that ends with the deploy.
    """


class TransferRequest(Asked):
    """Move `amount_minor` (whole minor units of `currency`) from `source` to `destination`, once per `transfer_id`."""

    transfer_id: StrictStr
    source: StrictStr
    destination: StrictStr
    amount_minor: StrictInt
    currency: StrictStr

    workflow: ClassVar[str] = "Transfer"
    recipe: ClassVar[str] = CURRENT

    @model_validator(mode="after")
    def _could_be_done(self) -> Self:
        self.as_transfer()
        return self

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly, as a fingerprint of the `recipe` is taken of it."""
        return self.as_transfer().content()

    def as_transfer(self) -> Transfer:
        """The same request in the ledger's words. Raises MalformedRequest."""
        return Transfer(self.transfer_id, self.source, self.destination, self.amount_minor, self.currency)


class ExpressRequest(TransferRequest):
    """The same, with less of it in Temporal's history."""

    workflow: ClassVar[str] = "ExpressTransfer"


class ScheduledRequest(TransferRequest):
    """The same, not before `due_at` (microseconds since 1970). The books are told of it only then."""

    due_at: Instant

    workflow: ClassVar[str] = "ScheduledTransfer"
    recipe: ClassVar[str] = SCHEDULED

    def content(self) -> dict[str, str | int]:
        """When it is due is a part of it, as long as it waits."""
        return super().content() | {"due_at": self.due_at}

    def as_due(self) -> TransferRequest:
        """The transfer that it is once its time has come."""
        return TransferRequest(**self.model_dump(exclude={"due_at"}))


class UndoRequest(Asked):
    """End a transfer without settling it: `reason` is a code, `detail` a sentence for people."""

    transfer: TransferRequest
    reason: StrictStr
    detail: Text | None = None


class DepositRequest(Asked):
    """Bring `amount_minor` (minor units) of outside cash into an account, once per `deposit_id`."""

    deposit_id: StrictStr
    account_id: StrictStr
    amount_minor: StrictInt
    currency: StrictStr

    @model_validator(mode="after")
    def _could_be_done(self) -> "DepositRequest":
        self.as_operation()
        return self

    def as_operation(self) -> Operation:
        """The same request in the ledger's words. Raises MalformedRequest."""
        return operations.deposit(self.deposit_id, self.account_id, self.amount_minor, self.currency)


class AccountOpening(Asked):
    """Set: this account exists, in this currency."""

    account_id: StrictStr
    currency: StrictStr

    @model_validator(mode="after")
    def _could_be_done(self) -> "AccountOpening":
        OpenAccount(self.account_id, self.currency)
        return self


class AccountChange(Asked):
    """Set: this account has this status; with `expected_version`, only if it is still at that version.

    `number` is filled in by the workflow: which change of the account's settings this is.
    """

    account_id: StrictStr
    status: AccountStatus
    expected_version: StrictInt | None = None
    number: StrictInt | None = None

    @model_validator(mode="after")
    def _could_be_done(self) -> "AccountChange":
        self.as_setting()
        return self

    def as_setting(self) -> SetAccountStatus:
        """The same in the ledger's words. Raises MalformedRequest."""
        return SetAccountStatus(self.account_id, self.status, self.expected_version, self.number)


class EntryRequest(Asked):
    """Make one entry, once per id: a split, an exchange, a reversal, a target. `content` is what its kind asks for."""

    kind: StrictStr
    id: StrictStr
    content: dict[StrictStr, StrictStr | StrictInt]

    workflow: ClassVar[str] = "Entry"

    @model_validator(mode="after")
    def _could_be_done(self) -> "EntryRequest":
        self.as_entry().operation()
        return self

    @classmethod
    def of(cls, entry: Entry) -> "EntryRequest":
        """An entry as a message."""
        return cls(kind=str(entry.leg), id=entry.id, content=dict(entry.content()))

    def as_entry(self) -> Entry:
        """The same in the ledger's words. Raises MalformedRequest."""
        return entry_of(self.kind, self.id, self.content)


class WithdrawalRequest(Asked):
    """See to it that an entry never happens, if it has not: `reason` is a code, `detail` a sentence for people."""

    entry: EntryRequest
    reason: StrictStr
    detail: Text | None = None


class NotificationRequest(Asked):
    """Tell the outside what is in the outbox under this key."""

    key: StrictStr


class LegOutcome(Message):
    """What the ledger answered, small enough for any history. `status` is the transfer's, at that moment.

    `notification` is the key of what the outside is to be told of an entry: there is none of one from before there were
    any, nor from an older worker.
    """

    kind: OutcomeKind
    code: str | None = None
    detail: str | None = None
    replayed: bool = False
    status: Status | None = None
    reason: str | None = None
    status_detail: str | None = None
    captured_minor: int | None = None
    notification: str | None = None

    @classmethod
    def of(cls, outcome: Outcome) -> "LegOutcome":
        """The ledger's outcome as a message."""
        state = outcome.state
        return cls(
            kind=outcome.kind,
            code=outcome.code,
            detail=outcome.detail,
            replayed=outcome.replayed,
            status=state.status if state else None,
            reason=state.reason if state else None,
            status_detail=state.detail if state else None,
            captured_minor=state.captured_minor if state else None,
        )

    @property
    def applied(self) -> bool:
        """The leg is in the books."""
        return self.kind is OutcomeKind.APPLIED


class TransferOutcome(Message):
    """How a transfer ended: `settled`, `rejected`, `refunded` or `cancelled`.

    `replayed` means that it had ended before this run began. `captured_minor` is what the destination got of a hold.
    """

    transfer_id: str
    status: str
    reason: str | None = None
    detail: str | None = None
    replayed: bool = False
    captured_minor: int | None = None


class SweepRequest(Asked):
    """Finish what has stood still in the books for this long."""

    older_than_seconds: float = Field(default=60.0, ge=0, le=MOST_SECONDS, strict=True)


class SweepSummary(Message):
    """What a sweep found. `disagreeing_ids` names the first of them; `more` says that it stopped before the end."""

    looked_at: int = 0
    restarted: int = 0
    running: int = 0
    disagreeing: int = 0
    disagreeing_ids: tuple[str, ...] = ()
    notifications_looked_at: int = 0
    notifications_restarted: int = 0
    unanswered: int = 0
    more: bool = False
