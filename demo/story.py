"""Story: twelve steps from two accounts to an audit, with a fault in nearly every one, in under a minute.

Each step shows what a user would type and what it did to the balances. Whatever it claims is checked; a claim that
does not hold ends the story there, in red, and the data folder with every log is kept.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo import books, callers, faults
from demo.scene import Scene
from demo.showing import Show
from demo.stage import NotAsTold, Stage
from engine.embedded import UI_PORT
from workflows.asking import ATTEMPT


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is called, what is done and why it matters, and how it is played."""

    title: str
    why: str
    play: Callable[[Scene], Awaitable[None]]


SECONDS = 30
"""About how long it takes, on a laptop."""

STEPS = (
    Step(
        "Open two accounts",
        "Alice brings in 100.00 USD. The deposit has an id of its own: asked twice, it comes in once all the same.",
        callers.open_accounts,
    ),
    Step(
        "Move 25.00 from Alice to Bob",
        "The id, T2, names the intent. Asked again, it can only mean the same transfer.",
        callers.move_money,
    ),
    Step(
        "Lose the answer, and ask again",
        "The caller is killed right after the start and never hears how it ended. All it has to know is the id.",
        callers.lose_the_answer,
    ),
    Step(
        "The same accident without a key",
        "For contrast, a table that only adds and subtracts. Its transaction is sound, but to it a retry is another "
        "payment.",
        callers.pay_without_a_key,
    ),
    Step(
        "Use an id for something else",
        "T2 was 25.00. Asked for 99.00, it is neither a retry nor a new transfer, so it is refused by name.",
        callers.reuse_an_id,
    ),
    Step(
        "Ask for more than there is",
        "A rejection stays with its id, also after a deposit that would cover it: no late retry pays what everybody "
        "believes refused. A new try takes a new id.",
        callers.ask_for_too_much,
    ),
    Step(
        "Close the destination while the money is in transit",
        "Debit and credit are two steps. Carol's account closes in between, and the money must find its way back.",
        faults.close_the_destination,
    ),
    Step(
        "Cancel in transit, and fence the credit",
        "One database transaction gives the money back and marks the credit's key, T8/credit: this will never apply.",
        faults.cancel_in_transit,
    ),
    Step(
        "Kill the worker between commit and answer",
        f"The ledger has committed the credit, and nobody could tell Temporal. After {ATTEMPT.seconds} seconds of "
        "silence it asks again, and must not pay again.",
        faults.kill_the_worker,
    ),
    Step(
        "Ask fifty times at once",
        "Fifty callers in one process submit one id at the same moment, as an impatient queue would.",
        faults.ask_fifty_times_at_once,
    ),
    Step(
        "Kill Temporal while the money is in transit",
        "The server dies without warning and is started again on its file. Nothing that it had accepted is forgotten.",
        faults.kill_temporal,
    ),
    Step(
        "Audit the books",
        "Every total is recomputed from the postings, and every rule is looked at again.",
        books.audit,
    ),
)


@dataclass
class Report:
    """What has come out so far: the steps with name, ok and facts, and what was not as told."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    wrong: str | None = None
    interrupted: bool = False


def tell(as_json: bool) -> int:
    """Tell the story; with JSON, only one object at its end. Returns 0 when all came out as told, else 1."""
    show, report, began = Show(silent=as_json), Report(), time.monotonic()
    data = Path(tempfile.mkdtemp(prefix="durable-transfers-demo-"))
    try:
        asyncio.run(_play(show, report, data))
    except (KeyboardInterrupt, asyncio.CancelledError):
        report.interrupted = True
    except Exception as accident:
        report.wrong = str(accident) if isinstance(accident, NotAsTold) else f"{type(accident).__name__}: {accident}"
        (data / "demo.log").write_text(traceback.format_exc(), encoding="utf-8")
    finally:
        if report.wrong is None:
            shutil.rmtree(data, ignore_errors=True)
    seconds = round(time.monotonic() - began, 1)
    if as_json:
        sys.stdout.write(json.dumps(_as_json(report, data, seconds)) + "\n")
    else:
        _end(show, report, data, seconds)
    return int(report.interrupted or report.wrong is not None)


def _as_json(report: Report, data: Path, seconds: float) -> dict[str, Any]:
    wrong = "interrupted" if report.interrupted else report.wrong
    kept = str(data) if report.wrong is not None else None
    return {"ok": wrong is None, "seconds": seconds, "wrong": wrong, "data": kept, "steps": report.steps}


def _end(show: Show, report: Report, data: Path, seconds: float) -> None:
    if report.interrupted:
        show.ending("Interrupted. Nothing is left running.")
    elif report.wrong is not None:
        show.failed(report.wrong)
        show.ending("The story did not come out as told. Nothing is left running.")
        show.note(f"The data folder is kept, with every log: {data}")
    else:
        show.ending(f"The story came out as told, in {seconds:.0f} seconds. Nothing is left running.")
        show.note(f"Next: make up, which keeps all of it running. Web UI: http://127.0.0.1:{UI_PORT}")


async def _play(show: Show, report: Report, data: Path) -> None:
    """Every step in order. Raises NotAsTold, or whatever accident came in between."""
    task = asyncio.current_task()
    assert task is not None
    for name in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C does: end everything, in order
        asyncio.get_running_loop().add_signal_handler(name, task.cancel)
    show.opening(f"Money moves while callers, workers and Temporal die: {len(STEPS)} steps, about {SECONDS} s.")
    async with contextlib.AsyncExitStack() as stack:
        with show.waiting("starting a Temporal server and a worker, on a fresh data folder"):
            stage = await stack.enter_async_context(Stage.set_up(data))
            await stage.start_worker(faults.FIRST_WORKER)
        show.note(f"All of it is real, and checked as it happens. Web UI: {stage.server.ui}")
        for number, step in enumerate(STEPS, start=1):
            await _step(number, step, Scene(stage, show), report)
        with show.waiting("ending the worker and the server"):
            await stack.aclose()


async def _step(number: int, step: Step, scene: Scene, report: Report) -> None:
    entry: dict[str, Any] = {
        "name": step.title,
        "ok": False,
        "proven": scene.proven,
        "harm": scene.harm,
        "facts": scene.facts,
    }
    report.steps.append(entry)
    scene.show.headline(number, step.title, step.why)
    with scene.show.playing():
        await step.play(scene)
    entry["ok"] = True
    for claim in scene.proven:
        scene.show.proven(claim)
    for claim in scene.harm:
        scene.show.harm(claim)
