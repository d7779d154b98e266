"""Reversible: entries of which the whole or a part can be given back (`giving_back.py`)."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.entries.entry import Entry


@dataclass(frozen=True, slots=True)
class Reversible(Entry):
    """Its source pays `amount_minor`, and a part of that can go back to it, with a part of every posting."""

    source: str

    @abstractmethod
    def left(self, given_back: Sequence[int]) -> int:
        """How much of what the source has paid can still go back, after `given_back` of each posting (minor units)."""

    @abstractmethod
    def parts(self, amount_minor: int, given_back: Sequence[int]) -> Sequence[int]:
        """How much of each posting comes back when `amount_minor` more goes back to the source (at most what is left).

        Never more of a posting than there is left of it; and if all that is left goes back, all that is left of each.
        """
