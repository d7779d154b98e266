"""Standing: what the turns of a race come to. The arithmetic, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.figure import Line, Target, at_least, median, percentile, ratio
from bench.peers.contestants import DBOS, EXPRESS, RESTATE
from bench.peers.race import Cell, Measured

TARGETS: dict[str, Target] = {DBOS: at_least(2), RESTATE: at_least(0.8)}
"""What express transfers must reach of the others' transfers a second."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One cell, over all rounds: the median rate; percentiles of all its transfers; what one of them used.

    The percentiles are None for files, whose transfers are not timed one by one.
    """

    cell: Cell
    transfers: int
    per_second: float
    p50_ms: float | None
    p99_ms: float | None
    parts_ms: dict[str, float]
    written_bytes: float

    @property
    def cpu_ms(self) -> float:
        """Processor time of everything together."""
        return sum(self.parts_ms.values())

    def as_json(self) -> dict[str, Any]:
        """The standing as PEERS.json has it."""
        numbers = {
            "per_second": self.per_second,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "cpu_ms_per_transfer": self.cpu_ms,
            "written_bytes_per_transfer": self.written_bytes,
        }
        rounded = {name: None if value is None else round(value, 3) for name, value in numbers.items()}
        parts = {name: round(value, 3) for name, value in self.parts_ms.items()}
        where = {"way": self.cell.way, "hot": self.cell.hot, "in_flight": self.cell.in_flight or None}
        return {**where, "transfers": self.transfers, **rounded, "cpu_ms_of_parts": parts}


def standings(cells: Mapping[Cell, Sequence[Measured]]) -> list[Standing]:
    """One for each cell in which anything was done, in the order of the cells."""
    return [_standing(cell, turns) for cell, turns in cells.items() if any(turn.taken.transfers for turn in turns)]


def _standing(cell: Cell, turns: Sequence[Measured]) -> Standing:
    transfers = sum(turn.taken.transfers for turn in turns)
    each = [seconds * 1000 for turn in turns for seconds in turn.taken.each]
    parts = sorted({part for turn in turns for part in turn.used.parts})
    return Standing(
        cell,
        transfers,
        median(rates(turns)),
        median(each) if each else None,
        percentile(each, 99) if each else None,
        {part: sum(turn.used.parts.get(part, 0.0) for turn in turns) / transfers * 1000 for part in parts},
        sum(turn.used.written_bytes for turn in turns) / transfers,
    )


def rates(turns: Sequence[Measured]) -> list[float]:
    """Transfers a second, turn by turn."""
    return [turn.taken.transfers / turn.taken.seconds for turn in turns]


def lines(cells: Mapping[Cell, Sequence[Measured]]) -> list[Line]:
    """Express transfers of each other's, round by round, in each cell that both were in for as many rounds."""
    found = []
    for other, target in TARGETS.items():
        for cell, turns in cells.items():
            theirs = cells.get(Cell(other, cell.hot, cell.in_flight), ())
            if cell.way == EXPRESS and len(theirs) == len(turns):
                name = f"{other}, {loaded(cell.hot)}, {cell.in_flight} in flight"
                found.append(Line(name, ratio(rates(turns), rates(theirs)), "ratio", target))
    return found


def loaded(hot: bool) -> str:
    """A load, in words."""
    return "a hot account" if hot else "1,000 accounts"
