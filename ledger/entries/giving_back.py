"""Giving back: a split or an exchange comes back, whole or in part, as an entry of its own that names the original.

It asks for so much of what the original's source has paid to go back to it. What the others give for that is worked out
by the books (`worked_out.py`), which know what came back before: never more of any posting than there was, and in the
end exactly that. It repeats what the original was asked for, so that its accounts can be locked before anything is
read; if the books say otherwise, it is rejected. Of a reversal or a target balance there is no reversal.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from ledger.entries.entry import Entry
from ledger.entries.exchange import Exchange
from ledger.entries.reversible import Reversible
from ledger.entries.split import Split
from ledger.errors import MalformedRequest
from ledger.fingerprint import Fingerprint
from ledger.keys import Leg, check_id
from ledger.money import check_amount, say
from ledger.operation import GivesBack, Operation, Posting

REVERSIBLE: dict[str, type[Reversible]] = {str(kind.leg): kind for kind in (Split, Exchange)}
"""The kinds that can be given back, by the last part of their keys."""


@dataclass(frozen=True, slots=True)
class EntryReversal(Entry):
    """`amount_minor` of what the entry with the key `reverses` has paid goes back. Raises MalformedRequest.

    `original` is the canonical text of what was asked under that key.
    """

    leg: ClassVar[Leg] = Leg.REVERSAL
    recipe: ClassVar[str] = "entry-reversal-v1"

    reverses: str
    amount_minor: int
    currency: str
    original: str

    def __post_init__(self) -> None:
        check_id(self.id, "reversal id")
        check_amount(self.amount_minor)
        original = self.as_original()
        first = original.operation().postings[0]
        if self.currency != first.currency:
            raise MalformedRequest(f"{self.reverses} was paid in {first.currency}, not in {self.currency}")
        nothing = [0 for _ in original.operation().postings]
        if self.amount_minor > (paid := original.left(nothing)):
            raise MalformedRequest(f"entry {self.reverses} was {say(paid, self.currency)}")

    @classmethod
    def of_entry(cls, id: str, original: Reversible, amount_minor: int | None = None) -> Self:
        """The reversal of so much of an entry; without an amount, of all of it."""
        operation = original.operation()
        paid = original.left([0 for _ in operation.postings])
        asked = Fingerprint.of(original.content(), original.recipe).text
        amount = paid if amount_minor is None else amount_minor
        return cls(id, original.key, amount, operation.postings[0].currency, asked)

    def as_original(self) -> Reversible:
        """The entry that it gives back."""
        id, _, leg = self.reverses.partition("/")
        kind = REVERSIBLE.get(leg)
        if kind is None:
            raise MalformedRequest(f"{self.reverses!r} is not the key of a split or an exchange")
        try:
            original = kind.of(id, json.loads(self.original))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MalformedRequest(f"this is not what a {leg} asks for: {error}") from error
        if Fingerprint.of(original.content(), original.recipe).text != self.original:
            raise MalformedRequest(f"this is not what a {leg} asks for: {self.original}")
        return original

    def is_moved_by(self, postings: Sequence[Posting]) -> bool:
        """All go the other way of the original's, and they bring its source what was asked."""
        original = self.as_original()
        ways = {(p.credit_account_id, p.debit_account_id, p.currency) for p in original.operation().postings}
        mine = [p for p in postings if (p.credit_account_id, p.currency) == (original.source, self.currency)]
        there = all((p.debit_account_id, p.credit_account_id, p.currency) in ways for p in postings)
        return there and sum(p.amount_minor for p in mine) == self.amount_minor

    def operation(self) -> Operation:
        """As many postings as are due, under `<id>/reversal`."""
        original = self.as_original()
        return Operation(
            key=self.key,
            content=self.content(),
            recipe=self.recipe,
            tells=True,
            must_be_open=original.operation().must_be_open,
            gives_back=GivesBack(original, self.amount_minor),
        )
