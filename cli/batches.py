"""batch, and what status and cancel say of one: a file of transfers, streamed from the file to its results."""

import asyncio
import csv
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from cli.answers import Answer, Exit
from cli.reach import books, known_otherwise, temporal
from engine.settings import Settings
from ledger.errors import MalformedRequest
from ledger.keys import Leg, check_id, operation_key

if TYPE_CHECKING:
    from activities.batch_messages import BatchProgress
    from cli.batch_progress import Bar
    from cli.batch_results import Counts
    from engine.batching import Batches
    from engine.submitting import Submitted

FIRST_REPORT_SECONDS = 0.5
REPORTS_AMONG = 50
"""Each report waits for a fiftieth of the time so far: often at first, and never so many that a history is long."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks for."""

    file: Path
    id: str
    results: Path | None
    strict: bool
    timeout_seconds: float


@dataclass(slots=True)
class _Run:
    """A batch under way."""

    batches: "Batches"
    asked: Asked
    counts: "Counts"
    began: float = field(default_factory=time.monotonic)
    going_on: bool = True

    @asynccontextmanager
    async def reporting(self) -> AsyncIterator[None]:
        """Say how far it is, now and then, and hear whether to go on; at the end say that it is over."""
        task = asyncio.create_task(self._report())
        try:
            yield
        finally:
            task.cancel()
        if not await self.batches.report(self.asked.id, self.counts.progress(over=True)):
            self.going_on = False

    async def _report(self) -> None:
        from engine.results import Unanswered

        while self.going_on:
            await asyncio.sleep(max(FIRST_REPORT_SECONDS, (time.monotonic() - self.began) / REPORTS_AMONG))
            with suppress(Unanswered):  # the next one may be heard: a cancel must not be missed for one silence
                self.going_on = await self.batches.report(self.asked.id, self.counts.progress())


async def batch(settings: Settings, asked: Asked) -> Answer:
    """Have a file's transfers moved, and write down what became of each. Safe to repeat, whatever happened before."""
    from cli.batch_file import FileFormat, fingerprint, read
    from cli.batch_results import SHOWN

    check_id(asked.id, "batch id")
    with _opened(asked.file) as file:
        sha256, lines = fingerprint(file)
        if asked.strict:
            bad = [line for line in read(file, FileFormat.of(asked.file)) if not hasattr(line, "transfer")]
            if bad:
                named = "; ".join(str(line) for line in bad[:SHOWN])
                raise MalformedRequest(f"{len(bad)} lines are bad, nothing was started: {named}")
            file.seek(0)
        return await _submit(settings, asked, file, sha256, lines)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open(path, "rb"))
        except OSError as error:
            raise MalformedRequest(f"{path} cannot be read: {error.strerror}") from error
        yield file


async def _submit(settings: Settings, asked: Asked, file: BinaryIO, sha256: str, lines: int) -> Answer:
    from activities.batch_messages import BatchOutcome, BatchRequest
    from cli.batch_results import Counts
    from engine.batching import Batches
    from engine.claiming import claim
    from engine.results import KeyReused

    request = BatchRequest(batch_id=asked.id, sha256=sha256, lines=lines)
    operation = request.as_operation()
    async with temporal(settings, asked.timeout_seconds) as submitter:
        batches = Batches(submitter)
        is_theirs = partial(known_otherwise, settings, operation.key, operation.content)
        submit = partial(batches.submit, request)
        submitted = await claim(submitter, submit, BatchOutcome, is_theirs, asked.timeout_seconds)
        if submitted.differences:
            return _reused(asked.id, "; ".join(submitted.differences))
        try:
            await batches.begin(submitted, asked.timeout_seconds)
        except KeyReused as reused:
            return _reused(asked.id, str(reused))
        run = _Run(batches, asked, Counts())
        path = await _stream(run, file, lines)
        return _summary(settings, run, path, submitted, submitter.client.namespace)


async def _stream(run: _Run, file: BinaryIO, lines: int) -> Path:
    """From the file to its results. Returns where they are."""
    from cli.batch_file import FileFormat, chunks, read
    from cli.batch_progress import bar
    from cli.batch_results import path_beside, results_file, rows

    asked = run.asked
    path = asked.results or path_beside(asked.file)
    with results_file(path, asked.file) as results, bar(asked.id, lines) as shown:
        writer = csv.writer(results)
        parts = chunks(_unchanged(file, read(file, FileFormat.of(asked.file))), asked.id)
        async with run.reporting():
            async for chunk, outcome in run.batches.in_order(parts, asked.timeout_seconds, lambda: run.going_on):
                written = rows(chunk, outcome)
                writer.writerows(written)
                run.counts.count(chunk, written)
                _show(shown, run.counts)
    return path


