"""The race's arithmetic, its page and its chart, on made-up turns."""

import asyncio
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.peers import chart
from bench.peers.contestants import DBOS, EXPRESS, RESTATE
from bench.peers.driving import Taken, Turn, drive
from bench.peers.metering import Usage, usage
from bench.peers.page import Page
from bench.peers.race import Cell, Measured, Pace, Results
from bench.peers.standing import lines, standings
from bench.peers.work import Movement


def turn(per_second: float, cpu_seconds: float = 0.5, written: int = 1_000_000) -> Measured:
    count = 100
    return Measured(
        Taken(count / per_second, count, [0.01] * 98 + [0.5, 0.9]),
        Usage({"worker": cpu_seconds * 0.8, "PostgreSQL": cpu_seconds * 0.2}, written),
    )


def cells() -> dict[Cell, list[Measured]]:
    return {
        Cell(EXPRESS, False, 30): [turn(100), turn(60), turn(80)],
        Cell(DBOS, False, 30): [turn(50), turn(20), turn(20)],
        Cell(RESTATE, False, 30): [turn(200), turn(100)],
        Cell("bulk", False, 0): [Measured(Taken(2, 10_000, []), Usage({"worker": 4.0}, 10**9))],
    }


def page() -> Page:
    machine = {"cores": 2, "memory_gib": 4, "system": "Linux", "load_average": [0.1], "fsync_ms": 0.2}
    machine |= {"python": "3.11", "temporalio": "1", "sqlite": "3", "postgresql": "18"}
    results = Results(cells(), Counter({"this engine": 1, DBOS: 300}), {RESTATE: ["99 credits of 100 transfers"]})
    return Page(results, Pace(3, (30,), 1, 2, 10_000), {"pgbench": "not here"}, {DBOS: "1.0"}, machine)


def test_a_ratio_is_of_turns_of_the_same_round() -> None:
    """2, 3 and 4 times: the middle one, not the ratio of two medians (4)."""
    (of_dbos,) = lines(cells())

    assert of_dbos.value == 3
    assert of_dbos.met


def test_one_that_fell_out_of_the_race_is_compared_with_nothing() -> None:
    """Its turns are of fewer rounds, and rounds are not alike."""
    assert not any(RESTATE in line.name for line in lines(cells()))


def test_a_standing_is_what_its_turns_come_to() -> None:
    """The median rate; percentiles of all transfers together; what was used, for each transfer."""
    express, *_, bulk = standings(cells())

    assert (express.per_second, express.transfers) == (80, 300)
    assert express.p50_ms == pytest.approx(10)
    assert express.p99_ms == pytest.approx(900)
    assert express.cpu_ms == pytest.approx(5)
    assert express.written_bytes == 10_000
    assert (bulk.per_second, bulk.p50_ms, bulk.p99_ms) == (5_000, None, None)


def test_a_cell_in_which_nothing_was_done_has_no_standing() -> None:
    """Two hundred clients that wait for one row may not come to an end in a short turn."""
    assert standings({Cell("pgbench", True, 200): [Measured(Taken(2, 0, []), Usage({}, 0))]}) == []


def test_the_page_names_whose_books_are_wrong_and_who_is_not_there() -> None:
    """Neither may look like a contestant that was merely slow."""
    text = page().markdown()

    assert "- Restate: WRONG: 99 credits of 100 transfers" in text
    assert "- pgbench: not there: not here" in text
    assert "| DBOS, 1,000 accounts, 30 in flight | 3.00 | ratio | ≥ 2 | met |" in text
    assert "| DBOS | 5.00 | worker 4.00, PostgreSQL 1.00 |" in text
    assert "| 30 | DBOS | 20.0 | 0.25 | 10.0 | 900.0 | 5.00 | 1.00 | 10.0 | 1.00 |" in text


def test_the_chart_has_a_bar_for_each_standing() -> None:
    """Longer where it is faster, though not in proportion: the scale is logarithmic."""
    drawn = ElementTree.fromstring(chart.rates(standings(cells())))
    bars = [float(bar.attrib["width"]) for bar in drawn.iter() if bar.tag.endswith("rect") and "x" in bar.attrib]

    express, dbos, restate, bulk = bars
    assert dbos < express < restate < bulk


async def test_so_many_are_under_way_and_all_that_were_begun_count() -> None:
    """Also those that are still under way when the time is over."""
    now, most, done = 0, 0, list[str]()

    async def transfer(movement: Movement) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.02)
        done.append(movement.id)
        now -= 1

    taken = await drive(transfer, Turn("any", 5, 0.05, False, 100))

    assert most == 5
    assert taken.transfers == len(taken.each) == len(set(done))
    assert min(done, key=lambda id: int(id[1:])) == "T100"
    assert (await drive(transfer, Turn("any", 5, 60, False, 0, 7))).transfers == 7


def test_what_a_process_and_its_children_use_is_seen(tmp_path: Path) -> None:
    """Also of a child that has ended, which is counted with its parent."""
    wrote = "import sys, os; f = open(sys.argv[1], 'wb', 0); [f.write(b'x' * 10**5) for _ in range(50)]; input()"
    burn = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {wrote!r}, sys.argv[1]]); print(); input()"
    parent = subprocess.Popen(
        [sys.executable, "-c", burn, str(tmp_path / "file")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    parent.stdin.write("\n")
    parent.stdin.flush()
    parent.stdout.readline()

    used = usage([parent.pid])

    parent.communicate("\n")
    assert 5 * 10**6 <= used.written_bytes < 5 * 10**6 + 10**4
    assert used.cpu_seconds > 0


def test_every_number_of_the_page_comes_from_the_run() -> None:
    """PEERS.json holds the same standings as the table."""
    rows = re.findall(r"^\| (\d+|a file) \| (\S+) \| ([\d,.]+)", page().markdown(), re.MULTILINE)

    assert [(way, float(rate.replace(",", ""))) for _, way, rate in rows] == [
        (cell["way"], cell["per_second"]) for cell in page().as_json()["cells"]
    ]
