"""The results of a batch: a file with a line for each line of the input, in its order, and the counts of them.

`replayed` says that a line's transfer was not moved (or refused) by this batch, but by somebody else: a single
transfer, another batch, or an earlier line with the same id. So it says the same in every run.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from activities.batch_messages import BatchProgress, ChunkOutcome
from cli.batch_file import Bad, Chunk
from ledger.errors import MalformedRequest

MALFORMED = "malformed"
SETTLED = "settled"
HEADER = ("transfer_id", "status", "reason", "replayed")
SHOWN = 20
"""How many bad lines a summary names; all of them are in the results."""

Row = tuple[str, str, str, str]


@dataclass(slots=True)
class Counts:
    """What has become of the lines so far."""

    by_status: Counter[str] = field(default_factory=Counter)
    replayed: int = 0
    last_line: int = 1
    bad: list[Bad] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """How many lines have an outcome."""
        return self.by_status.total()

    @property
    def not_settled(self) -> int:
        """How many could be asked and were not settled."""
        return self.lines - self.by_status[SETTLED] - self.by_status[MALFORMED]

    def count(self, chunk: Chunk, rows: list[Row]) -> None:
        """Add a chunk's lines."""
        self.by_status.update(status for _, status, _, _ in rows)
        self.replayed += sum(replayed == "true" for _, _, _, replayed in rows)
        self.last_line = chunk.lines[-1].line
        self.bad += [line for line in chunk.lines if isinstance(line, Bad)][: SHOWN - len(self.bad)]

    def progress(self, over: bool = False) -> BatchProgress:
        """The same, as the batch's workflow shows it."""
        return BatchProgress(
            done=self.lines,
            settled=self.by_status[SETTLED],
            replayed=self.replayed,
            not_settled=self.not_settled,
            malformed=self.by_status[MALFORMED],
            over=over,
        )


def rows(chunk: Chunk, outcome: ChunkOutcome | None) -> list[Row]:
    """What became of each line of a chunk, in order."""
    otherwise = {place: rest for place, *rest in outcome.otherwise} if outcome else {}
    found: list[Row] = []
    asked = 0
    for line in chunk.lines:
        if isinstance(line, Bad):
            found.append((line.transfer_id, MALFORMED, str(line), "false"))
            continue
        if (other := otherwise.get(asked)) is None:
            found.append((line.transfer.id, SETTLED, "", "false"))
        else:
            status, reason, replayed = other
            found.append((line.transfer.id, str(status), str(reason or ""), "true" if replayed else "false"))
        asked += 1
    return found


def path_beside(file: Path) -> Path:
    """Where results go if nobody says: `payments.csv` has its own in `payments.results.csv`."""
    return file.with_name(f"{file.stem}.results.csv")


@contextmanager
def results_file(path: Path, source: Path) -> Iterator[TextIO]:
    """A new file of results, which takes its name only when the block has ended well. Raises MalformedRequest."""
    if path.resolve() == source.resolve():
        raise MalformedRequest("the results cannot be written over the file itself")
    draft = path.with_name(f".{path.name}.new")
    try:
        with open(draft, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            csv.writer(file).writerow(HEADER)
            yield file
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
