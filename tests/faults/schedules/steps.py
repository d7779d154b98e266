"""Steps: where an actor pauses, and who waits for a lock.

The failpoints of the ledger are the steps on both databases: armed everywhere, with a pause in place of a fate. On
PostgreSQL the statements are steps, too.
"""

import asyncio
import contextvars
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy import Connection, event, make_url

from ledger import failpoints
from ledger.book import Ledger
from ledger.operation import Outcome, Request
from tests.faults.schedules.stage import LEDGER, Blocked, Stage

SITES = (
    "ledger.before_transaction",
    "ledger.before_commit",
    "ledger.after_commit",
    "notify.before_delivery",
    "notify.after_delivery",
)

actor: contextvars.ContextVar[str] = contextvars.ContextVar("actor")
"""Who is acting: a task that an actor makes, such as a batcher's, acts for it."""

Backends = dict[int, str]
"""Whose transaction a server process of PostgreSQL works on."""


@contextmanager
def stepping(stage: Stage, ledgers: Mapping[str, Ledger], backends: Backends, *, fine: bool) -> Iterator[None]:
    """Let the actors on these ledgers pause at their steps."""
    shared = len(set(map(id, ledgers.values()))) == 1

    async def step(plan: failpoints.Plan) -> None:
        if shared and plan.site.startswith("ledger."):
            await stage.pause(LEDGER)
        elif plan.site != "ledger.after_commit":  # with a ledger of its own, the actor's next step comes at once
            await stage.pause(actor.get())

    stall = failpoints._stall
    failpoints.arm(";".join(f"{site}=stall:0@*" for site in SITES))
    failpoints._stall = step
    try:
        with ExitStack() as stack:
            if shared:
                stack.enter_context(_queueing(stage, next(iter(ledgers.values()))))
            for name, ledger in {} if shared else ledgers.items():
                stack.enter_context(_statements(stage, name, ledger, backends, fine))
            yield
    finally:
        failpoints._stall = stall
        failpoints.arm("")


@contextmanager
def _queueing(stage: Stage, ledger: Ledger) -> Iterator[None]:
    """Note who waits for an answer of the ledger: whoever does not, and does not pause, is still on its way."""
    enqueue = ledger._enqueue

    def noted(request: Request) -> "asyncio.Future[Outcome]":
        name, answer = actor.get(), enqueue(request)
        stage.waiting.add(name)
        answer.add_done_callback(lambda _: stage.waiting.discard(name))
        return answer

    ledger._enqueue = noted  # type: ignore[method-assign]  # of this one ledger, for the length of the block
    try:
        yield
    finally:
        ledger._enqueue = enqueue  # type: ignore[method-assign]  # as above


@contextmanager
def _statements(stage: Stage, name: str, ledger: Ledger, backends: Backends, fine: bool) -> Iterator[None]:
    """Pause before each read of a transaction but the first, and before the first write."""
    seen: list[bool] = []

    def begin(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        backends[driver.driver_connection.get_server_pid()] = name
        seen.clear()

    def statement(connection: Connection, _cursor: object, text: str, *_: object) -> None:
        reads = text.lstrip().upper().startswith("SELECT")
        is_step = bool(seen) and (reads or all(seen))
        seen.append(reads)
        if is_step and fine:
            driver: Any = connection.connection.dbapi_connection
            driver.run_async(lambda _: stage.pause(name))

    engine = ledger.writer.sync_engine
    event.listen(engine, "begin", begin)
    event.listen(engine, "before_cursor_execute", statement)
    try:
        yield
    finally:
        event.remove(engine, "begin", begin)
        event.remove(engine, "before_cursor_execute", statement)


@asynccontextmanager
async def probe(url: str, backends: Backends) -> AsyncIterator[Blocked]:
    """A function that says which actors wait for a lock."""
    dsn = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    connection = await asyncpg.connect(dsn, timeout=10)

    async def blocked() -> set[str]:
        waiting = await connection.fetch("SELECT DISTINCT pid FROM pg_locks WHERE NOT granted")
        return {backends[row["pid"]] for row in waiting if row["pid"] in backends}

    try:
        yield blocked
    finally:
        await connection.close()
