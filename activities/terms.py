"""Terms: transfers whose debit is on terms, so that what becomes of the money is decided while it is in transit.

    hold      the whole or a part is captured, or it is voided, or it expires
    payout    an outside rail is asked to pay it, and its answer decides

A kind is a request with a recipe, a line in `ledger.fingerprint.TERMS`, and a workflow. The books remember the terms
with the debit, so that a sweep can ask for the same again (`asked_again`).
"""

import json
from typing import ClassVar

from pydantic import StrictInt, StrictStr, model_validator

from activities.messages import Asked, Instant, Text, TransferRequest
from ledger import operations
from ledger.errors import MalformedRequest, OutOfOrder
from ledger.fingerprint import CURRENT, HOLD, PAYOUT, TERMS, Fingerprint
from ledger.keys import check_id
from ledger.money import check_amount
from ledger.operation import Operation
from ledger.payouts import clearing_account
from ledger.transfer import Transfer


class RequestOnTerms(TransferRequest):
    """What all kinds have in common. The fields of a kind beyond a transfer's are its terms."""

    def terms(self) -> dict[str, str | int]:
        """The terms, as the books remember them."""
        return {name: getattr(self, name) for name in TERMS[self.recipe]}

    def content(self) -> dict[str, str | int]:
        """A retry must repeat the terms, too."""
        return super().content() | self.terms()


class HoldRequest(RequestOnTerms):
    """Hold `amount_minor` of `source` for `destination`, until it is captured, voided, or has expired.

    `expires_at` is an instant in microseconds since 1970.
    """

    expires_at: Instant

    workflow: ClassVar[str] = "Hold"
    recipe: ClassVar[str] = HOLD


class PayoutRequest(RequestOnTerms):
    """Pay `amount_minor` of `source` over a rail to its `beneficiary`. The destination is the rail's account.

    The beneficiary is a reference such as `ba_1234` or an account number: it is shown to operators.
    """

    rail: StrictStr
    beneficiary: StrictStr

    workflow: ClassVar[str] = "Payout"
    recipe: ClassVar[str] = PAYOUT

    @model_validator(mode="after")
    def _over_its_rail(self) -> "PayoutRequest":
        check_id(self.rail, "rail")
        check_id(self.beneficiary, "beneficiary")
        if self.destination != (due := clearing_account(self.rail, self.currency)):
            raise MalformedRequest(f"what leaves over {self.rail} goes to {due}, not to {self.destination}")
        return self


KINDS: tuple[type[RequestOnTerms], ...] = (
    HoldRequest,
    PayoutRequest,
)  # fmt: skip  # a line for each
"""Every kind there is."""


class DebitOnTerms(Asked):
    """Debit a transfer on terms of a recipe."""

    transfer: TransferRequest
    recipe: StrictStr
    terms: dict[StrictStr, StrictStr | StrictInt]

    @model_validator(mode="after")
    def _could_be_done(self) -> "DebitOnTerms":
        self.as_operation()
        return self

    @classmethod
    def of(cls, request: RequestOnTerms) -> "DebitOnTerms":
        """The debit of a request on terms."""
        transfer = TransferRequest(**request.model_dump(include=set(TransferRequest.model_fields)))
        return cls(transfer=transfer, recipe=request.recipe, terms=request.terms())

    def as_operation(self) -> Operation:
        """The same in the ledger's words. Raises MalformedRequest."""
        return operations.hold(self.transfer.as_transfer(), self.recipe, self.terms)


class CaptureRequest(Asked):
    """Give `captured_minor` of a held transfer to its destination, and the rest back to its source."""

    transfer: TransferRequest
    captured_minor: StrictInt

    @model_validator(mode="after")
    def _could_be_done(self) -> "CaptureRequest":
        self.as_operation()
        return self

    def as_operation(self) -> Operation:
        """The same in the ledger's words. Raises MalformedRequest."""
        return operations.capture(self.transfer.as_transfer(), self.captured_minor)


class Decision(Asked):
    """What shall become of a hold: `captures` minor units go to its destination, or, if None, all is given back."""

    captures: StrictInt | None = None
    reason: Text | None = None

    @model_validator(mode="after")
    def _could_be_done(self) -> "Decision":
        if self.captures is not None:
            check_amount(self.captures)
        return self

    def __str__(self) -> str:
        return "voided" if self.captures is None else f"{self.captures} captured"


def asked_again(transfer: Transfer, debit: Fingerprint | None) -> TransferRequest:
    """What the caller of a transfer asked for, from the books: the transfer, and the fingerprint of its debit.

    Raises OutOfOrder for terms that only a newer release knows.
    """
    fields = {"transfer_id": transfer.id, **transfer.content()}
    if debit is None or debit.recipe == CURRENT:
        return TransferRequest.model_validate(fields)
    for kind in KINDS:
        if kind.recipe == debit.recipe:
            return kind.model_validate(fields | json.loads(debit.text))
    raise OutOfOrder(f"{transfer.id} was debited on terms that this release does not know: {debit.recipe}")
