"""Run: what a part of the fault suite is given, and the list of the parts.

A part is a module in `parts/` with `async def run(run: Run) -> None`. It runs in a process of its own, once per
database it is for, so that parts neither see nor slow each other's servers and one that hangs can be ended. It
starts what it needs itself, and leaves nothing behind.
"""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.faults.record import Record
from tests.support.databases import DATABASES


@dataclass(frozen=True)
class Part:
    """One part: what it is called, what it shows, the databases it runs on, and when it counts as hanging."""

    name: str
    title: str
    databases: tuple[str, ...] = DATABASES
    limit_seconds: float = 600
    takes_seconds: float = 60
    """About how long, beside others on two cores: the longest are begun first, so that nobody waits for one alone."""
    every_case_seconds: float = 7200
    """When it counts as hanging that has every case to do, instead of a share."""
    takes_places: int = 1
    """Of those that `--jobs` gives: more, if it has many processes that must all come to their turn."""


@dataclass
class Run:
    """One run of one part on one database."""

    record: Record
    folder: Path
    """An empty folder of its own, on the disk, for every file of every process."""
    database: str
    """`sqlite` or `postgresql`."""
    new_database: Callable[[], str]
    """Makes a fresh database with the ledger's schema and returns its URL."""
    seed: int
    quick: bool = False
    """Only as much as fits into a few seconds: what `make test` runs."""
    soak_minutes: float = 0
    every_case: bool = False
    """All cases of those parts that take a share of theirs."""
    only: str = "*"
    """Which cases, as a shell pattern: how one failure is run again."""
    random: Random = field(init=False)

    def __post_init__(self) -> None:
        """Every choice comes from the seed."""
        self.random = Random(f"{self.seed}/{self.database}")

    def wants(self, name: str) -> bool:
        """Whether a case of this name is to be run."""
        return fnmatch.fnmatchcase(name, self.only) or name == self.only


PARTS = (
    Part(
        "crash_points",
        "A. Crash points: every site, nth passage and fate, through real Temporal",
        takes_seconds=250,
        takes_places=2,
    ),
    Part(
        "rpc_fates", "B. RPC fates: every call of one transfer, dropped, doubled, delayed or reset", takes_seconds=180
    ),
    Part(
        "postgres_boundaries",
        "C. Every message of the conversation with PostgreSQL, cut",
        ("postgresql",),
        takes_seconds=200,
    ),
    Part("sqlite_boundaries", "C. Every write and sync of SQLite, failing", ("sqlite",), takes_seconds=180),
    Part("power_cut", "C. Power cut: only what was synced is still there", ("sqlite",)),
    Part("interleavings", "D. Interleavings: all schedules of two actors"),
    Part("histories", "E. Histories: every prefix replays; no workflow cached"),
    Part(
        "storm",
        "The storm: many clients, few accounts, everything breaks at once",
        limit_seconds=900,
        takes_seconds=270,
        takes_places=2,
    ),
    Part("duplicates", "Duplicates: one id a hundred times at once, and with other content"),
    Part("restores", "Restores: an older ledger, an older Temporal, retention over"),
    Part("audit", "The audit: every seeded divergence is named, and nothing else"),
    Part("known_bugs", "Bugs that cost other systems money, each a test of its name"),
    Part("mutants", "Mutants: who checks the checkers", takes_seconds=80),
)
"""Every part of the suite, in the order of the report."""
