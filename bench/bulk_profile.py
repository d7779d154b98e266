"""python -m bench.bulk_profile: where the time of settling in bulk goes, in the ledger alone, beside raw SQL.

Loading what a piece needs, deciding it, making rows of it and having the database write them: microseconds for each
transfer, on the clock. Raw SQL is what the database takes for the same rows if it is told nothing but to write them.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from bench.bulk import raw
from bench.databases import Databases, databases
from bench.load import Load
from engine.worker import collect_seldom
from ledger import book, bulk, rules, settled_rows, store
from ledger.operation import Settle

COUNT = 20_000


async def main(made: Databases) -> None:
    """Print one line for each database."""
    collect_seldom()
    for backend in ("sqlite", "postgresql"):
        taken = await _settle(backend, made)
        taken["raw SQL"] = 1 / await raw(await made.new(backend), COUNT)
        parts = ", ".join(f"{name} {seconds * 1e6:.0f}" for name, seconds in taken.items())
        print(f"{backend}: {parts} µs/transfer")


async def _settle(backend: str, made: Databases) -> dict[str, float]:
    """Seconds for each transfer: in all, and in each part."""
    spent: defaultdict[str, float] = defaultdict(float)

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                spent[name] += time.perf_counter() - began

        return run

    load = Load()
    async with made.books(backend) as ledger:
        await load.open(ledger)
        for _ in range(2):  # the first one is not counted
            spent.clear()
            lines = [Settle(transfer, "batch b, line 1") for transfer in load.transfers(COUNT)]
            with (
                patch.object(store, "load", timed("load", store.load)),
                patch.object(book, "decide", timed("decide", rules.decide)),
                patch.object(store, "write", timed("write", store.write)),
                patch.object(bulk, "insert", timed("insert", bulk.insert)),
                patch.object(bulk, "update", timed("insert", bulk.update)),
                patch.object(settled_rows, "insert", timed("insert", settled_rows.insert)),
            ):
                began = time.perf_counter()
                await ledger.apply_many(lines)
                spent["all"] = time.perf_counter() - began
    rows = spent["write"] - spent["insert"]
    parts = {"all": spent["all"], "load": spent["load"], "decide": spent["decide"], "make rows": rows}
    parts |= {"the database writes": spent["insert"]}
    return {name: seconds / COUNT for name, seconds in parts.items()}


if __name__ == "__main__":
    with databases() as made:
        asyncio.run(main(made))
