"""A worker with instruments: what worker.py puts together, with sites at every boundary and armed through a pipe.

It differs from worker.py in nothing else but its clocks (an attempt may take one second, not five, so that a stall
outlives it), in that a transaction takes one request (so that a fault hits nobody but its own case), and in what it
does to transfers whose id says so:

    refunded...             their destination is closed when the credit is about to be made
    refunded_by_a_cancel... a cancel comes between the debit's commit and its answer
    payout_recalled...      the same
    cancelled...            a cancel comes before the debit, which never gets as far as the ledger
"""

import asyncio
import logging
import os
import warnings
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any

import asyncpg  # noqa: F401  # imported before the fork, like all that follows
import httpcore  # noqa: F401  # as above
import httpx
import sqlalchemy.dialects.postgresql.asyncpg
import sqlalchemy.dialects.sqlite.aiosqlite  # noqa: F401  # as above
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.messages import TransferRequest
from activities.notifiers import WebhookNotifier
from activities.terms import DebitOnTerms
from engine.plugin import WorkerPlugin
from engine.submitting import Submitter
from engine.worker import all_activities, make_worker
from ledger import failpoints
from ledger.account import AccountStatus
from ledger.book import Ledger
from ledger.failpoints import FailpointError
from ledger.operation import SetAccountStatus
from tests.faults.crash.rail import ByAnyName, FileRail, LateRail, SilentRail
from tests.faults.crash.receiver import SECRET
from tests.faults.crash.scenarios import CONTRADICTED, DECIDED
from tests.faults.crash.sites import ActivityBoundaries, ShortTasks, WorkflowBoundaries, instrument
from workflows import asking, batch, notification, recurring

ATTEMPT = timedelta(seconds=1)
FIRST_TRY = timedelta(seconds=1.5)
FIRST_LOOK = timedelta(seconds=0.3)
Passage = tuple[str, tuple[str, ...]]
"""A site, and for whom it was passed."""


@dataclass(frozen=True)
class Place:
    """Where a worker works."""

    temporal: str
    task_queue: str
    ledger_url: str
    receiver_url: str
    fired: str
    """The file in which what fires is written and synced."""


def bank_of(place: Place) -> str:
    """The file in which the outside bank of a place keeps its books."""
    return f"{place.fired}.bank"


def main(pipe: Connection, place: Place, armed: str) -> None:
    """Work until killed. Says `ready`, then answers each message with `done` or what was asked for."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")  # a workflow task that is made to fail leaves coroutines that nobody awaits
    os.environ[failpoints.LOG] = place.fired
    asking.ATTEMPT, batch.ATTEMPT, notification.FIRST_TRY = ATTEMPT, ATTEMPT, FIRST_TRY
    recurring.FIRST_LOOK = FIRST_LOOK
    arm(armed)
    asyncio.run(_work(pipe, place))


def quiet() -> Runtime:
    """An SDK that does not write to the terminal: zombies and lost answers are what this is about."""
    return Runtime(telemetry=TelemetryConfig(logging=None, metrics=None))


def arm(text: str) -> None:
    """Arm failpoints, whatever the names of their sites: a run has found them."""
    failpoints.declare(plan.strip().partition("=")[0].partition("[")[0] for plan in text.split(";"))
    failpoints.arm(text)


async def _work(pipe: Connection, place: Place) -> None:
    seen: list[Passage] = []
    async with Ledger.open(place.ledger_url, batch_limit=1) as ledger:
        instrument(ledger)
        without_certificates = httpx.AsyncClient(verify=False, timeout=5.0)  # reading them costs more than the worker
        notifier = WebhookNotifier(place.receiver_url, SECRET, without_certificates)
        bank = FileRail(bank_of(place))
        rails = ByAnyName(bank, {DECIDED: SilentRail(), CONTRADICTED: LateRail(bank, ledger)})
        plugin = WorkerPlugin(all_activities(ledger, notifier, rails=rails), WorkflowBoundaries())
        client = await Client.connect(place.temporal, plugins=[plugin], interceptors=[ShortTasks()], runtime=quiet())
        stories = Stories(ledger, Submitter(client, place.task_queue))
        boundaries = ActivityBoundaries()
        async with make_worker(client, place.task_queue, [boundaries, stories]):
            asyncio.get_running_loop().add_reader(pipe.fileno(), _obey, pipe, seen, boundaries.asked_again)
            pipe.send("ready")
            await asyncio.Event().wait()


def _obey(pipe: Connection, seen: list[Passage], asked_again: set[str]) -> None:
    """Do what the message says."""
    try:
        message = pipe.recv()
    except EOFError:
        os._exit(1)
    match message:
        case ("arm", text):
            arm(text)
            asked_again.clear()
            pipe.send("done")
        case ("asked again",):
            pipe.send(frozenset(asked_again))
        case ("watch",):
            failpoints.watch(lambda site, keys: seen.append((site, tuple(sorted(keys)))))
            pipe.send("done")
        case ("passages",):
            pipe.send(list(seen))
            seen.clear()


CANCELLED_AFTER = {("refunded_by_a_cancel", "debit"), ("payout_recalled", "debit_on_terms")}


class Stories(Interceptor):
    """What happens to transfers whose id says so."""

    def __init__(self, ledger: Ledger, submitter: Submitter) -> None:
        self.ledger = ledger
        self.submitter = submitter

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK."""
        return _Story(next, self)


class _Story(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, stories: Stories) -> None:
        super().__init__(next)
        self._stories = stories

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        request = input.args[0].transfer if isinstance(input.args[0], DebitOnTerms) else input.args[0]
        if not isinstance(request, TransferRequest):
            return await super().execute_activity(input)
        submitter, id = self._stories.submitter, request.transfer_id
        match (id.partition(".")[0], input.fn.__name__):
            case ("cancelled", "debit"):
                await submitter.cancel(id, "changed my mind")
                raise FailpointError("the debit does not get as far as the ledger")
            case ("refunded", "credit"):
                await self._stories.ledger.apply(SetAccountStatus(request.destination, AccountStatus.CLOSED))
        result = await super().execute_activity(input)
        if (id.partition(".")[0], input.fn.__name__) in CANCELLED_AFTER:
            await submitter.cancel(id, "changed my mind")
        return result
