"""E. Workflow code: every history and each of its prefixes replays; no cache; a reset, cancel or end at every step.

golden       each golden history, and each prefix of it that a worker may find, replays (it knows no database: once)
evicted      each ending again with no workflow cached: the same balances, and its fresh history replays likewise
reset        a settled and a refunded transfer, reset to each of its workflow tasks: nothing moves again
cancel       a transfer cancelled at each of its steps: it ends, and no money is lost
terminate    a transfer terminated at each of its steps: submitting it again finishes it
"""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer

from engine.embedded import EmbeddedServer
from engine.plugin import ClientPlugin, WorkerPlugin
from engine.settings import ROOT
from engine.submitting import Submitted, workflow_id
from ledger.book import Ledger
from tests.faults.evidence import Evidence, read_rows
from tests.faults.invariants import violations
from tests.faults.kinds import Kind
from tests.faults.record import Trial
from tests.faults.replaying import cuts
from tests.faults.run import Run
from tests.support.bank import Bank, sandbox
from tests.support.databases import DATABASES
from tests.support.examples import open_with
from tests.workflows import endings
from tests.workflows.endings import ENDINGS

SERVER = (
    *("--dynamic-config-value", 'history.timerProcessorMaxTimeShift="100ms"'),  # timers are otherwise up to 1 s late
    *("--dynamic-config-value", "history.transferProcessorEnsureCloseBeforeDelete=false"),  # forgets at once
)
STEPS = [(leg, before) for leg in ("debit", "credit", "notify") for before in (True, False)]
QUICK = ("settled", "refunded")
NOTHING_MOVED = [100_00, 0, 0, 0]
"""Alice, Bob, Carol, transit."""

SETTLED, SPLIT, PAID_OUT = [75_00, 25_00, 0, 0], [75_00, 20_00, 5_00, 0], [75_00, 0, 0, 0]
BALANCES = dict.fromkeys(
    (
        *("settled", "cancelled_too_late", "answered_from_the_ledger", "key_reused", "told_later", "notification"),
        *("swept", "finished_after_a_sweep", "settled_when_due", "settled_by_express", "express_that_was_silent"),
        *("approved", "approved_and_due_later", "approval_not_needed", "hold_approved"),
    ),
    SETTLED,
)
BALANCES |= dict.fromkeys(
    ("entered", "entry_reused", "entry_told", "entry_called_off_too_late", "entry_approved"), SPLIT
)
BALANCES |= dict.fromkeys(
    (
        "paid_out",
        "payout_cancelled_too_late",
        "payout_cancelled_in_its_second_run",
        "payout_decided_paid",
        "payout_approved",
    ),
    PAID_OUT,
)
BALANCES |= {
    "entry_approval_not_needed": [99_98, 1, 1, 0],
    "deposited": [101_00, 0, 0, 0],
    "entry_given_back": [76_00, 19_20, 4_80, 0],
    "captured_in_part": [80_00, 20_00, 0, 0],
    "occurrence_paid": [90_00, 10_00, 0, 0],
    "occurrence_reused": [90_00, 0, 0, 10_00],  # what the books know of its id was debited, and goes no further
    "chunk_settled": [99_00, 1_00, 0, 0],
}
"""How each ending leaves the books; those that are not named move nothing."""


async def run(run: Run) -> None:
    """Play all of it, one thing after the other."""
    for path in sorted((ROOT / "tests/workflows/histories").glob("*.json")):
        wanted = run.wants(name := f"golden: every prefix of {path.stem}") and run.database == DATABASES[0]
        if wanted and (not run.quick or path.stem in QUICK):
            with run.record.case(name) as trial:
                await _replay(run, trial, WorkflowHistory.from_json(f"golden/{path.stem}", path.read_text()))
    async with EmbeddedServer.running(run.folder / "temporal", port=0, ui_port=None, extra=SERVER) as server:
        client = await Client.connect(server.address, plugins=[ClientPlugin()])
        for ending in ENDINGS:
            if run.wants(name := f"evicted: {ending}") and (not run.quick or ending in QUICK):
                with run.record.case(name) as trial:
                    await _evicted(run, client, trial, ending)
        for ending in QUICK:
            if run.wants(name := f"reset: {ending}, to every workflow task"):
                with run.record.case(name) as trial:
                    await _reset(run, client, trial, ending)
        for leg, before in STEPS[:1] if run.quick else STEPS:
            for what in (_cancelled, _terminated):
                if run.wants(name := f"{what.__name__[1:]}: {'before' if before else 'after'} the {leg}"):
                    with run.record.case(name) as trial:
                        await what(run, client, trial, leg, before)


