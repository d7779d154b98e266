"""Approval: that one person agrees to exactly this, a transfer of whatever kind or an entry. Pure.

    T1/approval/bea          of transfer T1, which is Bea's whether it is plain, a hold or a payout
    S1/split/approval/bea    of an entry, whose id may be a transfer's, too

It is remembered under a key of its own, so that it counts once, however often it is given. What was approved is kept
whole, as the canonical text of what the operation that takes the money is asked. Who has asked for it does not approve.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from ledger.errors import MalformedRequest
from ledger.fingerprint import APPROVALS, Content, Fingerprint
from ledger.keys import approval_key, check_person


@dataclass(frozen=True, slots=True)
class Intent:
    """What people approve of: the content of the operation that takes the money, and the recipe it is asked under.

    `owner` is the id of a transfer, or the key of an entry.
    """

    owner: str
    content: Content
    recipe: str

    @property
    def asked(self) -> str:
        """Its canonical text. No two recipes have the same fields, so that it is of one kind only."""
        return Fingerprint.of(self.content, self.recipe).text


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's approval. Raises MalformedRequest if it is the initiator's own, or of what nobody can approve."""

    intent: Intent
    approver: str
    initiator: str

    def __post_init__(self) -> None:
        check_person(self.approver, "approver")
        check_person(self.initiator, "initiator")
        approval_key(self.intent.owner, self.approver)
        if self.intent.recipe not in APPROVALS:
            raise MalformedRequest(f"nobody can approve of {self.intent.owner}: it is asked under {self.intent.recipe}")
        if self.approver == self.initiator:
            raise MalformedRequest(f"{self.approver} has asked for {self.intent.owner}, and cannot approve of it")

    @property
    def key(self) -> str:
        """What it is remembered under."""
        return approval_key(self.intent.owner, self.approver)

    @property
    def recipe(self) -> str:
        """The recipe of its own fingerprint."""
        return APPROVALS[self.intent.recipe]

    def content(self) -> Content:
        """What a retry must repeat exactly."""
        return dict(self.intent.content) | {"approver": self.approver}

    def row(self) -> "Approved":
        """What the books keep of it."""
        return Approved(self.key, self.intent.owner, self.approver, self.initiator, self.intent.asked)


class Approved(NamedTuple):
    """One row of `approvals`: who has approved of what (the canonical text), and who had asked for it.

    `transfer_id` is the intent's owner: of an entry, which has no transfer, its key.
    """

    operation_key: str
    transfer_id: str
    approver: str
    initiator: str
    asked: str


def approvers(intent: Intent, approved: Iterable[Approved]) -> set[str]:
    """Who has approved of exactly this. Nobody who has ever asked for it counts."""
    asked = intent.asked
    given = [row for row in approved if row.asked == asked]
    return {row.approver for row in given} - {row.initiator for row in given}
