"""A caller as a process of its own, with sites around each of its calls to Temporal: it may die in any of them."""

import asyncio
import logging
import os
from multiprocessing.connection import Connection

from temporalio.client import Client

from engine.plugin import ClientPlugin
from engine.submitting import Submitter
from ledger import failpoints
from tests.faults.crash.instrumented_worker import Passage, Place, arm, quiet
from tests.faults.crash.scenarios import SCENARIOS
from tests.faults.crash.sites import ClientBoundaries, ShortTasks


def main(pipe: Connection, place: Place, scenario: str, id: str, armed: str) -> None:
    """Ask once. Says ("told", the answer, passages), or ("failed", the error) when there was no answer."""
    logging.disable(logging.CRITICAL)
    os.environ[failpoints.LOG] = place.fired
    arm(armed)
    seen: list[Passage] = []
    failpoints.watch(lambda site, keys: seen.append((site, tuple(sorted(keys)))))
    try:
        said = asyncio.run(_ask(place, scenario, id))
    except Exception as error:
        pipe.send(("failed", f"{type(error).__name__}: {error}", seen))
    else:
        pipe.send(("told", said, seen))


async def _ask(place: Place, scenario: str, id: str) -> object:
    plugins, interceptors = [ClientPlugin()], [ClientBoundaries(), ShortTasks()]
    client = await Client.connect(place.temporal, plugins=plugins, interceptors=interceptors, runtime=quiet())
    (story,) = (each for each in SCENARIOS if each.name == scenario)
    return await story.ask(Submitter(client, place.task_queue), id)
