"""The accidents of the ledger, as a tree. Business answers are not here: see `rejections.py`.

LedgerError
├── MalformedRequest     can never succeed; refused before anything starts, nothing recorded
├── OutcomeUnknown       no answer; ask again with the same key
├── OutOfOrder           a leg whose transfer is not where the leg starts from; nothing recorded
├── UnsafeDatabase       a setting that would lose acknowledged money; the ledger does not start
└── LedgerInUse          another process writes this SQLite file
"""


class LedgerError(Exception):
    """Anything the ledger raises."""


class MalformedRequest(LedgerError, ValueError):
    """The request can never succeed, whatever the books say. Fix it; do not retry it."""


class OutcomeUnknown(LedgerError):
    """The commit may or may not have happened. The cure is to ask again with the same key."""


class OutOfOrder(LedgerError):
    """The transfer is not in a state this operation starts from, and no key says why.

    It means that the books and the caller disagree about the past (an older ledger was restored, a leg was
    called by hand). It is an accident for a person to look at, never a business answer.
    """


class UnsafeDatabase(LedgerError):
    """The database would acknowledge commits that a power cut can take back."""


class LedgerInUse(LedgerError):
    """Another process holds the write lock of this SQLite file."""
