"""Faults: the second half of the story. Money is in transit while accounts close, workers die and Temporal falls."""

import asyncio
import signal
import time
from typing import Any

from activities.messages import TransferOutcome, TransferRequest
from demo.scene import Scene, transfer
from demo.stage import PATIENCE_SECONDS
from engine.submitting import Submitted, Submitter, workflow_id
from workflows.asking import ATTEMPT

STALL_SECONDS = 3
"""Long enough for a user's command to come in between, on a slow machine too; shorter than an attempt."""

FIRST_WORKER = (
    f"activity.before_work[T7/credit]=stall:{STALL_SECONDS};"
    f"activity.before_completion[T8/debit]=stall:{STALL_SECONDS};"
    "activity.before_completion[T9/credit]=kill"
)
SECOND_WORKER = "activity.before_work[T11/credit]=stall:2"
FIFTY = 50


async def close_the_destination(scene: Scene) -> None:
    """Carol's account closes between the debit and the credit."""
    scene.answered(await scene.ask("open-account", "carol", "--currency", "USD"), 0, outcome="applied")
    await scene.look("before", alice="90.00", transit="0.00", carol="0.00")
    caller = await _begin(scene, "T7", "carol", held="T7/credit")
    await scene.look("in transit", alice="65.00", transit="25.00", carol="0.00")
    closed = await scene.ask("set-account", "carol", "--status", "closed")
    scene.answered(closed, 0, outcome="applied", account_status="closed")
    with scene.show.waiting("the credit gets through to the ledger"):
        told = await scene.stage.hear(caller)
    scene.answered(told, 3, status="refunded", reason="account_closed")
    await scene.look("refunded", alice="90.00", transit="0.00", carol="0.00")
    late = await scene.late_credit("T7", "carol", 2500)
    scene.check("the late credit", (late.kind, late.code, late.replayed), ("rejected", "account_closed", True))
    await scene.look("late credit", alice="90.00", transit="0.00", carol="0.00")
    scene.proven = [
        "refunded (account_closed), exit 3: Alice has her money, transit is empty",
        "the late credit: the recorded rejection again, and nothing moved",
    ]


async def cancel_in_transit(scene: Scene) -> None:
    """A cancel wins against a credit that was not tried yet, and fences it."""
    await scene.look("before", alice="90.00", transit="0.00", bob="110.00")
    caller = await _begin(scene, "T8", "bob", held="the answer to T8/debit")
    await scene.look("in transit", alice="65.00", transit="25.00", bob="110.00")
    with scene.show.waiting("the cancel waits for what is under way"):
        cancelled = await scene.ask("cancel", "T8")
        told = await scene.stage.hear(caller)
    scene.answered(cancelled, 3, cancel="refunded", status="refunded")
    scene.answered(told, 3, status="refunded", reason="cancelled")
    await scene.look("cancelled", alice="90.00", transit="0.00", bob="110.00")
    late = await scene.late_credit("T8", "bob", 2500)
    scene.check("the late credit", (late.kind, late.code), ("fenced", "T8/refund"))
    await scene.look("late credit", alice="90.00", transit="0.00", bob="110.00")
    scene.proven = [
        "cancel answers refunded, and so does the transfer's own caller",
        "the late credit: fenced by T8/refund, and nothing moved",
    ]


