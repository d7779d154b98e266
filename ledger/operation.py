"""What the ledger is asked, and what it answers: frozen values without any I/O.

An Operation is asked under one key and remembered for ever. A Setting says "set", not "add", so that doing it again
changes nothing; only one that must not come late has a key. Both go through `Ledger.apply` and both get an Outcome.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Protocol

from ledger.account import AccountStatus, Guard
from ledger.approval import Approval, Intent
from ledger.errors import MalformedRequest
from ledger.fingerprint import CURRENT, Content
from ledger.keys import check_account_id, setting_key
from ledger.limits import SetLimits
from ledger.money import check_amount, decimals
from ledger.transfer import Status, Transfer, TransferState


@dataclass(frozen=True, slots=True)
class Posting:
    """One account debited, one credited, one positive amount: a posting that exists balances by construction."""

    debit_account_id: str
    credit_account_id: str
    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        check_amount(self.amount_minor)
        if self.debit_account_id == self.credit_account_id:
            raise MalformedRequest(f"a posting needs two accounts, not {self.debit_account_id!r} twice")


@dataclass(frozen=True, slots=True)
class Step:
    """The change of a transfer's state that comes with an operation.

    `when` are the statuses it starts from, `then` the status once applied, `otherwise` the status once rejected
    (None for either: the transfer stays where it is). `begins` operations may be the first that the books hear of a
    transfer.
    """

    transfer: Transfer
    when: frozenset[Status]
    then: Status | None
    otherwise: Status | None = None
    begins: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """An account shall have this balance (minor units, credits less debits), by what the counterpart gives or takes."""

    account_id: str
    balance_minor: int
    counterpart_id: str
    currency: str


class Original(Protocol):
    """An entry of which a part can be given back (`entries/reversible.py`)."""

    recipe: ClassVar[str]

    @property
    def key(self) -> str:
        """The key of its one operation."""

    def content(self) -> Content:
        """What was asked under that key."""

    def operation(self) -> "Operation":
        """That operation, with its postings."""

    def left(self, given_back: Sequence[int]) -> int:
        """How much of what its source has paid can still be given back (minor units)."""

    def parts(self, amount_minor: int, given_back: Sequence[int]) -> Sequence[int]:
        """How much of each posting comes back when so much of what its source has paid does."""


@dataclass(frozen=True, slots=True)
class GivesBack:
    """So many minor units of what an entry's source has paid go back to it, and its postings in proportion."""

    original: Original
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One intent under one key.

    `fences` names a key that will never apply once this one does; if that key has already applied, this
    operation is rejected instead. `must_be_open` names the accounts whose status decides, with their currency.
    `must_arrive` operations are never rejected for an account's sake: money that was taken must find its way
    back, so what stands in its way is an accident for a person to mend, not an answer.

    `reverses` names the transfer that its one posting gives back, whole or in part. `valid_until` is the instant
    (microseconds) after which it is too late for it. `brings` stands for a posting whose amount only the books can
    tell: whatever brings an account to a balance. `gives_back` stands for as many postings as the books find due, each
    against one of an entry's. `captures` is how much of a held amount is taken (minor units).
    `releases` names the operation whose use of a daily limit does not count any more once this one has applied.
    `approves` is whose approval of what it records. Of an entry, or of what fences one, the ending is told to
    the outside by a notification of its own (`tells`).
    """

    key: str
    content: Content
    postings: tuple[Posting, ...] = ()
    must_be_open: Mapping[str, str] = field(default_factory=dict)
    step: Step | None = None
    fences: str | None = None
    reason: str | None = None
    detail: str | None = None
    expected_version: tuple[str, int] | None = None
    must_arrive: bool = False
    recipe: str = CURRENT
    reverses: str | None = None
    valid_until: int | None = None
    brings: Target | None = None
    gives_back: GivesBack | None = None
    captures: int | None = None
    releases: str | None = None
    approves: Approval | None = None
    tells: bool = False

    @property
    def intent(self) -> Intent:
        """What people approve of, if they must."""
        return Intent(self.step.transfer.id if self.step else self.key, self.content, self.recipe)

    def posted_accounts(self) -> Iterator[tuple[str, str]]:
        """Every account that is posted to, with the currency it must have."""
        for posting in self.postings:
            yield posting.debit_account_id, posting.currency
            yield posting.credit_account_id, posting.currency

    def account_ids(self) -> set[str]:
        """Every account whose row this operation reads or writes."""
        return {account_id for account_id, _ in self.posted_accounts()}.union(self.must_be_open)


@dataclass(frozen=True, slots=True)
class OpenAccount:
    """Set: this account exists with these settings. Also opens the currency's transit and cash accounts."""

    account_id: str
    currency: str
    guard: Guard = Guard.DEBITS_MUST_NOT_EXCEED_CREDITS

    def __post_init__(self) -> None:
        check_account_id(self.account_id)
        decimals(self.currency)


