"""Findings: what the records of all parts add up to. Pure: lines in, numbers out."""

import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.faults.kinds import FLOORS, Kind

Line = Mapping[str, Any]
WRONG = ("lost", "doubled", "stuck", "contradictory")
"""The four ways in which a transfer could have gone wrong."""

FEWEST_FAULTS = 1000
FEWEST_KINDS = 24
"""Below these, a whole run is invalid."""


@dataclass(frozen=True)
class Effects:
    """Transfers that were followed to their end on one database, and how many went wrong in each way."""

    database: str
    transfers: int
    wrong: Mapping[str, int]

    @property
    def bound(self) -> float:
        """With nothing observed in n, the rate is below 3/n at 95 % confidence (the rule of three)."""
        return 3 / self.transfers


@dataclass(frozen=True)
class Figure:
    """One number that was written down several times."""

    name: str
    part: str
    database: str
    unit: str
    times: int
    median: float
    maximum: float


class Findings:
    """The lines of every record of a run."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.lines = lines

    def of(self, type: str) -> list[Line]:
        """The lines of one type."""
        return [line for line in self.lines if line["type"] == type]

    def cases(self, part: str, database: str) -> tuple[int, int]:
        """How many cases of a part passed, of how many."""
        cases = [case for case in self.of("case") if (case["part"], case["database"]) == (part, database)]
        return sum(not case["problems"] for case in cases), len(cases)

    @property
    def failed(self) -> list[Line]:
        """The cases with problems."""
        return [case for case in self.of("case") if case["problems"]]

    @cached_property
    def fired(self) -> Counter[str]:
        """How often each kind of fault fired."""
        fired: Counter[str] = Counter({kind.value: 0 for kind in Kind})
        for line in self.of("fault"):
            fired[line["kind"]] += line["count"]
        return fired

    @property
    def below_floor(self) -> list[str]:
        """What makes a whole run invalid (I15), in words."""
        found = [
            f"{kind.value} fired {self.fired[kind.value]} times, not {floor}"
            for kind, floor in FLOORS.items()
            if self.fired[kind.value] < floor
        ]
        kinds = sum(count > 0 for count in self.fired.values())
        if kinds < FEWEST_KINDS:
            found.append(f"{kinds} kinds of fault fired, not {FEWEST_KINDS}")
        if self.fired.total() < FEWEST_FAULTS:
            found.append(f"{self.fired.total()} faults fired, not {FEWEST_FAULTS}")
        return found

    @property
    def effects(self) -> list[Effects]:
        """Lost, doubled, stuck and contradictory transfers, per database."""
        sums: dict[str, Counter[str]] = defaultdict(Counter)
        for line in self.of("effects"):
            sums[line["database"]].update({name: line[name] for name in ("transfers", *WRONG)})
        return [
            Effects(database, total["transfers"], {name: total[name] for name in WRONG})
            for database, total in sorted(sums.items())
            if total["transfers"]
        ]

    @property
    def figures(self) -> list[Figure]:
        """Every figure, with median and maximum."""
        values: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
        for line in self.of("figure"):
            values[line["name"], line["part"], line["database"], line["unit"]].append(float(line["value"]))
        return [Figure(*key, len(found), statistics.median(found), max(found)) for key, found in values.items()]

    def broken(self, invariant: str) -> int:
        """How often a checker of this invariant found something."""
        return sum(problem.startswith(f"{invariant}:") for case in self.failed for problem in case["problems"])

    @property
    def mutants(self) -> list[Line]:
        """The mutants, each with the database and the name of the test that killed it (None: it survived)."""
        return self.of("mutant")

    @property
    def gaps(self) -> list[str]:
        """What could not be injected or checked, each once."""
        return list(dict.fromkeys(line["text"] for line in self.of("gap")))
