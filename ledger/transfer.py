"""Transfer: the business fact "this much from here to there", and the life it may lead.

    accepted -> awaiting_approval -> scheduled -> debited -> settled
                     \\                  \\            \\
                      cancelled          cancelled    refunded      rejected (from accepted..scheduled)

A terminal status never changes: the database refuses it too (see `schema.py`).
"""

from dataclasses import dataclass
from enum import StrEnum

from ledger.errors import MalformedRequest
from ledger.keys import check_account_id, check_id
from ledger.money import check_amount, decimals


class Status(StrEnum):
    """Where a transfer is in its life."""

    ACCEPTED = "accepted"
    AWAITING_APPROVAL = "awaiting_approval"
    SCHEDULED = "scheduled"
    DEBITED = "debited"
    SETTLED = "settled"
    REJECTED = "rejected"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the status can never change again."""
        return self in _TERMINAL

    @property
    def iso20022(self) -> str:
        """The ISO 20022 transaction status (ExternalPaymentTransactionStatus1Code) that says the same."""
        return _ISO20022[self]


NOT_DEBITED = frozenset({Status.ACCEPTED, Status.AWAITING_APPROVAL, Status.SCHEDULED})
_TERMINAL = frozenset({Status.SETTLED, Status.REJECTED, Status.REFUNDED, Status.CANCELLED})
_ISO20022 = {
    Status.ACCEPTED: "ACTC",
    Status.AWAITING_APPROVAL: "PDNG",
    Status.SCHEDULED: "PDNG",
    Status.DEBITED: "ACSP",
    Status.SETTLED: "ACSC",
    Status.REJECTED: "RJCT",
    Status.REFUNDED: "RJCT",
    Status.CANCELLED: "CANC",
}

LEGAL_CHANGES: frozenset[tuple[Status, Status]] = frozenset(
    {
        (Status.ACCEPTED, Status.AWAITING_APPROVAL),
        (Status.ACCEPTED, Status.SCHEDULED),
        (Status.AWAITING_APPROVAL, Status.SCHEDULED),
        (Status.DEBITED, Status.SETTLED),
        (Status.DEBITED, Status.REFUNDED),
        *((status, Status.DEBITED) for status in NOT_DEBITED),
        *((status, Status.REJECTED) for status in NOT_DEBITED),
        *((status, Status.CANCELLED) for status in NOT_DEBITED),
    }
)
"""Every change of status that may ever be recorded."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """What a caller asks for. Raises MalformedRequest when it could never be done, whatever the books say."""

    id: str
    source: str
    destination: str
    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        check_id(self.id, "transfer id")
        check_account_id(self.source, "source account")
        check_account_id(self.destination, "destination account")
        check_amount(self.amount_minor)
        decimals(self.currency)
        if self.source == self.destination:
            raise MalformedRequest(f"source and destination are the same account, {self.source!r}")

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly: the fields a fingerprint is taken of."""
        return {
            "source": self.source,
            "destination": self.destination,
            "amount_minor": self.amount_minor,
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True)
class TransferState:
    """A transfer as the books have it. `version` counts its events; `reason` is a code, `detail` a sentence.

    `terms` is the recipe that its debit was asked under, if that was on terms (a hold); `captured_minor` is how much
    the destination got of what was held, once it has settled, in minor units.
    """

    transfer: Transfer
    status: Status
    version: int
    reason: str | None = None
    detail: str | None = None
    terms: str | None = None
    captured_minor: int | None = None

    @property
    def moved_minor(self) -> int:
        """What the destination got of it, or is to get."""
        return self.transfer.amount_minor if self.captured_minor is None else self.captured_minor
