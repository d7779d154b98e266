"""Approval: that one person agrees to exactly this transfer. Pure.

It is remembered under `<transfer id>/approval/<approver>`, so that it counts once, however often it is given. Who has
asked for a transfer does not approve of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.errors import MalformedRequest
from ledger.fingerprint import Fingerprint
from ledger.keys import approval_key, check_person
from ledger.transfer import Transfer


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval. Raises MalformedRequest if it is the initiator's own."""

    transfer: Transfer
    approver: str
    initiator: str

    def __post_init__(self) -> None:
        check_person(self.approver, "approver")
        check_person(self.initiator, "initiator")
        if self.approver == self.initiator:
            raise MalformedRequest(f"{self.approver} has asked for this transfer, and cannot approve of it")

    @property
    def key(self) -> str:
        """What it is remembered under."""
        return approval_key(self.transfer.id, self.approver)

    def content(self) -> dict[str, str | int]:
        """What a retry must repeat exactly."""
        return self.transfer.content() | {"approver": self.approver}

    def row(self) -> "Approved":
        """What the books keep of it."""
        return Approved(self.key, self.transfer.id, self.approver, self.initiator, _asked(self.transfer))


class Approved(NamedTuple):
    """One row of `approvals`: who has approved of what (the canonical text of a transfer), and who had asked for it."""

    operation_key: str
    transfer_id: str
    approver: str
    initiator: str
    asked: str


def approvers(transfer: Transfer, approved: Iterable[Approved]) -> set[str]:
    """Who has approved of exactly this transfer. Nobody who has ever asked for it counts."""
    given = [row for row in approved if row.asked == _asked(transfer)]
    return {row.approver for row in given} - {row.initiator for row in given}


def _asked(transfer: Transfer) -> str:
    return Fingerprint.of(transfer.content()).text
