"""Page: docs/bench/PEERS.md for people, PEERS.json for programs, and the chart beside them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.figure import Figure, Line
from bench.peers import chart
from bench.peers.contestants import EXPRESS
from bench.peers.race import Cell, Pace, Results
from bench.peers.standing import Standing, lines, loaded, standings
from bench.report import DOCS, number, said

DURABILITY = {
    "this engine": "PostgreSQL commits each step (group commit) with fsync; Temporal's history in a SQLite file, WAL, "
    "synchronous=FULL. A step is once because of its key, in the books' own transaction.",
    "DBOS": "All in PostgreSQL: each step commits its rows and its checkpoint in one transaction with fsync, and the "
    "workflow's state in others.",
    "Restate": "Its log is RocksDB, whose fsync is waited for (`rocksdb-disable-wal-fsync = false`, its default); one "
    "node. A step is once because it claims a key in its own PostgreSQL statement, with fsync.",
}
"""What is on the disk before a caller is told, for each."""


SHOWN = 30
"""The number in flight for which it is shown what the processor time went into."""


@dataclass(frozen=True, slots=True)
class Page:
    """A run: its results, who was absent and why, the versions, the machine."""

    results: Results
    pace: Pace
    absent: dict[str, str]
    versions: dict[str, str]
    machine: dict[str, Any]

    @property
    def standings(self) -> list[Standing]:
        """One for each cell."""
        return standings(self.results.cells)

    def figures(self) -> list[Figure]:
        """The run as the console shows it: the targets, then everybody's rate."""
        rates = [Line(_where(each.cell), each.per_second, "/s") for each in self.standings]
        return [
            Figure("Express transfers, of the others' transfers a second", self.how(), lines(self.results.cells)),
            Figure("Everybody", self.how(), rates, [*self.books()]),
        ]

    def how(self) -> str:
        """How it was measured, in a sentence or two."""
        return (
            f"{self.pace.rounds} rounds; in each, every contestant is started alone, on new books in the same "
            f"PostgreSQL. A turn is {self.pace.seconds:g} s ({self.pace.alone_seconds:g} s with one in flight), and "
            f"what is under way then is waited for; files have {self.pace.lines:,} lines. Rates and ratios are medians "
            "over the rounds; percentiles are of all transfers of a cell together."
        )

    def books(self) -> list[str]:
        """What was counted in whose books."""
        counted = [
            f"{name}: {'WRONG: ' + '; '.join(self.results.wrong[name]) if name in self.results.wrong else 'right'}"
            f" ({self.results.transfers[name]:,} transfers)"
            for name in dict.fromkeys([*self.results.transfers, *self.results.wrong])
        ]
        return counted + [f"{name}: not there: {reason}" for name, reason in self.absent.items()]

    def as_json(self) -> dict[str, Any]:
        """The run as PEERS.json has it."""
        return {
            "machine": self.machine,
            "versions": self.versions,
            "rounds": self.pace.rounds,
            "cells": [each.as_json() for each in self.standings],
            "ratios": [line.as_json() for line in lines(self.results.cells)],
            "wrong": self.results.wrong,
            "absent": self.absent,
        }

    def write(self) -> None:
        """Write the page, the numbers and the chart."""
        found = json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"
        (DOCS / "PEERS.json").write_text(found, encoding="utf-8")
        (DOCS / "peers.svg").write_text(chart.rates(self.standings), encoding="utf-8")
        (DOCS / "PEERS.md").write_text(self.markdown(), encoding="utf-8")

    def markdown(self) -> str:
        """The run as PEERS.md has it."""
        parts = ["# The race against the others", "", "Written by `make bench-peers`; what it means is in the"]
        parts += ["[README](README.md#the-race-against-the-others) beside it.", "", f"{said(self.machine)}; "]
        parts += [", ".join(f"{name} {version}" for name, version in self.versions.items()) + ".", "", self.how(), ""]
        parts += [
            "![transfers a second of everybody](peers.svg)",
            "",
            "## Express transfers, of the others' transfers a second",
            "",
        ]
        parts += ["| | median | | target | |", "|---|--:|---|---|---|"]
        for line in lines(self.results.cells):
            met = {True: "met", False: "**missed**", None: ""}[line.met]
            parts.append(f"| {line.name} | {number(line)} | {line.unit} | {line.target or ''} | {met} |")
        for hot in (False, True):
            parts += ["", f"## Everybody, {loaded(hot)}", "", *_table([s for s in self.standings if s.cell.hot is hot])]
        parts += ["", "## Where the processor time goes, in ms for each transfer", "", *_parts(self.standings)]
        parts += ["", "## Whose books are right", "", *(f"- {line}" for line in self.books())]
        parts += ["", "## What is durable before a caller is told", ""]
        return "\n".join(parts + [f"- {name}: {means}" for name, means in DURABILITY.items()]) + "\n"


def _table(rows: Sequence[Standing]) -> list[str]:
    """A row for each, with what it is of express's beside its own number."""
    express = {row.cell.in_flight: row for row in rows if row.cell.way == EXPRESS}
    rate, used = "transfers/s | of express | p50 ms | p99 ms", "CPU ms each | of express | KB written each | of express"
    table = [f"| in flight | | {rate} | {used} |", "|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for row in sorted(rows, key=lambda row: row.cell.in_flight or 10**9):
        base = express.get(row.cell.in_flight)
        p50, p99 = ("" if value is None else f"{value:,.1f}" for value in (row.p50_ms, row.p99_ms))
        cells = [f"{row.cell.in_flight or 'a file'}", row.cell.way, f"{row.per_second:,.1f}"]
        cells += [_of(row.per_second, base.per_second if base else None), p50, p99, f"{row.cpu_ms:.2f}"]
        cells += [_of(row.cpu_ms, base.cpu_ms if base else None), f"{row.written_bytes / 1000:,.1f}"]
        table.append("| " + " | ".join([*cells, _of(row.written_bytes, base.written_bytes if base else None)]) + " |")
    return table


def _parts(rows: Sequence[Standing]) -> list[str]:
    """A row for each way, at the number in flight that most see, on the accounts that are spread."""
    shown = [row for row in rows if not row.cell.hot and row.cell.in_flight in (0, SHOWN)]
    said = [[f"{part} {spent:.2f}" for part, spent in _by_size(row) if spent >= 0.005] for row in shown]
    listed = [
        f"| {row.cell.way} | {row.cpu_ms:.2f} | {', '.join(parts)} |" for row, parts in zip(shown, said, strict=True)
    ]
    return ["| | in all | of which |", "|---|--:|---|", *listed]


def _by_size(row: Standing) -> list[tuple[str, float]]:
    return sorted(row.parts_ms.items(), key=lambda item: -item[1])


def _of(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else ""


def _where(cell: Cell) -> str:
    return f"{cell.way}, {'hot' if cell.hot else 'spread'}, {cell.in_flight or 'a file'}"
