"""Restores: what was finished is run again, after a reset, a deletion, the end of retention, or an older backup.

    resets.py       to every workflow task of a settled, a rejected and a refunded transfer; workflows never cached
    forgotten.py    executions deleted, or past a real retention; then the same id again, with other content too
    older.py        an older Temporal file under today's books; older books under today's Temporal

The worker is in this process, on a Temporal server that is real; its sandbox is on.
"""

import asyncio

from engine.embedded import EmbeddedServer
from tests.faults.parts.restores import forgotten, older, resets
from tests.faults.run import Run

FLAGS = (
    # Retention as short as it can be; by default it is a day at least, and up to half an hour late.
    *("--dynamic-config-value", 'system.namespaceMinRetentionLocal="1s"'),
    *("--dynamic-config-value", 'history.retentionTimerJitterDuration="1s"'),
    # By default a deleted workflow is there for another half minute, until the queue's position has been saved.
    *("--dynamic-config-value", "history.transferProcessorEnsureCloseBeforeDelete=false"),
)


async def run(run: Run) -> None:
    """All cases. Retention needs ten seconds of its own, in which the others go on."""
    async with EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None, extra=FLAGS) as server:
        retention = asyncio.create_task(forgotten.by_retention(run, server))
        await forgotten.by_deletion(run, server)
        await resets.to_every_task(run, server)
        await resets.in_transit(run, server)
        await resets.never_cached(run, server)
        await older.ledger(run, server)
        await retention
    await older.temporal(run)
