"""Books: the part of the ledger that one batch needs, in memory, and the rows the batch will add to it.

The store loads it, `rules.decide` works on it, the store writes its changes. It has no I/O and no clock.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ledger.account import Account
from ledger.approval import Approved
from ledger.fingerprint import Content, Fingerprint
from ledger.keys import Leg
from ledger.limits import DAY, NO_LIMITS
from ledger.notification import EntryNotification, Notification
from ledger.operation import Operation, Outcome, OutcomeKind, Posting
from ledger.transfer import Status, TransferState

_SETTLING = frozenset({Leg.DEBIT, Leg.CREDIT})


class Recorded(NamedTuple):
    """One row of `operations`: what was asked under a key and how it ended."""

    key: str
    fingerprint: Fingerprint
    kind: OutcomeKind
    code: str | None = None
    detail: str | None = None
    transfer_id: str | None = None


class RecordedPosting(NamedTuple):
    """One row of `postings`: a posting with both balances right after it."""

    operation_key: str
    position: int
    posting: Posting
    debit_balance_after: int
    credit_balance_after: int


class Event(NamedTuple):
    """One row of `transfer_events`: a change of a transfer's status, and the operation that brought it."""

    transfer_id: str
    sequence: int
    before: Status | None
    after: Status
    operation_key: str
    reason: str | None = None
    detail: str | None = None


class Settled(NamedTuple):
    """A transfer debited and credited at once: its state, and the balances that its two postings left (minor units).

    It stands for nine rows (`settling.py`). `postings_before` is how many other postings of its batch came before it.
    """

    state: TransferState
    source_after: int
    transit_after_debit: int
    destination_after: int
    postings_before: int


class Reversed(NamedTuple):
    """One row of `reversals`: how much of a transfer an operation has given back, in minor units."""

    operation_key: str
    transfer_id: str
    amount_minor: int


class GivenBack(NamedTuple):
    """One row of `entry_reversals`: how much of one posting of an entry an operation has given back (minor units)."""

    operation_key: str
    position: int
    original_key: str
    amount_minor: int


class Use(NamedTuple):
    """One row of `limit_uses`: what an operation took from an account with a daily limit, and when (microseconds).

    Negative, it is what was given back of a use of that instant.
    """

    operation_key: str
    account_id: str
    used_at: int
    amount_minor: int


@dataclass(slots=True)
class Changes:
    """What a batch writes, in the order in which it happened."""

    operations: list[Recorded] = field(default_factory=list)
    postings: list[RecordedPosting] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notifications: list[Notification | EntryNotification] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)
    reversals: list[Reversed] = field(default_factory=list)
    given_back: list[GivenBack] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    approvals: list[Approved] = field(default_factory=list)
    limited: set[str] = field(default_factory=set)
    opened: dict[str, Account] = field(default_factory=dict)
    changed: dict[str, Account] = field(default_factory=dict)
    begun: dict[str, TransferState] = field(default_factory=dict)
    moved: dict[str, TransferState] = field(default_factory=dict)
    settled: dict[str, Settled] = field(default_factory=dict)


