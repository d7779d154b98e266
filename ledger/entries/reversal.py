"""Reversal: a settled transfer is given back, whole or in part, as a movement of its own that names the original.

All reversals of a transfer never come to more than it was; the books keep the sum, and the database refuses more.
Of a reversal there is none: it is no transfer. Who was given back too much is paid by a transfer.
"""

from dataclasses import dataclass
from typing import ClassVar

from ledger.entries.entry import Entry
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_account_id, check_id
from ledger.money import check_amount, decimals
from ledger.operation import Operation, Posting


@dataclass(frozen=True, slots=True)
class Reversal(Entry):
    """Money goes back from a transfer's destination (here the source) to its source. Raises MalformedRequest."""

    leg: ClassVar[Leg] = Leg.REVERSAL
    recipe: ClassVar[str] = "reversal-v1"

    reverses: str
    source: str
    destination: str
    amount_minor: int
    currency: str

    def __post_init__(self) -> None:
        check_id(self.id, "reversal id")
        check_id(self.reverses, "transfer id")
        check_account_id(self.source, "source account")
        check_account_id(self.destination, "destination account")
        check_amount(self.amount_minor)
        decimals(self.currency)
        if self.source == self.destination:
            raise MalformedRequest(f"source and destination are the same account, {self.source!r}")

    def operation(self) -> Operation:
        """One posting, under `<id>/reversal`."""
        return Operation(
            key=self.key,
            content=self.content(),
            recipe=self.recipe,
            tells=True,
            postings=(Posting(self.source, self.destination, self.amount_minor, self.currency),),
            must_be_open={self.source: self.currency, self.destination: self.currency},
            reverses=self.reverses,
        )
