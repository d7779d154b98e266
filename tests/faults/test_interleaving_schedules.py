"""Schedules: the first few of each pair on both databases; all of them are played by `make faults`."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.faults.parts import interleavings
from tests.faults.record import Record, read
from tests.faults.run import Run
from tests.faults.schedules.pairs import PAIRS
from tests.faults.schedules.stage import Played, every_schedule


@contextmanager
def _a_run(folder: Path, new_database: Callable[[], str], only: str = "*") -> Iterator[Run]:
    name = "sqlite" if make_url(new_database()).get_backend_name() == "sqlite" else "postgresql"
    with closing(Record(folder / f"interleavings-{name}.jsonl")) as record:
        yield Run(record, folder, name, new_database, seed=7, quick=True, only=only)


def _cases(run: Run) -> list[dict[str, Any]]:
    lines = read([run.folder / f"interleavings-{run.database}.jsonl"])
    return [line for line in lines if line["type"] == "case"]


async def test_every_schedule_is_played_once() -> None:
    """Two actors of two steps each have six orders, in the order of the alphabet."""

    async def play(prefix: str) -> Played:
        played = Played()
        while len(played.turns) < 4:
            able = [name for name in "AB" if played.schedule.count(name) < 2]
            played.turns.append((prefix[len(played.turns) : len(played.turns) + 1] or able[0], able))
        return played

    assert [played.schedule async for played in every_schedule(play)] == [
        "AABB", "ABAB", "ABBA", "BAAB", "BABA", "BBAA"
    ]  # fmt: skip  # a line of them is a picture


async def test_two_actors_get_what_one_after_the_other_would(new_database: Callable[[], str], tmp_path: Path) -> None:
    """In each of these schedules both are told what some order of the two gives, and the balances say the same."""
    with _a_run(tmp_path, new_database) as run:
        await interleavings.run(run)

        assert [f"{case['name']}: {case['problems']}" for case in _cases(run) if case["problems"]] == []
        assert len(_cases(run)) > len(PAIRS) * 4


async def test_a_schedule_is_replayed_by_its_name(new_database: Callable[[], str], tmp_path: Path) -> None:
    """What the report calls a case is what the option takes, and it is played exactly."""
    with _a_run(tmp_path, new_database) as run:
        schedule = "BALLLLLL" if run.database == "sqlite" else "BBBBBBAAAA"
        run.only = f"late credit/refund: {schedule}"
        await interleavings.run(run)

        assert _cases(run)[0]["name"] == run.only
