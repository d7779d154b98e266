"""Reach: how commands get at Temporal and, read-only, at the books. Imports are late: `--help` needs none of them."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from engine.settings import Settings
from ledger.transfer import Status

if TYPE_CHECKING:
    from engine.submitting import Submitted, Submitter
    from ledger.database import Bounds
    from ledger.fingerprint import Content
    from ledger.reader import Reader


@asynccontextmanager
async def temporal(settings: Settings, timeout_seconds: float) -> "AsyncIterator[Submitter]":
    """A submitter on a fresh connection. Raises NotReachable, or Unanswered when connecting takes too long."""
    from engine.connection import connect
    from engine.plugin import ClientPlugin
    from engine.results import Unanswered
    from engine.submitting import Submitter

    try:
        client = await asyncio.wait_for(connect(settings, [ClientPlugin()]), timeout_seconds)
    except TimeoutError:
        raise Unanswered(f"Temporal did not answer within {timeout_seconds:g} s") from None
    yield Submitter(client)


@asynccontextmanager
async def books(settings: Settings, bounds: "Bounds | None" = None) -> "AsyncIterator[Reader]":
    """The books, read-only. Raises OSError when there are none yet."""
    from ledger.database import READING, parse_url, sqlite_path
    from ledger.reader import Reader

    path = sqlite_path(parse_url(settings.ledger_url))
    if path is not None and not path.exists():
        raise FileNotFoundError(f"there is no ledger at {path} yet. Start a worker, which makes one: make up.")
    async with Reader.open_read_only(settings.ledger_url, bounds or READING) as reader:
        yield reader


async def waits(submitter: "Submitter", workflow_id: str, timeout_seconds: float) -> "Submitted | None":
    """Look at a workflow until it waits for something; None if it has ended, or is not there. Raises Unanswered."""
    from engine.results import Unanswered

    try:
        async with asyncio.timeout(timeout_seconds):
            while (found := await submitter.find_workflow(workflow_id)) is not None and not found.replayed:
                if waiting(found) is not None:
                    return found
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise Unanswered(f"no answer within {timeout_seconds:g} s; is a worker running?") from None
    return None


def waiting(found: "Submitted") -> Status | None:
    """What a running workflow waits for, as a status; None if it does not wait."""
    if found.is_held:
        return Status.DEBITED
    if found.is_scheduled:
        return Status.SCHEDULED
    return Status.AWAITING_APPROVAL if found.awaits_approval else None


async def known_otherwise(settings: Settings, key: str, content: "Content") -> bool:
    """Whether the books have something else under a key than this. False also if they cannot be read."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        async with books(settings) as reader:
            asked = await reader.asked(key)
    except (SQLAlchemyError, OSError):
        return False
    return asked is not None and bool(asked.differences(content))


@contextmanager
def progress(text: str) -> Iterator[None]:
    """A spinner for people who watch; nothing at all when the output goes elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text, spinner="dots"):
        yield
