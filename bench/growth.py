"""Growth: what a transfer costs in small books and in large ones, and whether memory grows with a batch.

Books of 10,000, 100,000 and a million settled transfers take turns, so that whatever else the machine does falls on all
of them. Memory is that of the real commands, over one batch of `--lines` lines.
"""

import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from bench.bulk import WARM, batch
from bench.chart import Curve, Panel, svg
from bench.databases import Databases
from bench.figure import Figure, Line, at_most, median, ratio
from bench.filling import fill
from bench.load import Load, legs, together
from ledger.book import Ledger
from ledger.operation import Settle

SIZES, FEWER = (10_000, 100_000, 1_000_000), (1_000, 10_000, 100_000)
LINES, FEWER_LINES = 300_000, 60_000
SINGLE, BULK = 250, 2000
"""How many transfers a turn has, each leg asked by a caller of its own; and how many lines of a bulk."""

_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


async def measure(databases: Databases, quick: bool, lines: int | None = None) -> Figure:
    """Microseconds for each transfer by the size of the books; megabytes of worker and starter by lines done."""
    sizes, turns = (FEWER, 6) if quick else (SIZES, 16)
    count = lines or (FEWER_LINES if quick else LINES)
    rows: list[Line] = []
    single, bulk, memory = list[Curve](), list[Curve](), list[Curve]()
    for backend, name in _NAMES.items():
        taken = await _by_size(databases, backend, sizes, turns)
        for into, way in ((single, "one by one"), (bulk, "in bulk")):
            costs = taken[way]
            into.append(Curve(name, [(size, median(costs[size])) for size in sizes]))
            rows += [Line(f"{name}, {way}, {size:,} there", median(costs[size]), "µs/transfer") for size in sizes]
            grown = ratio(costs[sizes[-1]], costs[sizes[0]])
            rows.append(Line(f"{name}, {way}, largest of smallest", grown, "ratio", at_most(1.1)))
        run = await batch(databases, backend, count)
        for process in ("worker", "starter"):
            memory.append(Curve(f"{name}, {process}", run.sizes(process)))
            growth = run.watched[process].growth_after(run.warm)
            rows.append(Line(f"{name}, {process}'s memory grows to", growth, "times", at_most(1.3)))
    done = "transfers in the books"
    panels = [
        Panel("A transfer, each leg by a caller of its own", "µs", done, single, by_powers=True),
        Panel("A transfer of a bulk, in the ledger alone", "µs", done, bulk, by_powers=True),
        Panel(f"Memory over a batch of {count:,} lines", "MiB", "lines settled", memory),
    ]
    return Figure(
        "Growth: a transfer by the size of the books, memory by the length of a batch",
        f"{turns} turns in each of three books filled by plain SQL and audited: {SINGLE} transfers, each leg asked by "
        f"a caller of its own, and {BULK:,} lines of a bulk in the ledger alone. Then a batch of {count:,} lines by "
        f"the real commands; memory is what the largest size is of that after {WARM:,} lines.",
        rows,
        charts={"growth.svg": svg(panels)},
    )


async def _by_size(
    databases: Databases, backend: str, sizes: Sequence[int], turns: int
) -> dict[str, dict[int, list[float]]]:
    """Microseconds for each transfer, by the way it is asked and the number of transfers in the books."""
    taken: dict[str, dict[int, list[float]]] = {way: {size: [] for size in sizes} for way in ("one by one", "in bulk")}
    async with AsyncExitStack() as stack:
        books: list[tuple[int, Ledger, Load]] = []
        for size in sizes:
            ledger, load = await stack.enter_async_context(databases.books(backend)), Load()
            await load.open(ledger)
            await fill(ledger, load, size)
            await _in_bulk(ledger, load)  # not counted: the first of everything is slow
            books.append((size, ledger, load))
        for turn in range(turns):
            for size, ledger, load in books[:: 1 if turn % 2 else -1]:
                taken["one by one"][size].append(await _one_by_one(ledger, load))
                taken["in bulk"][size].append(await _in_bulk(ledger, load))
    return taken


async def _one_by_one(ledger: Ledger, load: Load) -> float:
    debits, credits = legs(load.transfers(SINGLE))
    return 1e6 / await together(ledger, debits) + 1e6 / await together(ledger, credits)


async def _in_bulk(ledger: Ledger, load: Load) -> float:
    lines = [Settle(transfer, "batch b, line 1") for transfer in load.transfers(BULK)]
    began = time.perf_counter()
    outcomes = await ledger.apply_many(lines)
    taken = time.perf_counter() - began
    assert all(outcome.applied and not outcome.replayed for outcome in outcomes)
    return taken * 1e6 / BULK