@dataclass(frozen=True, slots=True)
class SetAccountStatus:
    """Set: this account has this status. With `expected_version`, only if the account is still at that version.

    With a `number`, only if no other change of the account's settings has that number: it is remembered under a key
    made of it, so that a late attempt finds its number taken. `Reader.next_setting` says which one is free.
    """

    account_id: str
    status: AccountStatus
    expected_version: int | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        check_account_id(self.account_id)
        if self.number is not None:
            check_amount(self.number)

    @property
    def key(self) -> str | None:
        """The key it is remembered under, if it has a number."""
        return None if self.number is None else setting_key(self.account_id, self.number)

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly."""
        return {"account": self.account_id, "status": self.status.value}


@dataclass(frozen=True, slots=True)
class MarkDelivered:
    """Set: these notifications have reached their receiver."""

    notification_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Settle:
    """Move a transfer to its end in one step: its debit and its credit, under their ordinary keys.

    The answer's state tells how it ended. `mark` stays with what this has moved or rejected, as its detail, so that it
    can be told for ever from what somebody else has.
    """

    transfer: Transfer
    mark: str


Setting = OpenAccount | SetAccountStatus | SetLimits | MarkDelivered
Request = Operation | Setting | Settle


class OutcomeKind(StrEnum):
    """The four ways an operation can end. There is no fifth: a timeout is an exception, not an outcome."""

    APPLIED = "applied"
    REJECTED = "rejected"
    FENCED = "fenced"
    KEY_REUSED = "key_reused"


ENDING = {
    OutcomeKind.APPLIED: Status.SETTLED,
    OutcomeKind.REJECTED: Status.REJECTED,
    OutcomeKind.FENCED: Status.CANCELLED,
}
"""How an entry has ended, in a transfer's words, by the outcome of its operation."""


def reason_of(kind: OutcomeKind, code: str | None, detail: str | None) -> str | None:
    """Why an entry has ended so, as a code. Of one that was fenced, it is what its detail begins with."""
    return code if kind is not OutcomeKind.FENCED or detail is None else detail.partition(": ")[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one request.

    `code` says why (a rejection's code; for `fenced` the key that put the fence; for `key_reused` nothing),
    `detail` is one sentence for people, `replayed` means that the answer was recorded earlier and nothing
    moved now, `state` is the transfer's state at the time of the answer.
    """

    kind: OutcomeKind
    code: str | None = None
    detail: str | None = None
    replayed: bool = False
    state: TransferState | None = None

    @property
    def applied(self) -> bool:
        """The postings (or the setting) are in the books, now or since an earlier attempt."""
        return self.kind is OutcomeKind.APPLIED

    @property
    def rejected(self) -> bool:
        """A business answer, pinned under the key."""
        return self.kind is OutcomeKind.REJECTED

    @property
    def fenced(self) -> bool:
        """Another operation has declared that this one will never apply."""
        return self.kind is OutcomeKind.FENCED

    @property
    def key_reused(self) -> bool:
        """The key belongs to other content; nothing changed."""
        return self.kind is OutcomeKind.KEY_REUSED
