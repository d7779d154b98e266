"""Approvals: the messages of what waits for people, and the activities that ask the books about them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import ClassVar

from pydantic import StrictInt, StrictStr, model_validator
from temporalio import activity

from activities.ledger import LedgerActivities
from activities.messages import Asked, EntryRequest, Instant, Message, ScheduledRequest, Text, TransferRequest
from activities.terms import DebitOnTerms, HoldRequest, PayoutRequest
from ledger import operations
from ledger.approval import Approval
from ledger.approvals import read_standing
from ledger.errors import MalformedRequest
from ledger.fingerprint import APPROVALS, RECIPES, SCHEDULED, Content, Fingerprint
from ledger.keys import approval_key, check_person
from ledger.operation import Operation, OutcomeKind


class Consent(Asked):
    """One person agrees to exactly this: a `transfer`, or what is `asked` of whatever kind, field by field."""

    approver: StrictStr
    transfer: TransferRequest | None = None
    asked: dict[StrictStr, StrictStr | StrictInt] | None = None

    @model_validator(mode="after")
    def _could_be_given(self) -> "Consent":
        check_person(self.approver, "approver")
        if (self.transfer is None) is (self.asked is None):
            raise MalformedRequest("who approves says what is approved, in one way")
        return self

    def content(self) -> Content:
        """What is approved of, field by field."""
        return (self.asked or {}) if self.transfer is None else self.transfer.as_transfer().content()


class AskedOfPeople(Asked):
    """What `initiator` asks for and people must agree to, until `expires_at`."""

    initiator: StrictStr
    expires_at: Instant

    @model_validator(mode="after")
    def _has_an_initiator(self) -> "AskedOfPeople":
        check_person(self.initiator, "initiator")
        return self

    def operation(self) -> Operation:
        """The operation that takes the money, in the ledger's words. Raises MalformedRequest."""
        raise NotImplementedError

    def fingerprint(self) -> Fingerprint:
        """All that is asked, as Temporal remembers it."""
        raise NotImplementedError

    def objection_to(self, consent: Consent) -> str | None:
        """Why somebody's consent is none to this request; None if it is one."""
        operation = self.operation()
        if consent.transfer is not None:  # of one that is due later, who approves need not say when
            own, said = Fingerprint.of(operation.content, operation.recipe), consent.content()
        else:
            own, said = self.fingerprint(), consent.content()
        if differences := own.differences(said) + strange(said, own):
            return f"this is not what is asked for: {'; '.join(differences)}"
        if consent.approver == self.initiator:
            return f"{consent.approver} has asked for this {_noun(operation)}, and cannot approve of it"
        try:
            approval_key(operation.intent.owner, consent.approver)
        except MalformedRequest as error:
            return str(error)
        return None

    def said_of(self, approvers: Iterable[str], missing: int) -> str:
        """What operators see of it while it waits."""
        expires = datetime.fromtimestamp(self.expires_at // 1_000_000, UTC)
        by = f"Asked for by {self.initiator}, approved by {', '.join(sorted(approvers)) or 'nobody'}"
        return f"{by}; {missing} more needed until {expires:%Y-%m-%d %H:%M:%S} UTC."


def strange(said: Mapping[str, str | int], own: Fingerprint) -> list[str]:
    """What is said beside all that the recipe looks at."""
    return [f"{name}: None -> {said[name]}" for name in sorted(said.keys() - RECIPES[own.recipe])]


def _noun(operation: Operation) -> str:
    return "transfer" if operation.step else "entry"


class ApprovalRequest(AskedOfPeople, TransferRequest):
    """A transfer that waits for people, and then until `due_at`, if any."""

    due_at: Instant | None = None

    workflow: ClassVar[str] = "ApprovedTransfer"
    recipe: ClassVar[str] = SCHEDULED

    def content(self) -> dict[str, str | int]:
        """When it is due is a part of it; who asks, and for how long, is not: somebody else may ask again."""
        return super().content() | ({} if self.due_at is None else {"due_at": self.due_at})

    def operation(self) -> Operation:
        """Its debit."""
        return operations.debit(self.as_transfer())

    def fingerprint(self) -> Fingerprint:
        """See `content`."""
        return Fingerprint.of(self.content(), self.recipe)

    def as_plain(self) -> TransferRequest:
        """What moves, and nothing else."""
        return TransferRequest(**self.model_dump(exclude={"initiator", "expires_at", "due_at"}))

    def as_approved(self) -> TransferRequest:
        """The transfer that it is once it is approved: at once, or when it is due."""
        if self.due_at is None:
            return self.as_plain()
        return ScheduledRequest(**self.model_dump(exclude={"initiator", "expires_at"}))


class AwaitedRequest(AskedOfPeople):
    """A request of any other kind that waits for people, and is then what it is."""

    asked: HoldRequest | PayoutRequest | EntryRequest

    workflow: ClassVar[str] = "Approved"

    @model_validator(mode="after")
    def _could_be_approved(self) -> "AwaitedRequest":
        operation = self.operation()
        if operation.recipe not in APPROVALS:
            raise MalformedRequest(f"nobody can approve of {operation.key}: it is asked under {operation.recipe}")
        return self

    def operation(self) -> Operation:
        """Its debit, or the entry that it is."""
        if isinstance(self.asked, EntryRequest):
            return self.asked.as_entry().operation()
        return DebitOnTerms.of(self.asked).as_operation()

    def fingerprint(self) -> Fingerprint:
        """That of the operation: who asks, and for how long, is no part of it."""
        operation = self.operation()
        return Fingerprint.of(operation.content, operation.recipe)


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

    request: ApprovalRequest | AwaitedRequest
    approver: StrictStr

    @model_validator(mode="after")
    def _could_be_done(self) -> "RecordedConsent":
        self.as_approval()
        return self

    def as_approval(self) -> Approval:
        """The same in the ledger's words. Raises MalformedRequest."""
        return Approval(self.request.operation().intent, self.approver, self.request.initiator)


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
        """Record an approval under its own key (`ledger/approval.py`), and look who has approved by now."""
        outcome = await self._apply(operations.approve(request.as_approval()))
        standing = await self._look(request.request)
        return standing.model_copy(update=outcome.model_dump(include={"kind", "detail", "replayed"}))

    @activity.defn
    async def standing(self, request: ApprovalRequest) -> Standing:
        """Look: who has approved of a transfer, and how many have to. Changes nothing."""
        return await self._look(request)

    @activity.defn
    async def standing_of_any(self, request: AwaitedRequest) -> Standing:
        """The same of any other kind."""
        return await self._look(request)

    async def _look(self, request: AskedOfPeople) -> Standing:
        standing = await read_standing(self._ledger, request.operation())
        return Standing(approvers=tuple(sorted(standing.approvers)), needed=standing.needed, is_known=standing.is_known)
