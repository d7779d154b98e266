"""Report: the table for people, RESULTS.json for programs, and the results in docs/bench/README.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.figure import Figure, Line

DOCS = Path(__file__).resolve().parent.parent / "docs" / "bench"
_BEGIN, _END = "<!-- results: written by `python -m bench` -->", "<!-- end of results -->"


def show(figures: Sequence[Figure], machine: dict[str, Any], console: Console) -> None:
    """Print every figure, its pictures below it."""
    for figure in figures:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title=figure.title, title_justify="left", title_style="bold")
        table.add_column("", width=38)
        table.add_column("median", justify="right", width=7)
        table.add_column("", width=12)
        table.add_column("target", width=8)
        table.add_column("", width=6)
        for line in figure.lines:
            met = {True: "[green]met[/]", False: "[bold red]missed[/]", None: ""}[line.met]
            table.add_row(line.name, number(line), line.unit, str(line.target or ""), met)
        console.print(table)
        for picture in figure.pictures:
            console.print(picture + "\n", markup=False, highlight=False)
    console.print(said(machine), style="dim", highlight=False)


def write(figures: Sequence[Figure], machine: dict[str, Any]) -> None:
    """Write RESULTS.json, and the results into the README beside it."""
    results = as_json(figures, machine)
    (DOCS / "RESULTS.json").write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    readme = DOCS / "README.md"
    before, _, rest = readme.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    readme.write_text(f"{before}{_BEGIN}\n\n{_markdown(figures, machine)}\n{_END}{after}", encoding="utf-8")


def write_page(name: str, figure: Figure, machine: dict[str, Any]) -> Path:
    """Write a figure that has a page of its own, and its charts beside it. Returns where."""
    for file, chart in figure.charts.items():
        (DOCS / file).write_text(chart, encoding="utf-8")
    page = DOCS / f"{name.upper()}.md"
    charts = "".join(f"\n![{figure.title}]({file})\n" for file in figure.charts)
    written = f"Written by `python -m bench --only {name}`."
    lines = "\n".join(_section(figure))
    page.write_text(f"# {figure.title}\n\n{written} {said(machine)}.\n\n{lines}\n{charts}", encoding="utf-8")
    return page


def as_json(figures: Sequence[Figure], machine: dict[str, Any]) -> dict[str, Any]:
    """A run as RESULTS.json has it."""
    return {"machine": machine, "figures": [figure.as_json() for figure in figures]}


def number(line: Line) -> str:
    """A value with as many decimals as it deserves."""
    return (
        f"{line.value:,.0f}" if line.value >= 100 else f"{line.value:,.1f}" if line.value >= 10 else f"{line.value:.2f}"
    )


def said(machine: dict[str, Any]) -> str:
    """The machine in a sentence."""
    return (
        f"{machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; load average at the start "
        f"{machine['load_average'][0]}; one fsync {machine['fsync_ms']} ms; Python {machine['python']}, temporalio "
        f"{machine['temporalio']}, SQLite {machine['sqlite']}, PostgreSQL {machine['postgresql']}"
    )


def _markdown(figures: Sequence[Figure], machine: dict[str, Any]) -> str:
    parts = [said(machine) + ".", ""]
    parts += [f"- {name}: `{settings}`" for name, settings in machine["durability"].items()]
    for figure in figures:
        parts += ["", f"### {figure.title}", "", *_section(figure)]
    return "\n".join(parts) + "\n"


def _section(figure: Figure) -> list[str]:
    parts = [figure.how, "", "| | median | | target | |", "|---|--:|---|---|---|"]
    for line in figure.lines:
        met = {True: "met", False: "**missed**", None: ""}[line.met]
        parts.append(f"| {line.name} | {number(line)} | {line.unit} | {line.target or ''} | {met} |")
    for picture in figure.pictures:
        parts += ["", "```", picture, "```"]
    return parts
