"""A contestant for tests: it does the work of the race with plain SQL, and forgets of it what it is told to forget.

python -m tests.bench.careless URL [STEP]. With a step, the third transfer goes without it.
"""

import asyncio
import sys
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.peers.driving import drive, serve
from bench.peers.work import STEPS, Movement, statement


async def main(url: str, forgotten: str | None) -> None:
    """Serve the way `plain`."""
    engine = create_async_engine(url)

    async def transfer(movement: Movement) -> None:
        for step in STEPS:
            if (movement.id, step) != ("T3", forgotten):
                async with engine.begin() as connection:
                    await connection.execute(text(statement(step, keyed=True)), movement.arguments())

    await serve({"plain": partial(drive, transfer)})
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None))
