"""Every business answer that is not "applied", in one picture. Asking again does not change any of them.

    Rejection
    ├── the accounts        account_not_found  account_frozen  account_closed  currency_mismatch
    ├── the money           insufficient_funds  total_overflow
    ├── an expectation      version_conflict  quote_expired
    ├── a limit             limit_exceeded  approval_required
    ├── what is reversed    transfer_not_found  entry_not_found  not_settled
    │                       differs_from_original  exceeds_original
    ├── a leg came first    already_credited  already_debited  already_submitted  already_entered
    │                       already_rejected
    └── a setting           account_differs          (said, not recorded: settings have no key)

A rejected operation is pinned under its key. Whatever is not on this page is an accident (`errors.py`).
"""

from dataclasses import dataclass
from enum import StrEnum


class Code(StrEnum):
    """Why the books said no. The values are part of the public contract: they are stored and shown."""

    ACCOUNT_NOT_FOUND = "account_not_found"
    ACCOUNT_FROZEN = "account_frozen"
    ACCOUNT_CLOSED = "account_closed"
    CURRENCY_MISMATCH = "currency_mismatch"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    TOTAL_OVERFLOW = "total_overflow"
    VERSION_CONFLICT = "version_conflict"
    QUOTE_EXPIRED = "quote_expired"
    LIMIT_EXCEEDED = "limit_exceeded"
    APPROVAL_REQUIRED = "approval_required"
    TRANSFER_NOT_FOUND = "transfer_not_found"
    ENTRY_NOT_FOUND = "entry_not_found"
    NOT_SETTLED = "not_settled"
    DIFFERS_FROM_ORIGINAL = "differs_from_original"
    EXCEEDS_ORIGINAL = "exceeds_original"
    ALREADY_CREDITED = "already_credited"
    ALREADY_DEBITED = "already_debited"
    ALREADY_SUBMITTED = "already_submitted"
    ALREADY_ENTERED = "already_entered"
    ALREADY_REJECTED = "already_rejected"
    ACCOUNT_DIFFERS = "account_differs"


@dataclass(frozen=True, slots=True)
class Rejection:
    """A business answer: a code for programs, and one sentence for people."""

    code: Code
    detail: str
