"""Worked out: postings that only the books can tell, with the accounts locked. Pure.

a target        whatever brings an account to its balance
an entry back   of each of its postings what is due, the other way round, after all that came back of it before
"""

from collections.abc import Sequence
from dataclasses import replace

from ledger.books import Books, GivenBack
from ledger.money import MAX_MINOR
from ledger.operation import GivesBack, Operation, Original, Posting, Target


def worked_out(operation: Operation, books: Books) -> Operation:
    """The operation with its postings. None of them if something is in its way, which `obstacles.py` will say."""
    if operation.brings is not None:
        return replace(operation, postings=_what_is_missing(operation.brings, books))
    assert operation.gives_back is not None
    asked = operation.gives_back.original.operation().postings
    due = zip(asked, _due(operation.gives_back, books), strict=True)
    back = (Posting(p.credit_account_id, p.debit_account_id, amount, p.currency) for p, amount in due if amount)
    return replace(operation, postings=tuple(back))


def given_back(operation: Operation, books: Books) -> list[GivenBack]:
    """How much of which posting of an entry an operation gives back, as the books remember it."""
    if operation.gives_back is None:
        return []
    original, due = operation.gives_back.original.key, _due(operation.gives_back, books)
    return [GivenBack(operation.key, place, original, amount) for place, amount in enumerate(due) if amount]


def given_back_before(original: Original, books: Books) -> Sequence[int]:
    """How much of each posting of an entry was given back so far."""
    return [books.given_back[original.key, place] for place in range(len(original.operation().postings))]


def _due(back: GivesBack, books: Books) -> Sequence[int]:
    original, before = back.original, given_back_before(back.original, books)
    recorded = books.operations.get(original.key)
    # What came back before came back of what is recorded: of other content it is no part.
    if recorded is None or recorded.fingerprint.differences(original.content(), original.recipe):
        return [0 for _ in before]
    if back.amount_minor > original.left(before):
        return [0 for _ in before]
    return original.parts(back.amount_minor, before)


def _what_is_missing(target: Target, books: Books) -> tuple[Posting, ...]:
    """The posting that brings an account to its target; none if it is there, or if there is no such account."""
    account = books.accounts.get(target.account_id)
    surplus = 0 if account is None else account.credits_posted - account.debits_posted - target.balance_minor
    if surplus == 0:
        return ()
    giver, taker = (target.account_id, target.counterpart_id)[:: 1 if surplus > 0 else -1]
    # What no amount can bridge is more than the account's totals have room for, too: a rejection, by the same rule.
    return (Posting(giver, taker, min(abs(surplus), MAX_MINOR), target.currency),)