@dataclass(slots=True)
class Books:
    """The accounts, keys and transfers that a batch names, as they are and as the batch leaves them.

    `now` is the batch's instant (microseconds); `reversed` is how much of a transfer was given back (minor units), and
    `given_back` how much of each posting of an entry, by the entry's key and the posting's position;
    `used` is how much of an account's daily limit is used up (minor units), and `uses` what an operation used of any;
    `approvals` are those that are needed, by the transfer's id or the entry's key.
    """

    now: int = 0

    accounts: dict[str, Account] = field(default_factory=dict)
    operations: dict[str, Recorded] = field(default_factory=dict)
    transfers: dict[str, TransferState] = field(default_factory=dict)
    reversed: dict[str, int] = field(default_factory=dict)
    given_back: Counter[tuple[str, int]] = field(default_factory=Counter)
    used: dict[str, int] = field(default_factory=dict)
    uses: dict[str, list[Use]] = field(default_factory=dict)
    approvals: dict[str, list[Approved]] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def recorded(self, key: str) -> Recorded | None:
        """What is recorded under a key, in the books or by this batch."""
        if (found := self.operations.get(key)) is not None or not self.changes.settled:
            return found
        transfer_id, _, leg = key.rpartition("/")
        if leg not in _SETTLING or (settled := self.changes.settled.get(transfer_id)) is None:
            return None
        content = Fingerprint.of(settled.state.transfer.content())
        return Recorded(key, content, OutcomeKind.APPLIED, transfer_id=transfer_id)

    def state_of(self, operation: Operation) -> TransferState | None:
        """The state of the transfer an operation belongs to, if the books have heard of it."""
        return self.transfers.get(operation.step.transfer.id) if operation.step else None

    def record(self, operation: Operation, outcome: Outcome) -> None:
        """Pin an outcome under the operation's key."""
        self._record(operation.key, operation, outcome.kind, outcome.code, outcome.detail)
        if operation.tells and operation.fences is None:
            told = EntryNotification(operation.key, operation.content, outcome.kind, outcome.code, outcome.detail)
            self.changes.notifications.append(told)

    def fence(self, key: str, by: Operation) -> None:
        """Declare that the operation with this key will never apply. Of an entry, its detail says why."""
        why = ": ".join(filter(None, (by.reason, by.detail))) if by.tells else f"fenced by {by.key}"
        self._record(key, by, OutcomeKind.FENCED, by.key, why)
        if by.tells:
            self.changes.notifications.append(EntryNotification(key, by.content, OutcomeKind.FENCED, by.key, why))

    def _record(self, key: str, operation: Operation, kind: OutcomeKind, code: str | None, detail: str | None) -> None:
        transfer_id = operation.step.transfer.id if operation.step else None
        recorded = Recorded(key, Fingerprint.of(operation.content, operation.recipe), kind, code, detail, transfer_id)
        self.operations[key] = recorded
        self.changes.operations.append(recorded)

    def record_setting(self, key: str, content: Content, recipe: str) -> None:
        """Note that a change of an account's settings has applied."""
        recorded = Recorded(key, Fingerprint.of(content, recipe), OutcomeKind.APPLIED)
        self.operations[key] = recorded
        self.changes.operations.append(recorded)

    def open(self, account: Account) -> None:
        """Add an account."""
        self.accounts[account.id] = self.changes.opened[account.id] = account

    def touch(self, account: Account) -> None:
        """Note that an account's row has changed: its version grows."""
        account.version += 1
        if account.id not in self.changes.opened:
            self.changes.changed[account.id] = account

    def post(self, key: str, position: int, posting: Posting) -> None:
        """Write one posting and both balances after it."""
        debited, credited = self.accounts[posting.debit_account_id], self.accounts[posting.credit_account_id]
        debited.debits_posted += posting.amount_minor
        credited.credits_posted += posting.amount_minor
        self.touch(debited)
        self.touch(credited)
        self.changes.postings.append(RecordedPosting(key, position, posting, debited.balance, credited.balance))

    def reverse(self, key: str, transfer_id: str, amount_minor: int) -> None:
        """Note how much of a transfer an operation gives back."""
        self.reversed[transfer_id] = self.reversed.get(transfer_id, 0) + amount_minor
        self.changes.reversals.append(Reversed(key, transfer_id, amount_minor))

    def give_back(self, row: GivenBack) -> None:
        """Note how much of a posting an operation gives back."""
        self.given_back[row.original_key, row.position] += row.amount_minor
        self.changes.given_back.append(row)

    def taken(self, operation: Operation) -> dict[str, int]:
        """What an operation takes from each account that has limits. A reversal gives back, and takes nothing."""
        amounts: dict[str, int] = {}
        if operation.reverses is not None or operation.gives_back is not None:
            return amounts
        for posting in operation.postings:
            id = posting.debit_account_id
            if self.accounts[id].limits is not NO_LIMITS:
                amounts[id] = amounts.get(id, 0) + posting.amount_minor
        return amounts

    def use(self, use: Use) -> None:
        """Note a use of a daily limit."""
        if use.used_at > self.now - DAY:
            self.used[use.account_id] = self.used.get(use.account_id, 0) + use.amount_minor
        self.uses.setdefault(use.operation_key, []).append(use)
        self.changes.uses.append(use)

    def release(self, key: str, by: Operation) -> None:
        """Give back whatever the operation with this key has used of daily limits."""
        for use in self.uses.get(key, []):
            self.use(Use(by.key, use.account_id, use.used_at, -use.amount_minor))

    def approve(self, approved: Approved) -> None:
        """Note an approval."""
        self.approvals.setdefault(approved.transfer_id, []).append(approved)
        self.changes.approvals.append(approved)

    def begin(self, state: TransferState, operation_key: str) -> None:
        """Add a transfer, with the first event of its life."""
        self.transfers[state.transfer.id] = self.changes.begun[state.transfer.id] = state
        self.changes.events.append(Event(state.transfer.id, state.version, None, state.status, operation_key))

    def move(self, state: TransferState, before: Status, operation_key: str) -> None:
        """Change a transfer's status: the event, the new state, and the notification of an ending."""
        transfer_id = state.transfer.id
        self.transfers[transfer_id] = state
        into = self.changes.begun if transfer_id in self.changes.begun else self.changes.moved
        into[transfer_id] = state
        self.changes.events.append(
            Event(transfer_id, state.version, before, state.status, operation_key, state.reason, state.detail)
        )
