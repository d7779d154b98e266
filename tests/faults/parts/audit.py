"""Audit: every way in which books can be wrong is named by the audit, and books that are right raise no alarm."""

from tests.faults.pytest_run import run_tests
from tests.faults.run import Run
from tests.ledger.divergences import DIVERGENCES

_FILE = "tests/ledger/test_audit_divergences.py"


async def run(run: Run) -> None:
    """The seeded divergences, each after an audit of the same books that found nothing."""
    found = 0
    for test in await run_tests(run.folder / "audit.xml", ["-k", run.database, _FILE]):
        with run.record.case(test.name) as trial:
            trial.problems += [test.problem] if test.problem else []
        found += test.name.startswith("test_audit_divergences::test_the_audit_names") and not test.problem
    run.record.figure("seeded divergences found by the audit", found)
    run.record.figure("seeded divergences", len(DIVERGENCES))
