"""Record: what one part of the fault suite did and found, one line of JSON each, in a file that the report reads.

case      one thing tried: its name, and what was wrong afterwards (nothing, if it passed)
fault     one fault that fired; written and synced before it acts
effects   transfers looked at after a case: how many were lost, doubled, stuck or contradictory
figure    a number that the report shows, such as a time from heal to terminal
gap       something that could not be injected or checked here, in a sentence
"""

import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kinds import Kind


@dataclass
class Trial:
    """A case while it runs: put into `problems` what was wrong."""

    name: str
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, problem: str) -> None:
        """Note a problem unless something holds."""
        if not holds:
            self.problems.append(problem)


class Record:
    """Where a part writes down what happens. One per process, part and database."""

    def __init__(self, file: Path) -> None:
        self._file = open(file, "a", encoding="utf-8")  # noqa: SIM115  # every line is flushed
        self.failed = 0
        self.passed = 0

    @contextmanager
    def case(self, name: str) -> Iterator[Trial]:
        """Try one case. What it raises is a problem of the case, and the next one goes on; a cancel is not caught."""
        trial, begun = Trial(name), time.monotonic()
        try:
            yield trial
        except Exception as error:
            trial.problems.append(f"{type(error).__name__}: {error}"[:2000])
        self.failed += bool(trial.problems)
        self.passed += not trial.problems
        self._write("case", name=name, problems=trial.problems, seconds=round(time.monotonic() - begun, 3))

    def fault(self, kind: Kind, detail: str = "", count: int = 1) -> None:
        """A fault fires now. On disk when this returns, so call it before acting."""
        self._write("fault", kind=kind.value, detail=detail, count=count, at=time.time())
        os.fsync(self._file.fileno())

    def effects(self, transfers: int, lost: int, doubled: int, stuck: int, contradictory: int) -> None:
        """Transfers that were followed from acceptance to the end, and how many of them went wrong in each way."""
        self._write(
            "effects", transfers=transfers, lost=lost, doubled=doubled, stuck=stuck, contradictory=contradictory
        )

    def figure(self, name: str, value: Any, unit: str = "") -> None:
        """A number for the report. The same name may be written often: the report shows median and maximum."""
        self._write("figure", name=name, value=value, unit=unit)

    def timeline(self, what: str, at: float, **more: Any) -> None:
        """A point on the chart of the storm, at this many seconds from its beginning."""
        self._write("timeline", what=what, at=at, **more)

    def mutant(self, name: str, killed_by: str | None) -> None:
        """A mutant was let loose: the test that killed it, or None if it survived."""
        self._write("mutant", name=name, killed_by=killed_by)

    def gap(self, text: str) -> None:
        """Something that cannot be injected or checked here. Better said than left out."""
        self._write("gap", text=text)

    def failpoints(self, fired: Path) -> list[dict[str, Any]]:
        """Take over what failpoints logged (see `ledger/failpoints.py`), and return it."""
        kinds = {"kill": Kind.FAILPOINT_KILL, "raise": Kind.FAILPOINT_RAISE, "stall": Kind.FAILPOINT_STALL}
        lines = [json.loads(line) for line in fired.read_text().splitlines()] if fired.exists() else []
        for line in lines:
            self.fault(kinds[line["fate"]], f"{line['site']}[{line['key']}]")
        return lines

    def close(self) -> None:
        """Close the file, where the process goes on: in tests."""
        self._file.close()

    def _write(self, type: str, **content: Any) -> None:
        self._file.write(json.dumps({"type": type, **content}) + "\n")
        self._file.flush()


def read(files: Sequence[Path]) -> list[dict[str, Any]]:
    """Every line of these records, each with the `part` and `database` that its file is named after."""
    lines = []
    for file in files:
        part, _, database = file.stem.rpartition("-")
        lines += [
            {"part": part, "database": database, **json.loads(line)} for line in file.read_text().splitlines() if line
        ]
    return lines
