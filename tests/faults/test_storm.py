"""A small storm: sixty transfers, half in files, a worker killed, a workflow terminated, connections reset."""

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


def test_a_full_storm_has_every_way_of_moving_money() -> None:
    """
    Express, ordinary and held transfers; lines that are asked singly as well, files that two have done; orders.
    """
    plan = draw(Random(1), "sqlite", "round-1", storm.TRANSFERS, quick=False)
    batches = [batch for script in plan.batches for batch in script]

    assert len(plan.transfers) == len({transfer.id for transfer in plan.transfers}) == storm.TRANSFERS
    assert {transfer.kind for transfer in plan.transfers} == {"express", "transfer", "hold"}
    assert all(any(getattr(batch, what) for batch in batches) for what in ("singly", "again_after", "by_starter"))
    assert plan.orders


def test_the_same_seed_plans_the_same_storm() -> None:
    """
    A failure is worth something only if it can be met again.
    """
    plans = [draw(Random(seed), "postgresql", "round-1", 200, quick=False) for seed in (1, 1, 2)]

    assert plans[0] == plans[1]
    assert plans[0] != plans[2]
