"""Approvals: the messages of a transfer that waits for people, and the activities that ask the books about them."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import StrictStr, model_validator
from temporalio import activity

from activities.ledger import LedgerActivities
from activities.messages import Asked, Instant, Message, ScheduledRequest, Text, TransferRequest
from ledger import operations
from ledger.approval import Approval
from ledger.approvals import read_standing
from ledger.fingerprint import SCHEDULED, Fingerprint
from ledger.keys import check_person
from ledger.operation import OutcomeKind


class Consent(Asked):
    """One person agrees to exactly this transfer."""

    transfer: TransferRequest
    approver: StrictStr

    @model_validator(mode="after")
    def _has_an_approver(self) -> "Consent":
        check_person(self.approver, "approver")
        return self


class ApprovalRequest(TransferRequest):
    """A transfer that `initiator` asks for: it waits for people until `expires_at`, and then until `due_at`, if any."""

    initiator: StrictStr
    expires_at: Instant
    due_at: Instant | None = None

    workflow: ClassVar[str] = "ApprovedTransfer"
    recipe: ClassVar[str] = SCHEDULED

    @model_validator(mode="after")
    def _has_an_initiator(self) -> "ApprovalRequest":
        check_person(self.initiator, "initiator")
        return self

    def content(self) -> dict[str, str | int]:
        """When it is due is a part of it; who asks, and for how long, is not: somebody else may ask again."""
        return super().content() | ({} if self.due_at is None else {"due_at": self.due_at})

    def as_plain(self) -> TransferRequest:
        """What moves, and nothing else."""
        return TransferRequest(**self.model_dump(exclude={"initiator", "expires_at", "due_at"}))

    def as_approved(self) -> TransferRequest:
        """The transfer that it is once it is approved: at once, or when it is due."""
        if self.due_at is None:
            return self.as_plain()
        return ScheduledRequest(**self.model_dump(exclude={"initiator", "expires_at"}))

    def objection_to(self, consent: Consent) -> str | None:
        """Why somebody's consent is none to this request; None if it is one."""
        asked, approved = self.as_transfer(), consent.transfer.as_transfer()
        if differences := Fingerprint.of(asked.content()).differences(approved.content()):
            return f"this is not what is asked for: {'; '.join(differences)}"
        if consent.approver == self.initiator:
            return f"{consent.approver} has asked for this transfer, and cannot approve of it"
        return None

    def said_of(self, approvers: Iterable[str], missing: int) -> str:
        """What operators see of it while it waits."""
        expires = datetime.fromtimestamp(self.expires_at // 1_000_000, UTC)
        by = f"Asked for by {self.initiator}, approved by {', '.join(sorted(approvers)) or 'nobody'}"
        return f"{by}; {missing} more needed until {expires:%Y-%m-%d %H:%M:%S} UTC."


class Denial(Asked):
    """One person says no, and why."""

    approver: StrictStr
    reason: Text

    @model_validator(mode="after")
    def _has_an_approver(self) -> "Denial":
        check_person(self.approver, "approver")
        return self


class RecordedConsent(Asked):
    """A consent to a request that somebody else has made."""

    request: ApprovalRequest
    approver: StrictStr

    @model_validator(mode="after")
    def _could_be_done(self) -> "RecordedConsent":
        self.as_approval()
        return self

    def as_approval(self) -> Approval:
        """The same in the ledger's words. Raises MalformedRequest."""
        return Approval(self.request.as_transfer(), self.approver, self.request.initiator)


class Standing(Message):
    """Who has approved, and how many have to. `is_known`: the books have the transfer itself, and need nobody any more.

    Of an answer to a consent: what became of it (`key_reused`: the same person has approved of something else).
    """

    approvers: tuple[str, ...] = ()
    needed: int = 0
    is_known: bool = False
    kind: OutcomeKind = OutcomeKind.APPLIED
    detail: str | None = None
    replayed: bool = False

    @property
    def missing(self) -> int:
        """How many more have to approve."""
        return 0 if self.is_known else max(self.needed - len(self.approvers), 0)


class ApprovalActivities(LedgerActivities):
    """What people have agreed to, as the books have it. Idempotent."""

    @activity.defn
    async def approve(self, request: RecordedConsent) -> Standing:
        """Record an approval under `<transfer id>/approval/<approver>`, and look who has approved by now."""
        outcome = await self._apply(operations.approve(request.as_approval()))
        standing = await self.standing(request.request)
        return standing.model_copy(update=outcome.model_dump(include={"kind", "detail", "replayed"}))

    @activity.defn
    async def standing(self, request: ApprovalRequest) -> Standing:
        """Look: who has approved, and how many have to. Changes nothing."""
        standing = await read_standing(self._ledger, request.as_transfer())
        return Standing(approvers=tuple(sorted(standing.approvers)), needed=standing.needed, is_known=standing.is_known)
