"""The invariants, each recomputed from the rows and from what the outside saw, never by the engine itself.

    I1   conservation                          I9   one order of the ledger explains every answer
    I2   transit is what is on its way         I10  one notification effect per key
    I3   no guarded account below its guard    I11  books and Temporal agree, both ways
    I4   one effect per key                    I14  no accident told as a business answer
    I5   a status has its entries
    I6   what was acknowledged is in the books, and ends
    I7   a definite answer never changes
    I8   all is terminal within 30 s after the faults stop

I13 (every history replays) is shown by the part `histories` and by the storm, I15 (every planned fault fired) by the
report. There is no I12.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.evidence import Evidence
from tests.faults.invariants import agreement, answers, keys, lives, money, notifications, order


@dataclass(frozen=True)
class Violation:
    """One thing that must not be, and is."""

    invariant: str
    text: str

    def __str__(self) -> str:
        """As it stands in the report."""
        return f"{self.invariant}: {self.text}"


Check = Callable[[Evidence], list[str]]
CHECKS: dict[str, Check] = {
    "I1": money.conservation,
    "I2": money.transit,
    "I3": money.guards,
    "I4": keys.one_effect,
    "I5": lives.status_has_its_entries,
    "I6": answers.acknowledged_is_in_the_books,
    "I7": answers.answers_never_change,
    "I8": answers.terminal_in_time,
    "I9": order.one_order,
    "I10": notifications.one_notification,
    "I11": agreement.books_and_temporal_agree,
    "I14": answers.accidents_are_no_answers,
}
"""A checker for each invariant: what it finds wrong, a sentence each."""


def violations(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong, by every checker. Nothing, if all held."""
    return [Violation(name, text) for name, check in CHECKS.items() for text in check(evidence)]