def _unchanged(file: BinaryIO, lines: Iterator[Any]) -> Iterator[Any]:
    """The lines of a file. Raises OSError at their end if somebody has written to it meanwhile."""
    import os

    before = os.fstat(file.fileno())
    yield from lines
    after = os.fstat(file.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise OSError("the file was changed while it was read")


def _show(shown: "Bar | None", counts: "Counts") -> None:
    if shown is not None:
        shown(counts.last_line, counts.lines)


def _summary(settings: Settings, run: _Run, path: Path, submitted: "Submitted", namespace: str) -> Answer:
    from cli.batch_results import MALFORMED, SETTLED
    from engine.connection import workflow_url

    counts, seconds = run.counts, time.monotonic() - run.began
    settled, malformed = counts.by_status[SETTLED], counts.by_status[MALFORMED]
    status = "done" if run.going_on else "cancelled"
    data = {
        "batch_id": run.asked.id,
        "status": status,
        "reason": None,
        "lines": counts.lines,
        "settled": settled,
        "not_settled": counts.not_settled,
        "malformed": malformed,
        "replayed": counts.replayed,
        "by_status": dict(counts.by_status),
        "bad_lines": [str(line) for line in counts.bad],
        "seconds": round(seconds, 1),
        "transfers_per_second": round(counts.lines / seconds) if seconds else None,
        "results": str(path),
        "run_id": submitted.run_id,
        "ui_url": workflow_url(settings, namespace, submitted.workflow_id, submitted.run_id),
    }
    complete = run.going_on and settled == counts.lines
    colour = "green" if complete else "yellow"
    headline = f"[bold]{run.asked.id}[/]  [{colour}]{status}[/]  {settled:,} of {counts.lines:,} settled"
    hide = frozenset({"batch_id", "status", "settled", "bad_lines", "by_status"})
    shown_bad = "".join(f"\n  [yellow]{_escaped(line)}[/]" for line in counts.bad)
    return Answer(data, Exit.OK if complete else Exit.NO, headline + shown_bad, hide=hide)


def _escaped(line: object) -> str:
    from rich.markup import escape

    return escape(str(line))


def _reused(id: str, detail: str) -> Answer:
    data = {"batch_id": id, "status": "key_reused", "reason": detail}
    return Answer(data, Exit.KEY_REUSED, f"[bold]{id}[/]  [red]key_reused[/]", hide=frozenset({"batch_id", "status"}))


async def batch_status(settings: Settings, id: str) -> Answer | None:
    """How far a batch is, by its starter's last report; None if nobody has heard of a batch with this id."""
    from engine.batching import Batches

    async with temporal(settings, 10) as submitter:
        found = await Batches(submitter).find(id)
    if found is not None:
        status, run_id, said = found
        name = {"RUNNING": "running", "COMPLETED": "done", "CANCELED": "cancelled"}.get(status.name, "unknown")
        return _told(id, name, said, run_id)
    async with books(settings) as reader:
        asked = await reader.asked(operation_key(id, Leg.BATCH))
    return None if asked is None else _told(id, "done", None, None)


async def cancel_batch(settings: Settings, id: str, reason: str, timeout_seconds: float) -> Answer | None:
    """Stop a batch after what has begun, and say what was done; None if nobody has heard of a batch with this id."""
    from engine.batching import Batches

    async with temporal(settings, timeout_seconds) as submitter:
        batches = Batches(submitter)
        if await batches.find(id) is not None:
            await batches.cancel(id, reason, timeout_seconds)
    return await batch_status(settings, id)


def _told(id: str, status: str, said: "BatchProgress | None", run_id: str | None) -> Answer:
    counts = {} if said is None else said.model_dump(exclude={"over"})
    data = {"batch_id": id, "status": status, **counts, "run_id": run_id}
    exit = Exit.NO if status == "cancelled" else Exit.UNKNOWN if status == "unknown" else Exit.OK
    done = f"  {said.settled:,} of {said.done:,} settled" if said else ""
    return Answer(data, exit, f"[bold]{id}[/]  batch  {status}{done}", hide=frozenset({"batch_id", "status"}))