async def kill_the_worker(scene: Scene) -> None:
    """The worker dies when the ledger has committed the credit, and Temporal does not know it."""
    await scene.look("before", alice="90.00", transit="0.00", bob="110.00")
    scene.show.command(["starter.py", *transfer("T9", "25.00")])
    caller = await scene.stage.begin(*transfer("T9", "25.00"))
    scene.check("the worker's exit status", await scene.stage.worker_died(), -signal.SIGKILL)
    killed_at = time.monotonic()
    scene.show.event("SIGKILL: the worker is gone, its commit is not")
    await scene.look("killed", alice="65.00", transit="0.00", bob="135.00")
    with scene.show.waiting(f"a new worker starts; Temporal gives the silent one {ATTEMPT.seconds} s, then asks again"):
        await scene.stage.start_worker(SECOND_WORKER)
        told = await scene.stage.hear(caller)
    scene.answered(told, 0, status="settled")
    await scene.look("recovered", alice="65.00", transit="0.00", bob="135.00")
    attempt = await _last_attempt(scene, "T9")
    scene.check("the credit was asked twice", attempt, 2)
    scene.check("postings of T9/credit", (await scene.stage.keys("bob")).count("T9/credit"), 1)
    seconds = round(time.monotonic() - killed_at, 1)
    scene.facts |= {"attempts": attempt, "recovered_after_seconds": seconds}
    scene.proven = [f"settled after {seconds:.0f} s: the credit was asked twice and is in the books once"]


async def ask_fifty_times_at_once(scene: Scene) -> None:
    """Fifty submissions of one id at the same time."""
    submitter = Submitter(scene.stage.client)
    request = TransferRequest(transfer_id="T10", source="alice", destination="bob", amount_minor=2500, currency="USD")

    async def one() -> tuple[Submitted, TransferOutcome]:
        submitted = await submitter.transfer(request)
        return submitted, await submitter.outcome(submitted, TransferOutcome, PATIENCE_SECONDS)

    await scene.look("before", alice="65.00", bob="135.00")
    scene.show.command(["starter.py", *transfer("T10", "25.00")])
    scene.show.event(f"{FIFTY} times at the same moment")
    scene.stage.asked += FIFTY
    answers = await asyncio.gather(*(one() for _ in range(FIFTY)))
    scene.stage.replayed += sum(outcome.replayed for _, outcome in answers)
    await scene.look("after", alice="40.00", bob="160.00")
    told = {(outcome.transfer_id, outcome.status, outcome.reason, outcome.detail) for _, outcome in answers}
    runs = {submitted.run_id for submitted, _ in answers}
    scene.check("what the fifty were told", told, {("T10", "settled", None, None)})
    scene.check("runs of one workflow", len(runs), 1)
    scene.check("postings of T10/credit", (await scene.stage.keys("bob")).count("T10/credit"), 1)
    scene.facts |= {"submissions": FIFTY, "different_answers": len(told), "runs": len(runs)}
    scene.proven = ["fifty equal answers from one run of one workflow; the money moved once"]


async def kill_temporal(scene: Scene) -> None:
    """Temporal itself dies while the money is in transit, and finds its way back from its file."""
    await scene.look("before", alice="40.00", transit="0.00", bob="160.00")
    caller = await _begin(scene, "T11", "bob", held="T11/credit")
    await scene.look("in transit", alice="15.00", transit="25.00", bob="160.00")
    server = scene.stage.server
    first = server.pid
    await server.kill()
    scene.show.event(f"SIGKILL: Temporal is gone (process {first})")
    await scene.look("killed", alice="15.00", transit="25.00", bob="160.00")
    with scene.show.waiting("Temporal starts again on its file"):
        await server.start()
        told = await scene.stage.hear(caller)
    scene.check("another process", server.pid != first, True)
    scene.answered(told, 0, status="settled")
    await scene.look("settled", alice="15.00", transit="0.00", bob="185.00")
    scene.proven = ["settled: the caller waited through it, in the same command"]


async def _begin(scene: Scene, id: str, destination: str, held: str) -> asyncio.subprocess.Process:
    """Start a transfer of 25.00 and wait until its money is in transit."""
    words = transfer(id, "25.00", destination)
    scene.show.command(["starter.py", *words])
    caller = await scene.stage.begin(*words)
    await scene.stage.reaches(id, "debited")
    scene.show.event(f"{held} is held up for a few seconds")
    return caller


async def _last_attempt(scene: Scene, transfer_id: str) -> Any:
    """The highest attempt that a transfer's history has seen of any activity."""
    history = await scene.stage.client.get_workflow_handle(workflow_id(transfer_id)).fetch_history()
    return max(event.activity_task_started_event_attributes.attempt for event in history.events)
