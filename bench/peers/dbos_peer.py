"""DBOS: one workflow for each transfer, whose three steps are transactions of its SQLAlchemy datasource.

python -m bench.peers.dbos_peer DATABASE_URL, in an environment of its own. The workflow's id is the transfer's id, so
that it runs once; the datasource writes what a step answered in the step's own transaction, so that the step does too.
Its system tables are in the same database, in a schema of their own, as its documentation has it for one PostgreSQL.

Workflows are plain functions, each in its caller's thread: as coroutines, which DBOS has too, they were slower when
tried on a busy machine (32 transfers a second; minutes later 52 so), and their bookkeeping uses threads all the same.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, SetWorkflowID, SQLAlchemyDatasource

from bench.peers.driving import drive, serve
from bench.peers.work import STEPS, Movement, statement

CALLERS = 200
"""Threads: as many as are ever in flight."""

POOL = 20
"""Connections of each pool: what DBOS takes for its own by itself. Other numbers were not tried."""

_STATEMENTS = {step: sa.text(statement(step, keyed=False)) for step in STEPS}


def main(url: str) -> None:
    """Launch DBOS, and drive it."""
    DBOS(config={"name": "race", "system_database_url": url, "log_level": "WARNING", "sys_db_pool_size": POOL})
    datasource = SQLAlchemyDatasource.create(url, engine_kwargs={"pool_size": POOL, "max_overflow": 0})
    # What its datasource does by itself is SERIALIZABLE. These statements lock the rows that they change, so that a
    # level which makes nobody begin again is as right, and faster on a hot account.
    level = {"isolation_level": "READ COMMITTED"}

    def step(name: str, arguments: dict[str, str]) -> int:
        done: Any = datasource.sql_session().execute(_STATEMENTS[name], arguments)
        if done.rowcount != 1:
            raise RuntimeError(f"{arguments['id']}/{name} changed {done.rowcount} rows")
        return 1

    def transfer(arguments: dict[str, str]) -> str:
        for name in STEPS:
            datasource.run_tx_step({**level, "name": name}, step, name, arguments)
        return "settled"

    workflow = DBOS.workflow()(transfer)
    DBOS.launch()

    def wait_for(movement: Movement) -> None:
        with SetWorkflowID(movement.id):
            if (answer := workflow(movement.arguments())) != "settled":
                raise RuntimeError(f"{movement.id}: {answer}")

    threads = ThreadPoolExecutor(CALLERS)

    async def once(movement: Movement) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, wait_for, movement)

    asyncio.run(serve({"DBOS": partial(drive, once)}))


if __name__ == "__main__":
    main(sys.argv[1])
    sys.stdout.flush()
    os._exit(0)  # what DBOS has running in the background is not waited for
