"""Entries: movements that happen whole in one step, or not at all.

    split       one account pays many, by amounts, percents and a remainder
    exchange    one currency is sold and another bought, at the rate of a quote, through the desk's accounts
    reversal    a settled transfer, a split or an exchange is given back, whole or in part
    target      an account is brought to a balance

Each is one operation under `<id>/<kind>`, with all of its postings in one transaction. None of them has a life of its
own, as a transfer has: what was asked and how it ended is in its operation. A new kind is a new module here, with a
recipe in `fingerprint.py` and a leg in `keys.py`.
"""

from collections.abc import Mapping
from typing import Any

from ledger.entries.entry import Entry
from ledger.entries.exchange import Exchange, Quote, at_quote
from ledger.entries.giving_back import EntryReversal
from ledger.entries.reversal import Reversal
from ledger.entries.reversible import Reversible
from ledger.entries.split import Share, Split, shares_of
from ledger.entries.target import TargetBalance
from ledger.errors import MalformedRequest
from ledger.fingerprint import RECIPES

__all__ = [
    "BY_RECIPE", "KINDS", "LEGS", "Entry", "EntryReversal", "Exchange", "Quote", "Reversal", "Reversible", "Share",
    "Split", "TargetBalance", "at_quote", "entry_of", "shares_of",
]  # fmt: skip  # a list is read as one thing


KINDS: tuple[type[Entry], ...] = (Split, Exchange, Reversal, EntryReversal, TargetBalance)
"""Every kind there is. Both reversals have one key, so that an id gives back one thing."""

LEGS = tuple(dict.fromkeys(kind.leg for kind in KINDS))
"""The last parts of their keys."""

BY_RECIPE = {kind.recipe: kind for kind in KINDS}
"""The kind of a recorded fingerprint."""


def entry_of(leg: str, id: str, content: Mapping[str, Any]) -> Entry:
    """The entry of a leg, an id and a content. Raises MalformedRequest."""
    kinds = [kind for kind in KINDS if kind.leg == leg]
    if not kinds:
        raise MalformedRequest(f"there is no kind of entry called {leg!r}")
    kind = next((kind for kind in kinds if RECIPES[kind.recipe] == content.keys()), kinds[0])
    try:
        entry = kind.of(id, content)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise MalformedRequest(f"this is not what a {leg} asks for: {error}") from error
    if entry.content() != content:
        raise MalformedRequest(f"this is not what a {leg} asks for: {content}")
    return entry
