"""Mutants: the engine made wrong on purpose, one way at a time, to see that somebody notices.

    DURABLE_TRANSFERS_MUTANT=no_fence pytest tests/ledger/test_fences.py

The variable is read by the tests' `conftest.py` alone: the engine itself knows nothing of mutants. Each is the mistake
of a real system, and names the tests that must not let it pass.
"""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.mutants import of_activities, of_the_books, of_the_store, of_workflows

ENVIRONMENT = "DURABLE_TRANSFERS_MUTANT"


@dataclass(frozen=True)
class Mutant:
    """One way of being wrong."""

    name: str
    database: str
    """Where it is let loose: some mistakes can only be made on one of the two."""
    mutate: Callable[[], None]
    """Makes this process's engine wrong, for as long as the process lives."""
    killers: tuple[str, ...]
    """What pytest is asked to run; the first test that fails is named in the report."""


_AGAIN, _FENCES = "tests/workflows/test_again.py", "tests/ledger/test_fences.py"
_UNKNOWN, _BUGS = "tests/ledger/test_unknown.py", "tests/ledger/test_known_bugs.py"
_RACES, _CONTRACT = "tests/ledger/test_races.py", "tests/ledger/test_contract.py"
_CANCEL, _TRANSFER = "tests/workflows/test_cancel.py", "tests/workflows/test_transfer.py"

MUTANTS = (
    Mutant("key_of_the_attempt", "sqlite", of_activities.key_of_the_attempt, (_AGAIN,)),
    Mutant("refund_on_timeout", "sqlite", of_workflows.refund_on_timeout, ("tests/workflows/test_asking.py",)),
    Mutant("no_fence", "postgresql", of_the_books.no_fence, (_RACES, _FENCES)),
    Mutant("key_in_a_second_transaction", "sqlite", of_the_store.key_in_a_second_transaction, (_UNKNOWN, _BUGS)),
    Mutant("check_then_insert", "postgresql", of_the_store.check_then_insert, (_RACES, _BUGS)),
    Mutant("synchronous_normal", "sqlite", of_the_store.synchronous_normal, ("tests/ledger/test_database.py",)),
    Mutant("unsorted_locks", "postgresql", of_the_store.unsorted_locks, (_BUGS, _RACES)),
    Mutant("locks_rows_that_do_not_exist", "postgresql", of_the_books.accounts_out_of_nothing, (_BUGS, _RACES)),
    Mutant("busy_is_insufficient_funds", "postgresql", of_the_books.busy_is_insufficient_funds, (_BUGS,)),
    Mutant("notification_before_commit", "sqlite", of_activities.notification_before_commit, (_TRANSFER,)),
    Mutant("default_reuse_policy", "sqlite", of_workflows.default_reuse_policy, (_AGAIN,)),
    Mutant("default_cancellation_type", "sqlite", of_workflows.default_cancellation_type, (_CANCEL,)),
    Mutant("keys_that_expire", "sqlite", of_the_store.keys_that_expire, (_AGAIN,)),
    Mutant("a_posting_swallowed", "sqlite", of_the_store.a_posting_swallowed, (_CONTRACT,)),
    Mutant("an_unknown_is_recorded", "sqlite", of_the_books.an_unknown_is_recorded, (_UNKNOWN,)),
    Mutant("fingerprint_without_amount", "sqlite", of_the_books.fingerprint_without_amount, (_AGAIN,)),
)
"""The sixteen of the design, in its order."""


def let_loose(name: str) -> None:
    """Make this process's engine wrong in the way of this name."""
    next(mutant for mutant in MUTANTS if mutant.name == name).mutate()
