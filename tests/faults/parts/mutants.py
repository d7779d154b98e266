"""Mutants: each of the sixteen is let loose on the tests that must not let it pass, and one of them must fail.

The same tests pass without the mutant, in the same run: else a failure would prove nothing.
"""

import asyncio

from tests.faults.mutants import ENVIRONMENT, MUTANTS, Mutant
from tests.faults.pytest_run import run_tests
from tests.faults.run import Run

AT_ONCE = 3
"""Mutants at the same time: most of what they do is wait for an answer that never comes."""


async def run(run: Run) -> None:
    """Every mutant of this database."""
    mutants = [mutant for mutant in MUTANTS if mutant.database == run.database and run.wants(mutant.name)]
    killers = sorted({killer for mutant in mutants for killer in mutant.killers})
    with run.record.case("without a mutant") as trial:
        tested = await run_tests(run.folder / "none.xml", ["-k", run.database, *killers])
        trial.expect(bool(tested), "no test ran")
        trial.problems += [f"{test.name}: {test.problem}" for test in tested if test.problem]
    turns = asyncio.Semaphore(AT_ONCE)
    await asyncio.gather(*(_let_loose(run, mutant, turns) for mutant in mutants))


async def _let_loose(run: Run, mutant: Mutant, turns: asyncio.Semaphore) -> None:
    async with turns:
        with run.record.case(mutant.name) as trial:
            selection = ["-x", "--timeout=20", "-k", run.database, *mutant.killers]
            tested = await run_tests(run.folder / f"{mutant.name}.xml", selection, {ENVIRONMENT: mutant.name})
            killed_by = next((test.name for test in tested if test.problem), None)
            run.record.mutant(mutant.name, killed_by)
            trial.expect(killed_by is not None, f"it survived {len(tested)} tests")
