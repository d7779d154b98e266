"""A small storm: sixty transfers, a worker killed, a workflow terminated, connections reset; every cent is found."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.faults.parts import storm
from tests.faults.parts.storm.plan import draw
from tests.faults.record import Record, read
from tests.faults.run import Run
from tests.support.databases import only_sqlite

SEED = 7


@only_sqlite
async def test_a_small_storm_loses_doubles_and_forgets_nothing(tmp_path: Path, new_database: Callable[[], str]) -> None:
    """
    Real servers, real workers, many callers at once: whatever was accepted has ended, once, and everybody was told so.
    """
    file = tmp_path / "storm-sqlite.jsonl"
    record = Record(file)
    await storm.run(Run(record, tmp_path, "sqlite", new_database, SEED, quick=True))
    record.close()

    lines = read([file])
    assert [line["problems"] for line in lines if line["type"] == "case"] == [[]]
    (effects,) = (line for line in lines if line["type"] == "effects")
    assert {name: effects[name] for name in ("lost", "doubled", "stuck", "contradictory")} == {
        "lost": 0, "doubled": 0, "stuck": 0, "contradictory": 0
    }  # fmt: skip  # one line to be read
    assert effects["transfers"] == storm.QUICK_TRANSFERS
    assert {"worker.kill", "network.reset"} <= {line["kind"] for line in lines if line["type"] == "fault"}


def test_the_same_seed_plans_the_same_storm() -> None:
    """
    A failure is worth something only if it can be met again.
    """
    plans = [draw(Random(seed), "postgresql", "round-1", 200, quick=False) for seed in (1, 1, 2)]

    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
