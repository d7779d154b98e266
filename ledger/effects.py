"""Effects: what a transfer has done to each account in the end, recomputed from its postings and from nothing else.

    net            verdict
    all zero       not_moved    nothing moved, or all of it came back
    in transit     in_transit   taken and not yet given, by a transfer that has not ended
    as asked       moved_once   the source paid exactly what was asked, or of a hold what was captured; others have it
    else           wrong        the postings contradict what was asked: call somebody

The transfer's status is asked one thing only: whether it has ended, for then nothing may be in transit. An entry is in
the books whole or not at all: its postings are those that it asks for, or there are none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from ledger.entries import Entry
from ledger.keys import is_transit_account
from ledger.operation import Posting
from ledger.transfer import TransferState


@dataclass(slots=True)
class Effect:
    """All debits and all credits of one account by one transfer, in minor units."""

    account_id: str
    currency: str
    debits: int = 0
    credits: int = 0

    @property
    def net(self) -> int:
        """What the transfer has brought the account (positive), or taken from it. The nets of a currency sum to 0."""
        return self.credits - self.debits


class Verdict(StrEnum):
    """What the postings of one transfer prove."""

    MOVED_ONCE = "moved_once"
    NOT_MOVED = "not_moved"
    IN_TRANSIT = "in_transit"
    WRONG = "wrong"


def effects(postings: Iterable[Posting]) -> list[Effect]:
    """The effect on every account that was posted to, in the order in which they were."""
    found: dict[tuple[str, str], Effect] = {}
    for posting in postings:
        for account_id in (posting.debit_account_id, posting.credit_account_id):
            found.setdefault((account_id, posting.currency), Effect(account_id, posting.currency))
        found[posting.debit_account_id, posting.currency].debits += posting.amount_minor
        found[posting.credit_account_id, posting.currency].credits += posting.amount_minor
    return list(found.values())


def judge(state: TransferState | None, effects: Sequence[Effect]) -> Verdict:
    """What the effects of a transfer prove; `state` is None if the books have never heard of it."""
    if all(effect.net == 0 for effect in effects):
        return Verdict.NOT_MOVED
    if state is None:
        return Verdict.WRONG
    asked = state.transfer
    source = (asked.source, asked.currency)
    paid = -sum(effect.net for effect in effects if (effect.account_id, effect.currency) == source)
    if paid != state.moved_minor:
        return Verdict.WRONG
    if not any(effect.net for effect in effects if is_transit_account(effect.account_id)):
        return Verdict.MOVED_ONCE
    return Verdict.WRONG if state.status.terminal else Verdict.IN_TRANSIT


def judge_entry(entry: Entry, has_applied: bool, postings: Sequence[Posting]) -> Verdict:
    """What the postings of an entry prove."""
    if not has_applied:
        return Verdict.WRONG if postings else Verdict.NOT_MOVED
    if not entry.is_moved_by(postings):
        return Verdict.WRONG
    return Verdict.MOVED_ONCE if postings else Verdict.NOT_MOVED
