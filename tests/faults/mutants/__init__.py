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


_LEDGER, _WORKFLOWS = "tests/ledger/test_", "tests/workflows/test_"


def _killers(folder: str, *tests: str) -> tuple[str, ...]:
    return tuple(folder + test for test in tests)


MUTANTS = (
    Mutant(
        "key_of_the_attempt",
        "sqlite",
        of_activities.key_of_the_attempt,
        _killers(_WORKFLOWS, "again.py::test_a_finished_transfer_that_is_reset_to_its_first_task_does_nothing_again"),
    ),
    Mutant(
        "refund_on_timeout",
        "sqlite",
        of_workflows.refund_on_timeout,
        _killers(
            _WORKFLOWS,
            "asking.py::test_a_leg_without_an_answer_calls_for_attention_and_goes_on_with_the_same_key",
        ),
    ),
    Mutant(
        "no_fence",
        "postgresql",
        of_the_books.no_fence,
        _killers(_LEDGER, "races.py::test_a_late_credit_and_a_refund_never_both_happen", "fences.py"),
    ),
    Mutant(
        "key_in_a_second_transaction",
        "sqlite",
        of_the_store.key_in_a_second_transaction,
        _killers(_LEDGER, "known_bugs.py", "unknown.py"),
    ),
    Mutant(
        "check_then_insert",
        "postgresql",
        of_the_store.check_then_insert,
        _killers(_LEDGER, "races.py::test_both_ask_the_same_and_one_applies", "known_bugs.py"),
    ),
    Mutant("synchronous_normal", "sqlite", of_the_store.synchronous_normal, _killers(_LEDGER, "opening.py")),
    Mutant(
        "unsorted_locks",
        "postgresql",
        of_the_store.unsorted_locks,
        _killers(_LEDGER, "races.py::test_entries_over_hundreds_of_accounts_lock_them_in_one_order"),
    ),
    Mutant(
        "locks_rows_that_do_not_exist",
        "postgresql",
        of_the_books.accounts_out_of_nothing,
        _killers(_LEDGER, "known_bugs.py"),
    ),
    Mutant(
        "busy_is_insufficient_funds",
        "postgresql",
        of_the_books.busy_is_insufficient_funds,
        _killers(_LEDGER, "known_bugs.py"),
    ),
    Mutant(
        "notification_before_commit",
        "sqlite",
        of_activities.notification_before_commit,
        _killers(
            _WORKFLOWS,
            "transfer.py::test_a_destination_closed_meanwhile_gets_nothing_and_the_source_gets_it_back",
            "notification.py",
        ),
    ),
    Mutant(
        "default_reuse_policy",
        "sqlite",
        of_workflows.default_reuse_policy,
        _killers(
            _WORKFLOWS,
            "again.py::test_a_settled_transfer_run_again_after_temporal_forgot_it_answers_from_the_ledger",
        ),
    ),
    Mutant(
        "default_cancellation_type",
        "sqlite",
        of_workflows.default_cancellation_type,
        _killers(
            _WORKFLOWS,
            "cancel.py::test_a_cancelled_transfer_asks_for_nothing_while_its_credit_may_still_be_written",
        ),
    ),
    Mutant(
        "keys_that_expire",
        "sqlite",
        of_the_store.keys_that_expire,
        _killers(
            _WORKFLOWS,
            "again.py::test_a_settled_transfer_run_again_after_temporal_forgot_it_answers_from_the_ledger",
        ),
    ),
    Mutant("a_posting_swallowed", "sqlite", of_the_store.a_posting_swallowed, _killers(_LEDGER, "contract.py")),
    Mutant("an_unknown_is_recorded", "sqlite", of_the_books.an_unknown_is_recorded, _killers(_LEDGER, "unknown.py")),
    Mutant(
        "fingerprint_without_amount",
        "sqlite",
        of_the_books.fingerprint_without_amount,
        _killers(
            _WORKFLOWS,
            "again.py::test_the_same_id_with_other_content_is_told_what_differs_while_it_runs_and_after",
        ),
    ),
)
"""The sixteen of the design, in its order."""


def let_loose(name: str) -> None:
    """Make this process's engine wrong in the way of this name."""
    next(mutant for mutant in MUTANTS if mutant.name == name).mutate()
