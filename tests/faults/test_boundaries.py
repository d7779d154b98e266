"""The disk's faults, a few of each: the whole loops are run by `make faults`."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.parts import power_cut, sqlite_boundaries
from tests.faults.record import Record, read
from tests.faults.run import Run


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[Run]:
    """A quick run on SQLite."""
    made: list[str] = []

    def new_file() -> str:
        made.append(f"sqlite:///{tmp_path}/books-{len(made)}.db")
        return made[-1]

    with closing(Record(tmp_path / "part-sqlite.jsonl")) as record:
        yield Run(record, tmp_path, "sqlite", new_file, seed=7, quick=True)


def _found(run: Run) -> list[str]:
    """What was wrong. Where the part can do nothing, the test is skipped, for all to see, with the part's reason."""
    lines = read([run.folder / "part-sqlite.jsonl"])
    gaps = [line["text"] for line in lines if line["type"] == "gap"]
    if gaps and not any(line["type"] == "case" for line in lines):
        pytest.skip(reason=gaps[0])
    assert run.record.passed, lines
    return [f"{line['name']}: {line['problems']}" for line in lines if line["type"] == "case" and line["problems"]]


async def test_a_write_or_a_sync_that_fails_loses_nothing_and_doubles_nothing(quick: Run) -> None:
    """Each acknowledged posting is there afterwards, once, whichever call failed."""
    await sqlite_boundaries.run(quick)

    assert _found(quick) == []


async def test_what_was_acknowledged_survives_a_power_cut(quick: Run) -> None:
    """Also what a dying process had committed and not synced, once another has told it; and NORMAL loses money."""
    await power_cut.run(quick)

    assert _found(quick) == []
