"""Restate's side: a service with one handler, whose three steps are durable actions. Hypercorn serves it.

Restate keeps what a step has answered in its journal, and runs a step again if it was killed before that was written.
So each step claims its key in its own statement: a row of `keys`, which is there from the same commit as the money.
"""

import asyncio
import os
from typing import Any

import asyncpg
import restate

from bench.peers.work import STEPS, numbered, statement

POOL = 20
"""Connections of one process."""

_STATEMENTS = {step: numbered(statement(step, keyed=True)) for step in STEPS}
_pools: dict[asyncio.AbstractEventLoop, Any] = {}


async def _pool() -> Any:
    loop = asyncio.get_running_loop()
    if loop not in _pools:
        _pools[loop] = asyncio.ensure_future(
            asyncpg.create_pool(os.environ["RACE_DATABASE_URL"], min_size=POOL, max_size=POOL)
        )
    return await _pools[loop]


async def _step(name: str, arguments: dict[str, str]) -> str:
    sql, names = _STATEMENTS[name]
    return str(await (await _pool()).execute(sql, *(arguments[each] for each in names)))


async def transfer(context: restate.Context, arguments: dict[str, str]) -> str:
    """Debit, credit, notify; each at most once, and in the end each."""
    for name in STEPS:
        await context.run_typed(name, _step, restate.RunOptions(), name, arguments)
    return "settled"


_service = restate.Service("transfers")
_service.handler()(transfer)
app = restate.app(services=[_service])
