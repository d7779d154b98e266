"""I9: the ledger's sequence is one order that explains every answer, with real time respected.

What can be said without trusting any clock but the callers' own:

    answered before asked     if X's outcome was told before Y was first asked, all postings of X precede those of Y
    insufficient funds        some prefix of the sequence, after all that was told before the rejected transfer was
                              first asked and before all that was first asked after it was told, had no more money
                              (or the very balance, where the recorded detail names it) in the source's account

Rows carry the workers' wall clocks, which faults may turn, so `recorded_at` is not used. Every asking must be in the
evidence: a posting that is there before its first known asking would be a false alarm.
"""

import re
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf

from tests.faults.evidence import Evidence, Row, Rows
from tests.faults.invariants import lookup

_SEEN = re.compile(r"account (?P<account>\S+) has (?P<has>-?[0-9.]+) [A-Z]{3}, (?P<needed>[0-9.]+) [A-Z]{3} needed")


@dataclass(frozen=True)
class _Life:
    """One transfer as its callers and the sequence saw it."""

    id: str
    asked: float
    """When it was first asked."""
    answered: float
    """When its outcome was first told; infinity if never."""
    first: float
    last: float
    """The sequences of its first and last posting; infinity and minus infinity if it has none."""


def one_order(evidence: Evidence) -> list[str]:
    """I9: see the module."""
    lives = _lives(evidence)
    return [*_out_of_order(lives), *_unexplained(evidence.rows, lives)]


def _lives(evidence: Evidence) -> list[_Life]:
    postings, lives = lookup.postings(evidence.rows), []
    for id, given in lookup.answers(evidence.answers).items():
        sequences = [
            posting["sequence"] for leg in ("debit", "credit", "refund") for posting in postings.get(f"{id}/{leg}", ())
        ]
        asked = min(answer.asked_at for answer in given)
        answered = min((answer.answered_at for answer in given if lookup.is_definite(answer)), default=inf)
        lives.append(_Life(id, asked, answered, min(sequences, default=inf), max(sequences, default=-inf)))
    return lives


def _out_of_order(lives: Sequence[_Life]) -> Iterator[str]:
    told = sorted(lives, key=lambda life: life.answered)
    number, latest = 0, None
    for life in sorted(lives, key=lambda life: life.asked):
        while number < len(told) and told[number].answered < life.asked:
            if latest is None or told[number].last > latest.last:
                latest = told[number]
            number += 1
        if latest is not None and latest.last > life.first:
            yield (
                f"{latest.id} was told {life.asked - latest.answered:.3f} s before {life.id} was asked, and its "
                f"posting {latest.last:.0f} comes after posting {life.first:.0f} of the later one"
            )


class _Window:
    """Which prefixes of the sequence a decision can have seen, by when it was asked and told."""

    def __init__(self, lives: Sequence[_Life]) -> None:
        self._told = sorted((life.answered, life.last) for life in lives)
        self._asked = sorted((life.asked, life.first) for life in lives)
        self._last_told = list(accumulate((last for _, last in self._told), max))
        self._first_asked = list(accumulate((first for _, first in reversed(self._asked)), min))[::-1]

    def of(self, life: _Life | None) -> tuple[float, float]:
        """The prefix ends at or after the first, and before the second."""
        if life is None:
            return -inf, inf
        told = bisect_left(self._told, (life.asked, -inf))
        asked = bisect_right(self._asked, (life.answered, inf))
        after = self._last_told[told - 1] if told else -inf
        return after, self._first_asked[asked] if asked < len(self._asked) else inf


def _unexplained(rows: Rows, lives: Sequence[_Life]) -> Iterator[str]:
    window, by_id = _Window(lives), {life.id: life for life in lives}
    balances, transfers = _balances(rows), lookup.transfers(rows)
    for operation in rows.operations:
        transfer = transfers.get(operation["transfer_id"])
        if transfer is None or operation["outcome"] != "rejected" or operation["code"] != "insufficient_funds":
            continue
        source, amount = transfer["source_account_id"], transfer["amount_minor"]
        after, before = window.of(by_id.get(transfer["id"]))
        seen = _seen(operation, source, amount)
        history = balances.get(source, [(-inf, 0)])
        if not _some_prefix(history, after, before, amount, seen):
            known = f"had {seen}" if seen is not None else f"had less than {amount}"
            yield (
                f"{operation['key']} was rejected for insufficient funds ({operation['detail']}); between "
                f"postings {after:.0f} and {before:.0f} of the sequence {source} never {known}"
            )


def _seen(operation: Row, source: str, amount: int) -> int | None:
    """The balance that the rejection says it saw, in minor units; None if it names none."""
    match = _SEEN.search(operation["detail"] or "")
    if match is None or match["account"] != source or int(match["needed"].replace(".", "")) != amount:
        return None
    return int(match["has"].replace(".", ""))


def _some_prefix(
    history: Sequence[tuple[float, int]], after: float, before: float, amount: int, seen: int | None
) -> bool:
    """Whether a prefix in the window has too little (or the balance that was seen, which must be too little)."""
    if seen is not None and seen >= amount:
        return False
    begin = max(0, bisect_right(history, (after, inf)) - 1)
    for sequence, balance in history[begin:]:
        if sequence >= before:
            return False
        if (balance < amount) if seen is None else (balance == seen):
            return True
    return False


def _balances(rows: Rows) -> dict[str, list[tuple[float, int]]]:
    """The balance of each account from each of its postings on, by sequence; zero from the beginning on."""
    guards = {row["id"]: row["guard"] for row in rows.accounts}
    histories: defaultdict[str, list[tuple[float, int]]] = defaultdict(lambda: [(-inf, 0)])
    for posting in rows.postings:
        for side, account_id, amount in lookup.changes(posting):
            history = histories[account_id]
            balance = history[-1][1] + lookup.signed(guards.get(account_id), side, amount)
            history.append((float(posting["sequence"]), balance))
    return histories
