"""The parts that crash every site and replay every prefix, for a few seconds: they find, they fire, and they pass."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.faults.parts import crash_points, histories
from tests.faults.record import Record
from tests.faults.run import Run
from tests.support.databases import only_postgresql, only_sqlite


def _run(folder: Path, database: str, new_database: Callable[[], str]) -> Run:
    return Run(Record(folder / "record.jsonl"), folder, database, new_database, seed=7, quick=True)


def _lines(folder: Path, type: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "record.jsonl").read_text().splitlines()]
    return [line for line in lines if line["type"] == type]


def _check(folder: Path, run: Run) -> None:
    assert [case["problems"] for case in _lines(folder, "case")] == [[]] * run.record.passed
    assert (run.record.failed, run.record.passed) == (0, crash_points.QUICK + 1)
    assert {fault["kind"] for fault in _lines(folder, "fault")} == {
        "failpoint.kill",
        "failpoint.raise",
        "failpoint.stall",
    }
    figures = {figure["name"]: figure["value"] for figure in _lines(folder, "figure")}
    assert figures["crash points: sites never reached"] == 0
    assert figures["crash points: sites found"] > 40 * len(crash_points.QUICK_SCENARIOS)
    assert all(each[wrong] == 0 for each in _lines(folder, "effects") for wrong in crash_points.WRONG)


@only_sqlite
async def test_some_crash_points_on_sqlite(tmp_path: Path, new_database: Callable[[], str]) -> None:
    """
    Workers and callers are killed, fail and stall at sites that a clean run has found; the money moves once.
    """
    run = _run(tmp_path, "sqlite", new_database)

    await crash_points.run(run)
    run.record.close()

    _check(tmp_path, run)


@only_postgresql
async def test_some_crash_points_on_postgresql(tmp_path: Path, new_database: Callable[[], str]) -> None:
    """
    The same where a killed worker leaves an open transaction on a server that lives on.
    """
    run = _run(tmp_path, "postgresql", new_database)

    await crash_points.run(run)
    run.record.close()

    _check(tmp_path, run)


@only_sqlite
async def test_some_histories_with_all_their_prefixes(tmp_path: Path, new_database: Callable[[], str]) -> None:
    """
    Golden and fresh histories replay from wherever a worker may find them; evicted, reset, cancelled, terminated.
    """
    run = _run(tmp_path, "sqlite", new_database)

    await histories.run(run)
    run.record.close()

    assert [case["problems"] for case in _lines(tmp_path, "case")] == [[]] * run.record.passed
    assert {fault["kind"] for fault in _lines(tmp_path, "fault")} == {
        "worker.evicted",
        "workflow.reset",
        "workflow.cancel",
        "workflow.terminate",
    }
