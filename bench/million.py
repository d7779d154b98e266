"""A ledger that has a million postings against an empty one: is posting into it any slower?"""

from bench.databases import Databases
from bench.figure import Figure, Line, at_most, median, ratio
from bench.filling import fill
from bench.load import Load, round_of
from ledger.book import Ledger

TOGETHER = 500
POSTINGS, FEWER = 1_000_000, 100_000


async def measure(databases: Databases, quick: bool) -> Figure:
    """The time a turn takes in the full books for each second in the empty ones, in turns."""
    turns, postings = (8, FEWER) if quick else (24, POSTINGS)
    lines = await _on("sqlite", "SQLite", databases, turns, postings)
    lines += await _on("postgresql", "PostgreSQL", databases, turns, postings)
    lines += await _on("sqlite", "SQLite, unordered ids", databases, turns, postings, scattered=True)
    return Figure(
        f"Posting into {postings:,} postings against posting into none",
        f"{turns} turns of {TOGETHER} operations in each of two books, one of which holds {postings // 2:,} settled "
        "transfers between the same accounts, with every row that transfers leave. Transfer ids rise, as a counter, a "
        "date or a UUIDv7 does; ids without order (UUIDv4) are shown for comparison.",
        lines,
    )


async def _on(
    backend: str, name: str, databases: Databases, turns: int, postings: int, scattered: bool = False
) -> list[Line]:
    rates: tuple[list[float], list[float]] = ([], [])
    async with databases.books(backend) as empty, databases.books(backend) as full:
        loads = Load(scattered=scattered), Load(scattered=scattered)
        await _prepare(empty, loads[0], 0)
        await _prepare(full, loads[1], postings // 2)
        sides = list(zip((empty, full), loads, rates, strict=True))
        for turn in range(turns):
            for ledger, load, into in sides[:: 1 if turn % 2 else -1]:
                into.append(await round_of(ledger, load, TOGETHER // 2))
    return [
        Line(f"{name}, empty books", median(rates[0]), "operations/s"),
        Line(f"{name}, {postings:,} postings", median(rates[1]), "operations/s"),
        Line(
            f"{name}, the full books take",
            ratio(rates[0], rates[1]),
            "of the time",
            None if scattered else at_most(1.1),
        ),
    ]


async def _prepare(ledger: Ledger, load: Load, transfers: int) -> None:
    await load.open(ledger)
    if transfers:
        await fill(ledger, load, transfers)
    for _ in range(3):  # not counted: what any load uses is read into the cache once
        await round_of(ledger, load, TOGETHER // 2)
