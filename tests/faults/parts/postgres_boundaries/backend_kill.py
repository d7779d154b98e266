"""Backends killed: the server process behind the ledger's connection is terminated at the boundaries of a commit.

A failpoint holds the ledger at the boundary; meanwhile the backend is ended by pg_terminate_backend.
"""

import asyncio
import os
from pathlib import Path

import asyncpg
from sqlalchemy import text

from ledger import failpoints
from ledger.book import Ledger
from ledger.database import open_database, parse_url
from tests.faults.kinds import Kind
from tests.faults.parts.postgres_boundaries.conversations import CONVERSATIONS, Conversation, Talk, plain
from tests.faults.record import Trial
from tests.faults.run import Run

SITES = ("ledger.before_transaction", "ledger.before_commit", "ledger.after_commit")
HELD_SECONDS = 0.5
"""How long the ledger stands at the boundary: ending a backend takes a few milliseconds."""


async def kill_backends(run: Run, url: str, books: Ledger) -> None:
    """Each boundary of each operation of each conversation. One after the other: failpoints belong to the process."""
    wanted = [
        (conversation, site, nth)
        for conversation in CONVERSATIONS
        for site in SITES
        for nth in range(len(conversation.operations("a", "b", "c")))
        if run.wants(_name(conversation, site, nth))
    ]
    for conversation, site, nth in run.random.sample(wanted, 2) if run.quick else wanted:
        with run.record.case(_name(conversation, site, nth)) as trial:
            await _kill(run, url, Talk(conversation, books), site, nth, trial)
        run.record.effects(1, 0, int(bool(trial.problems)), 0, 0)


def _name(conversation: Conversation, site: str, nth: int) -> str:
    return f"{conversation.name}/{site}#{nth + 1}/backend_kill"


async def _kill(run: Run, url: str, talk: Talk, site: str, nth: int, trial: Trial) -> None:
    await talk.prepare()
    log = run.folder / f"{talk.operations[0].key.replace('/', '-')}-{site}.jsonl"
    engine = open_database(parse_url(url))
    try:
        async with engine.connect() as connection:  # the pool's only one, which the ledger takes next
            backend = int((await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one())
        os.environ[failpoints.LOG] = str(log)
        failpoints.arm(f"{site}[{talk.operations[nth].key}]=stall:{HELD_SECONDS}")
        held = asyncio.create_task(talk.hold(Ledger(engine)))
        ended = await _end_when_held(run, url, log, backend, f"{talk.conversation.name}: {site}#{nth + 1}")
        trial.problems += await held
        trial.expect(ended, "the backend was not ended at the boundary")
        trial.expect(talk.unknown > 0 or site == SITES[-1], "an operation was answered although its backend was gone")
    finally:
        failpoints.arm("")
        os.environ.pop(failpoints.LOG, None)
        await engine.dispose()
    trial.problems += await talk.wrong()


async def _end_when_held(run: Run, url: str, log: Path, backend: int, detail: str) -> bool:
    """End a backend as soon as the failpoint has been reached."""
    connection = await asyncpg.connect(plain(url))
    try:
        async with asyncio.timeout(30):
            while not log.exists():
                await asyncio.sleep(0.005)
        run.record.fault(Kind.POSTGRES_BACKEND_KILL, detail)
        return bool(await connection.fetchval("SELECT pg_terminate_backend($1, 400)", backend))
    finally:
        await connection.close()
