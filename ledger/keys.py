"""Keys: the only place where ids are checked and operation keys are made.

A key names one intent, the same on every attempt. It is a pure function of business facts: `<transfer id>/<operation>`,
`<account id>/setting/<number>`, `<transfer id>/approval/<approver>`, `<id>/<kind>/approval/<approver>` or
`<id>/<kind>/cancel`. `/` cannot occur in an id, so no two keys collide. Nothing here knows a run id, an attempt number,
a clock or a random number: all of those change when Temporal retries or resets.
"""

import re
from enum import StrEnum

from ledger.errors import MalformedRequest

LONGEST_ID = 128
"""The longest id, in characters."""

_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_ID}}}", re.ASCII)
_TRANSIT = "transit:"
_CASH = "cash:"
SETTING = "/setting/"
APPROVAL = "/approval/"
CORRECTION = ".correction"
"""What the id of a payout's correction has more than its own."""

_NOTIFY = "/notify/"
_LONGEST_KEY = 200  # in the books
_PERSON_LENGTH = 60  # so that the longest key of a transfer's approval fits into them
OCCURRENCE_LENGTH = len(".2026-12-01T090000Z")
"""How many characters the id of an occurrence has more than that of what recurs (`activities/recurrence.py`)."""


class Leg(StrEnum):
    """The last part of an operation key."""

    DEBIT = "debit"
    CREDIT = "credit"
    REFUND = "refund"
    CANCEL = "cancel"
    SUBMIT = "submit"
    RECALL = "recall"
    DECISION = "decision"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEPOSIT = "deposit"
    SPLIT = "split"
    EXCHANGE = "exchange"
    REVERSAL = "reversal"
    TARGET = "target"
    BATCH = "batch"


def check_id(value: object, what: str) -> str:
    """The id itself, if it has 1 to 128 of `A-Z a-z 0-9 . _ : -`; else MalformedRequest naming `what`."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise MalformedRequest(f"{what} {value!r} must be 1 to 128 characters of A-Z a-z 0-9 . _ : -")
    return value


def check_account_id(value: object, what: str = "account id") -> str:
    """An id that callers may use for an account: `transit:` and `cash:` belong to the ledger itself."""
    account_id = check_id(value, what)
    if account_id.startswith((_TRANSIT, _CASH)):
        raise MalformedRequest(f"{what} {account_id!r} is one of the ledger's own; pick another name")
    return account_id


def check_person(value: object, what: str) -> str:
    """The name of who asks or approves: an id of at most 60 characters, which names no leg at the end of a key."""
    name = check_id(value, what)
    if name in set(Leg):
        raise MalformedRequest(f"{what} {name!r} is the name of an operation; pick another one")
    if len(name) > _PERSON_LENGTH:
        raise MalformedRequest(f"{what} {name!r} must have at most {_PERSON_LENGTH} characters")
    return name


def operation_key(owner_id: str, leg: Leg) -> str:
    """The key of one leg: `T1/debit`. `owner_id` is the id of a transfer, a deposit or another entry."""
    return f"{owner_id}/{leg}"


def operation_keys(owner_id: str) -> tuple[str, str]:
    """The bounds of all keys of one owner: each is at or above the first, and below the second."""
    return f"{owner_id}/", f"{owner_id}0"  # 0 is the sign after the slash


def setting_key(account_id: str, number: int) -> str:
    """The key of an account's first, second, ... change of its settings: `alice/setting/1`."""
    return f"{account_id}{SETTING}{number}"


def approval_key(owner: str, approver: str) -> str:
    """The key of one person's approval: `T1/approval/bob` of a transfer, `S1/split/approval/bob` of an entry.

    Raises MalformedRequest when an entry's id and the name together are too long for the books.
    """
    key = f"{owner}{APPROVAL}{approver}"
    if (beyond := len(key) - _LONGEST_KEY) > 0:
        longest = len(approver) - beyond
        raise MalformedRequest(f"of {owner} nobody can approve whose name has more than {longest} characters")
    return key


def entry_cancel_key(entry_key: str) -> str:
    """The key of what fences an entry: `S1/split/cancel`."""
    return f"{entry_key}/{Leg.CANCEL}"


def notification_key(owner: str, event: str) -> str:
    """The key of one notification: `T1/notify/settled` of a transfer, `S1/split/notify/settled` of an entry."""
    return f"{owner}{_NOTIFY}{event}"


def notified(notification_key: str) -> str:
    """Whose ending a notification tells: the id of a transfer, or the key of an entry."""
    return notification_key.rpartition(_NOTIFY)[0]


def correction_id(payout_id: str, number: int) -> str:
    """The id of a payout's first, second, ... correction: `P1.correction`, `P1.correction.2`."""
    return f"{payout_id}{CORRECTION}" + (f".{number}" if number > 1 else "")


def transit_account(currency: str) -> str:
    """Where a currency's money is between debit and credit."""
    return f"{_TRANSIT}{currency}"


def is_transit_account(account_id: str) -> bool:
    """Whether an account is a currency's transit account."""
    return account_id.startswith(_TRANSIT)


def cash_account(currency: str) -> str:
    """The currency's cash at the bank: the asset that deposits are debited to."""
    return f"{_CASH}{currency}"
