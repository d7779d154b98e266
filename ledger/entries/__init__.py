"""Entries: movements that happen whole in one step, or not at all.

    split       one account pays many, by amounts, percents and a remainder
    exchange    one currency is sold and another bought, at the rate of a quote, through the desk's accounts
    reversal    a settled transfer is given back, whole or in part
    target      an account is brought to a balance

Each is one operation under `<id>/<kind>`, with all of its postings in one transaction. None of them has a life of its
own, as a transfer has: what was asked and how it ended is in its operation. A new kind is a new module here, with a
recipe in `fingerprint.py` and a leg in `keys.py`.
"""

from ledger.entries.entry import Entry
from ledger.entries.exchange import Exchange, Quote, at_quote
from ledger.entries.reversal import Reversal
from ledger.entries.split import Share, Split, shares_of
from ledger.entries.target import TargetBalance

__all__ = [
    "KINDS", "Entry", "Exchange", "Quote", "Reversal", "Share", "Split", "TargetBalance", "at_quote", "shares_of",
]  # fmt: skip  # a list is read as one thing


KINDS: tuple[type[Entry], ...] = (Split, Exchange, Reversal, TargetBalance)
"""Every kind there is."""
