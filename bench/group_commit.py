"""Group commit: five hundred callers at once against one at a time, each durable before its caller is told."""

from bench.databases import Databases
from bench.figure import Figure, Line, at_least, median, ratio
from bench.load import Load, legs, one_by_one, round_of

TOGETHER = 500
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
_TARGETS = {"sqlite": (20, 10_000), "postgresql": (10, 6_000)}


async def measure(databases: Databases, quick: bool) -> Figure:
    """Operations a second, in turns of the two ways, on both databases."""
    turns, alone = (5, 50) if quick else (15, 100)
    lines = [line for backend in _NAMES for line in await _on(backend, databases, turns, alone)]
    return Figure(
        f"Group commit: {TOGETHER} operations at once against one at a time",
        f"{turns} turns of {TOGETHER} debits and then {TOGETHER} credits at once, each asked by a caller of its own, "
        f"and of {2 * alone} operations one after the other; 1,000 accounts in one currency.",
        lines,
    )


async def _on(backend: str, databases: Databases, turns: int, alone: int) -> list[Line]:
    load, single, grouped = Load(), list[float](), list[float]()
    async with databases.books(backend) as ledger:
        await load.open(ledger)
        await round_of(ledger, load, TOGETHER)  # not counted: the first of everything is slow
        for _ in range(turns):
            debits, credits = legs(load.transfers(alone))
            single.append(await one_by_one(ledger, [*debits, *credits]))
            grouped.append(await round_of(ledger, load, TOGETHER))
    name, (times, rate) = _NAMES[backend], _TARGETS[backend]
    return [
        Line(f"{name}, one at a time", median(single), "operations/s"),
        Line(f"{name}, {TOGETHER} at once", median(grouped), "operations/s", at_least(rate)),
        Line(f"{name}, at once against one by one", ratio(grouped, single), "times", at_least(times)),
    ]
