"""Page: the findings of a whole run as Markdown and as JSON. Pure: numbers in, text out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.faults.findings import Findings
from tests.faults.kinds import FLOORS, Kind

if TYPE_CHECKING:
    from tests.faults.together import Ended

INVARIANTS = {
    "I1": "money is conserved per currency, in every snapshot; stored totals are the sums of the postings",
    "I2": "transit holds exactly the transfers that are debited and not ended",
    "I3": "no guarded account is below its guard at any prefix of the ledger",
    "I4": "at most one effect per key; other content under a key changes nothing",
    "I5": "a transfer's status has exactly its entries",
    "I6": "every acknowledged transfer is in the books and terminal",
    "I7": "a definite answer never changes; a rejected key never applies",
    "I8": "everything accepted is terminal within 30 s after the faults stop",
    "I9": "one order of the ledger explains every answer, real time respected",
    "I10": "one notification effect per key at the receiver, none before the books say so",
    "I11": "the books and Temporal's histories agree, both ways",
    "I13": "every history produced under faults replays, and every prefix of it",
    "I14": "no accident is told as a business answer",
    "I15": "every planned fault fired",
}

ALWAYS = (
    "One host: no two machines, no clock skew between them.",
    "Temporal's development server on a SQLite file, not a cluster.",
    "No power cut under PostgreSQL or Temporal: only their processes are killed.",
)
"""Gaps that no run can close."""


@dataclass(frozen=True)
class Run:
    """What was run, and where."""

    seed: int
    seconds: int
    commit: str
    machine: dict[str, Any]
    ended: Sequence["Ended"]


def markdown(findings: Findings, run: Run, charts: Mapping[str, str]) -> str:
    """REPORT.md."""
    machine = run.machine
    invalid = findings.below_floor
    bad = [part for part in run.ended if part.exit != 0]
    verdict = "**Something broke.** See below." if bad else "**Invalid.**" if invalid else "**All held.**"
    return "\n".join(
        [
            "# What breaking it showed",
            "",
            "Written by `make faults`; do not edit. `faults/` in the tests says how each of these is done.",
            "",
            f"{verdict} Commit `{run.commit}`, seed {run.seed}, {run.seconds} s on {machine['cores']} cores; Python "
            f"{machine['python']}, temporalio {machine['temporalio']}, SQLite {machine['sqlite']}, PostgreSQL "
            f"{machine['postgresql']}.",
            *(f"- {name}: `{settings}`" for name, settings in machine["durability"].items()),
            *_effects(findings),
            *_parts(findings, run),
            *_charts(charts),
            *_invariants(findings),
            *_faults(findings),
            *_mutants(findings),
            *_figures(findings),
            *_failures(findings, run),
            "",
            "## Honest gaps",
            "",
            *(f"- {gap}" for gap in (*ALWAYS, *findings.gaps)),
            "",
        ]
    )


def as_json(findings: Findings, run: Run) -> dict[str, Any]:
    """REPORT.json."""
    return {
        "commit": run.commit,
        "seed": run.seed,
        "seconds": run.seconds,
        "machine": run.machine,
        "held": not findings.below_floor and all(part.exit == 0 for part in run.ended),
        "invalid": findings.below_floor,
        "effects": [
            {"database": e.database, "transfers": e.transfers, **e.wrong, "bound": e.bound} for e in findings.effects
        ],
        "parts": [
            {
                "part": part.part.name,
                "database": part.database,
                "exit": part.exit,
                "seconds": round(part.seconds, 1),
                "passed": (counts := findings.cases(part.part.name, part.database))[0],
                "cases": counts[1],
            }
            for part in run.ended
        ],
        "faults": dict(findings.fired),
        "invariants": {name: findings.broken(name) for name in INVARIANTS},
        "mutants": [dict(line) for line in findings.mutants],
        "figures": [vars(figure) for figure in findings.figures],
        "failed": [dict(case) for case in findings.failed],
        "gaps": [*ALWAYS, *findings.gaps],
    }


def _effects(findings: Findings) -> list[str]:
    head = ["", "| database | transfers followed | lost | doubled | stuck | contradictory | rate below (95 %) |"]
    rows = [
        f"| {e.database} | {e.transfers:,} | {' | '.join(str(count) for count in e.wrong.values())} | {e.bound:.2g} |"
        for e in findings.effects
    ]
    return [*head, "|---|--:|--:|--:|--:|--:|--:|", *rows]


def _parts(findings: Findings, run: Run) -> list[str]:
    lines = ["", "## Layers", "", "| | database | cases passed | of | time |", "|---|---|--:|--:|--:|"]
    for part in run.ended:
        passed, cases = findings.cases(part.part.name, part.database)
        lines.append(f"| {part.part.title} | {part.database} | {passed} | {cases} | {part.seconds:.0f} s |")
    return lines


def _charts(charts: Mapping[str, str]) -> list[str]:
    return [line for database, file in charts.items() for line in ("", f"![The storm on {database}]({file})")]


def _invariants(findings: Findings) -> list[str]:
    rows = []
    for name, text in INVARIANTS.items():
        broken = len(findings.below_floor) if name == "I15" else findings.broken(name)
        rows.append(f"| {name} | {text} | {broken or 'held'} |")
    return ["", "## Invariants", "", "| | | broken |", "|---|---|--:|", *rows]


def _faults(findings: Findings) -> list[str]:
    total, kinds = findings.fired.total(), sum(count > 0 for count in findings.fired.values())
    rows = [f"| `{kind.value}` | {findings.fired[kind.value]:,} | {FLOORS[kind]} |" for kind in Kind]
    said = f"{total:,} faults of {kinds} kinds."
    return ["", "## Faults that fired", "", said, "", "| kind | fired | at least |", "|---|--:|--:|", *rows]


def _mutants(findings: Findings) -> list[str]:
    mutants = findings.mutants
    names = {line["name"] for line in mutants}
    survivors = {line["name"] for line in mutants if not line["killed_by"]}
    rows = [f"| {line['name']} | {line['database']} | {line['killed_by'] or '**survived**'} |" for line in mutants]
    said = f"{len(names) - len(survivors)} of {len(names)} killed."
    return ["", "## Mutants", "", said, "", "| the engine, if | on | killed by |", "|---|---|---|", *rows]


def _figures(findings: Findings) -> list[str]:
    rows = [
        f"| {figure.name} | {figure.part} on {figure.database} | {figure.times} | {figure.median:,.3g} {figure.unit} | "
        f"{figure.maximum:,.3g} {figure.unit} |"
        for figure in findings.figures
    ]
    head = ["", "## Figures", "", "| | | times | median | maximum |", "|---|---|--:|--:|--:|"]
    return [*head, *rows]


def _failures(findings: Findings, run: Run) -> list[str]:
    commands = {(part.part.name, part.database): part.command for part in run.ended}
    broken_off = [
        part for part in run.ended if part.exit != 0 and findings.cases(part.part.name, part.database)[1] == 0
    ]
    lines = ["", "## Failures", ""] if findings.failed or findings.below_floor or broken_off else []
    lines += [f"- {part.part.name} on {part.database} broke off: `{part.command}`" for part in broken_off]
    lines += [f"- invalid: {reason}" for reason in findings.below_floor]
    for case in findings.failed:
        again = f"{commands[case['part'], case['database']]} --case '{case['name']}'"
        lines += [f"- {case['name']}: `{again}`", *(f"  - {problem}" for problem in case["problems"])]
    return lines