@asynccontextmanager
async def _bank(run: Run, client: Client, trial: Trial, balances: list[int] | None, cached: int) -> AsyncIterator[Bank]:
    """A bank of its own, where Alice has 100.00 USD; looked at as a whole when the block is over."""
    url = run.new_database()
    async with Ledger.open(url) as ledger:
        await open_with(ledger, alice=100_00, bob=0, carol=0)
        bank = Bank(ledger, client)
        async with bank.working(cached):
            yield bank
        have = await bank.balances("alice", "bob", "carol", "transit:USD")
        trial.expect(balances is None or have == balances, f"the balances are {have}, and should be {balances}")
        rows = await read_rows(url)
        trial.problems.extend(str(violation) for violation in violations(Evidence(rows)))
        ended = sum(row["status"] in ("settled", "refunded", "rejected", "cancelled") for row in rows.transfers)
        total = len(rows.transfers)
        left = int(balances is not None and balances[3] != 0)  # begun by the ending itself, with nobody to go on
        doubled = int(balances is not None and have != balances)
        run.record.effects(total, lost=0, doubled=doubled, stuck=total - ended - left, contradictory=0)


async def _replay(run: Run, trial: Trial, whole: WorkflowHistory) -> None:
    """Replay a history and every prefix that a worker may find."""
    lengths = [*cuts(whole.events), len(whole.events)]
    replayer = Replayer(workflows=[], plugins=[WorkerPlugin(workflow_runner=sandbox())])

    async def prefixes() -> AsyncIterator[WorkflowHistory]:
        for length in lengths:
            yield WorkflowHistory(whole.workflow_id, whole.events[:length])

    replayed = 0
    async with replayer.workflow_replay_iterator(prefixes()) as results:
        async for result in results:
            replayed += 1
            if result.replay_failure is not None:
                trial.problems.append(f"I13: {len(result.history.events)} events: {result.replay_failure}")
    trial.expect(replayed == len(lengths) > 1, f"{replayed} of {len(lengths)} were replayed")
    run.record.figure("histories: prefixes replayed", replayed)


async def _evicted(run: Run, client: Client, trial: Trial, ending: str) -> None:
    run.record.fault(Kind.WORKER_EVICTED, ending)
    async with _bank(run, client, trial, BALANCES.get(ending, NOTHING_MOVED), cached=0) as bank:
        await _replay(run, trial, await bank.history(await ENDINGS[ending](bank)))


async def _reset(run: Run, client: Client, trial: Trial, ending: str) -> None:
    async with _bank(run, client, trial, BALANCES.get(ending, NOTHING_MOVED), cached=1000) as bank:
        id = await getattr(endings, ending)(bank)
        first = await bank.outcome(Submitted(id, None))
        history = await client.get_workflow_handle(id).fetch_history()
        tasks = [each.event_id for each in history.events if each.HasField("workflow_task_completed_event_attributes")]
        run_id = (await client.get_workflow_handle(id).describe()).run_id
        for event_id in tasks:
            run.record.fault(Kind.WORKFLOW_RESET, f"{ending} to event {event_id}")
            reset = ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=id, run_id=run_id),
                reason="a fault",
                request_id=uuid.uuid4().hex,
                workflow_task_finish_event_id=event_id,
            )
            answer = await client.workflow_service.reset_workflow_execution(reset)
            again = await bank.outcome(Submitted(id, answer.run_id))
            same = (again.status, again.reason) == (first.status, first.reason)
            trial.expect(same, f"reset to event {event_id}: {again}, and was {first}")
        trial.expect(len(tasks) > 3, f"only {len(tasks)} workflow tasks")


async def _cancelled(run: Run, client: Client, trial: Trial, leg: str, before: bool) -> None:
    balances = NOTHING_MOVED if leg == "debit" else SETTLED
    async with _bank(run, client, trial, balances, cached=1000) as bank:
        request = bank.request()
        gate = bank.gates.close(leg, before=before)
        submitted = await bank.start(request)
        await gate.reached.wait()
        run.record.fault(Kind.WORKFLOW_CANCEL, f"{'before' if before else 'after'} the {leg}")
        await bank.cancel(request)
        gate.open.set()
        outcome = await bank.outcome(submitted)
        again = await bank.transfer(request)
        expected = "refunded" if leg == "debit" else "settled"
        trial.expect(outcome.status == again.status == expected, f"{outcome.status}, then {again.status}")


async def _terminated(run: Run, client: Client, trial: Trial, leg: str, before: bool) -> None:
    async with _bank(run, client, trial, SETTLED, cached=1000) as bank:
        request = bank.request()
        gate = bank.gates.close(leg, before=before)
        await bank.start(request)
        await gate.reached.wait()
        run.record.fault(Kind.WORKFLOW_TERMINATE, f"{'before' if before else 'after'} the {leg}")
        await client.get_workflow_handle(workflow_id(request.transfer_id)).terminate("a fault")
        gate.open.set()
        outcome = await bank.transfer(request)
        again = await bank.transfer(request)
        trial.expect(outcome.status == again.status == "settled", f"{outcome.status}, then {again.status}")
