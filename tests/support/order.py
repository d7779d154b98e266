"""The order of the tests: those of many seconds are the first of each runner, so that none of them is the last of all.

Runners begin with a stretch of the tests each, and take from each other what is left (`--dist worksteal`).
"""

from collections.abc import Sequence
from itertools import chain
from typing import TypeVar

LONG = ("test_demo", "test_from_nothing", "test_batch", "test_storm", "test_crash_points", "test_boundaries")
"""The files whose tests take long. One that is missing here costs a little time, and nothing else."""

T = TypeVar("T")


def long_first(tests: Sequence[T], files: Sequence[str], runners: int) -> list[T]:
    """All of the tests, whose files have these names, with the long ones at the beginnings of the stretches."""
    named = list(zip(tests, files, strict=True))
    long = [test for test, file in named if file in LONG]
    short = [test for test, file in named if file not in LONG]
    size = -(-len(short) // runners)
    stretches = [[*long[n::runners], *short[n * size : (n + 1) * size]] for n in range(runners)]
    return list(chain.from_iterable(stretches))
