"""Asking: after a fault, the books are opened again on a disk that works, and everything is asked once more.

What was acknowledged must be there with the same answer, what was not must now get its only right answer, and each
effect must be in the balances once.
"""

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ledger.audit import audit
from ledger.book import Ledger
from tests.faults.disk.script import BALANCES, STEPS
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.record import Trial
from tests.support.examples import balance

Note = Mapping[str, Any]


def acknowledged(notes: Iterable[Note]) -> dict[str, tuple[str, str | None]]:
    """What was answered, by name."""
    return {note["name"]: (note["kind"], note["code"]) for note in notes if "kind" in note}


def judge_answers(trial: Trial, notes: Sequence[Note]) -> None:
    """No accident may look like a business answer, and every accident must be one that callers can tell."""
    for note in notes:
        if "kind" in note:
            told, right = (note["kind"], note["code"]), STEPS[note["name"]].answer
            trial.expect(told == right, f"I14: {note['name']} was answered {told}, not {right}")
        elif "accident" in note and note["name"] in STEPS:
            said = str(note["accident"])
            trial.expect(said.startswith("OutcomeUnknown: "), f"I14: {note['name']} ended in {said}")


async def ask_again(trial: Trial, url: str, notes: Sequence[Note], *, to_the_end: bool = True) -> None:
    """Open the books of a run, compare them with what it noted, and play the script to its end."""
    told = acknowledged(notes)
    for problem in whole(url):
        trial.expect(False, f"integrity_check: {problem}")
    async with Ledger.open(url) as ledger:
        outcomes = await ledger.apply_all([STEPS[name].request for name in told])
        for (name, answer), outcome in zip(told.items(), outcomes, strict=True):
            again = (outcome.kind.value, outcome.code)
            trial.expect(again == answer, f"I7: {name} was {answer} and is {again}")
            trial.expect(outcome.replayed or not STEPS[name].remembers, f"I6: {name} was acknowledged, and is lost")
        steps = list(STEPS.values()) if to_the_end else []
        outcomes = await ledger.apply_all([step.request for step in steps])
        for step, outcome in zip(steps, outcomes, strict=True):
            again = (outcome.kind.value, outcome.code)
            trial.expect(again == step.answer, f"{step.name}: {again} instead of {step.answer}")
        report = await audit(ledger)
        trial.expect(report.ok, f"the audit found {report.violations}")
        if to_the_end:
            is_there = {account_id: await balance(ledger, account_id) for account_id in BALANCES}
            trial.expect(is_there == BALANCES, f"balances are {is_there}, not {BALANCES}")
    for violation in violations(Evidence(await read_rows(url))):
        trial.expect(False, str(violation))


def whole(url: str) -> list[str]:
    """What SQLite itself finds wrong with a file. Opens it as the next start of the program would."""
    connection = sqlite3.connect(sqlite_file(url))
    try:
        said = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.DatabaseError as error:
        said = [str(error)]
    finally:
        connection.close()
    return [line for line in said if line != "ok"]


def sqlite_file(url: str) -> str:
    """The file of such a URL."""
    return url.removeprefix("sqlite:///")


def is_no_database(file: Path) -> bool:
    """Whether a file is all zeros: what a power cut may leave of a database's first page, before anything is in it.

    The ledger does not open it; it is to be deleted.
    """
    return not any(file.read_bytes()) if file.exists() else False
