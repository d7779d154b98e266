"""Known bugs: what cost other systems money, each a test of that name."""

from tests.faults.pytest_run import run_tests
from tests.faults.run import Run

_FILES = ("tests/ledger/test_known_bugs.py", "tests/faults/test_known_bugs.py")


async def run(run: Run) -> None:
    """Every such test, on this database or on none."""
    other = "sqlite" if run.database == "postgresql" else "postgresql"
    for test in await run_tests(run.folder / "bugs.xml", ["-k", f"not {other}", *_FILES]):
        with run.record.case(test.name) as trial:
            trial.problems += [test.problem] if test.problem else []
