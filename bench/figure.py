"""Figures: what a benchmark hands back, and the arithmetic that all of them share.

Every figure is a comparison within one run: the two sides take turns, so that whatever else the machine does falls
on both. A ratio is the median of the ratios of neighbouring turns, not the ratio of two medians.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Target:
    """What a value must reach."""

    limit: float
    at_least: bool

    def met(self, value: float) -> bool:
        """Whether a value is good enough."""
        return value >= self.limit if self.at_least else value <= self.limit

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:,g}"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table: a value with its unit, and its target if it has one."""

    name: str
    value: float
    unit: str
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target was met; None without a target."""
        return None if self.target is None else self.target.met(self.value)

    def as_json(self) -> dict[str, Any]:
        """The line as RESULTS.json has it."""
        target = None if self.target is None else str(self.target)
        return {"name": self.name, "value": round(self.value, 4), "unit": self.unit, "target": target, "met": self.met}


@dataclass(frozen=True, slots=True)
class Figure:
    """What one benchmark found: its lines, how it was measured in a sentence, and pictures for people.

    `charts` are SVG files, by their names.
    """

    title: str
    how: str
    lines: list[Line]
    pictures: list[str] = field(default_factory=list)
    charts: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The figure as RESULTS.json has it."""
        return {"title": self.title, "how": self.how, "lines": [line.as_json() for line in self.lines]}


def at_least(limit: float) -> Target:
    """A target that a value must not fall below."""
    return Target(limit, at_least=True)


def at_most(limit: float) -> Target:
    """A target that a value must not exceed."""
    return Target(limit, at_least=False)


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def percentile(values: Sequence[float], percent: int) -> float:
    """The value that `percent` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)]


def ratio(values: Sequence[float], base: Sequence[float]) -> float:
    """The median of the ratios of neighbouring turns."""
    return statistics.median(value / other for value, other in zip(values, base, strict=True))


def histogram(title: str, seconds: Sequence[float], step_ms: int = 5, steps: int = 30) -> str:
    """A text histogram of latencies: one bar for each step of so many milliseconds, the slowest in one together."""
    first = int(min(seconds) * 1000 // step_ms)
    counts = [0] * steps
    for value in seconds:
        counts[min(int(value * 1000 // step_ms) - first, steps - 1)] += 1
    last = max(step for step in range(steps) if counts[step])
    rows = []
    for step, count in enumerate(counts[: last + 1]):
        more = "+" if step == steps - 1 else " "
        rows.append(
            f"{(first + step) * step_ms:>5}{more} ms {count:>4} {'█' * round(40 * count / max(counts))}".rstrip()
        )
    return "\n".join([title, *rows])
