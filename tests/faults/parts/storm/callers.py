"""Callers: many at once, who ask, ask again, ask for something else under the same id, cancel, or walk away.

Whatever one of them is told is written down as an Answer, with the exit status that `starter.py` would have given.
An accident of any other kind than those that mean "unknown: ask again" is a problem, however rare.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from activities.messages import ExpressRequest, TransferOutcome, TransferRequest
from activities.terms import Decision, HoldRequest
from engine.connection import NotReachable
from engine.deciding import decide
from engine.results import KeyReused, Unanswered
from engine.submitting import Submitted, Submitter
from ledger.reader import Reader
from tests.faults.evidence import Answer
from tests.faults.kinds import Kind
from tests.faults.parts.storm.bank import Bank
from tests.faults.parts.storm.plan import CURRENCY, Plan, PlannedTransfer
from tests.faults.record import Record

PATIENCE_SECONDS = 12.0
"""How long a caller waits for an answer before it takes it for unknown."""

ATTEMPTS = 3
"""How often a caller asks while the storm is on; what is still unknown then is asked again after it."""

UNKNOWN = (Unanswered, NotReachable, TimeoutError)
"""What a caller may meet instead of an answer."""

EXIT = {"settled": 0, "rejected": 3, "refunded": 3, "cancelled": 3}


@dataclass(frozen=True)
class Ask:
    """Who asks for what: how one answer is told from another's, and asked for again."""

    caller: str
    request: TransferRequest

    @property
    def content(self) -> tuple[str, str, int, str]:
        """What is asked for."""
        request = self.request
        return (request.source, request.destination, request.amount_minor, request.currency)


class Callers:
    """All of them, and what they know."""

    def __init__(self, bank: Bank, plan: Plan, record: Record) -> None:
        self._bank, self._plan, self._record = bank, plan, record
        self.answers: list[Answer] = []
        self.problems: list[str] = []
        self.acknowledged: dict[str, float] = {}
        """Every transfer that Temporal has taken, and when."""
        self.last: dict[tuple[str, str, tuple[str, str, int, str]], tuple[Ask, Answer]] = {}
        """The last answer of each caller about each of its requests."""
        self.begun: set[str] = set()
        self.in_flight: dict[str, PlannedTransfer] = {}
        self.closed = asyncio.Event()
        """Nothing new is begun any more."""
        self._requests: dict[str, TransferRequest] = {}

    async def run(self) -> None:
        """Every single that is planned, or as many as can be begun until it is closed."""
        async with asyncio.TaskGroup() as all:
            for number, script in enumerate(self._plan.scripts):
                all.create_task(self._script(number, script, all))

    async def until_definite(self, seconds: float) -> int:
        """Ask again whatever is still unknown, as its callers would. Returns how much of it stays unknown."""
        async with asyncio.timeout(seconds):
            unknown = [ask for ask, answer in self.last.values() if answer.exit_status == 5]
            await asyncio.gather(*(self._until_definite(number, ask) for number, ask in enumerate(unknown)))
        return sum(answer.exit_status == 5 for _, answer in self.last.values())

    async def _until_definite(self, number: int, ask: Ask) -> None:
        while (await self.ask(number, ask, 20)).exit_status == 5:
            await asyncio.sleep(0.2)

    async def _script(self, number: int, script: tuple[PlannedTransfer, ...], all: asyncio.TaskGroup) -> None:
        """One caller's transfers, one after the other; others come to each of them in their own time."""
        for planned in script:
            if self.closed.is_set():
                return
            await self.single(number, planned, all)

    async def single(self, number: int, planned: PlannedTransfer, all: asyncio.TaskGroup) -> None:
        """One transfer, by its rightful caller, and whatever others do about it."""
        self.in_flight[planned.id] = planned
        self.begun.add(planned.id)
        for repeat, delay in enumerate(planned.repeats):
            all.create_task(self._repeat(number + repeat + 1, planned, repeat, delay))
        if planned.other_content_after is not None:
            all.create_task(self._other_content(number + 1, planned, planned.other_content_after))
        if planned.cancel_after is not None:
            all.create_task(self._cancel(number, planned, planned.cancel_after))
        for place, (delay, captures) in enumerate(planned.decisions):
            all.create_task(self._decide(number + place, planned, delay, captures))
        await self._rightful(number, planned)
        self.in_flight.pop(planned.id, None)

    def request(self, planned: PlannedTransfer) -> TransferRequest:
        """What is asked for: always the same, also after the storm. A hold's time runs from when it is first asked."""
        if planned.id not in self._requests:
            names = ("source", "destination", "amount_minor", "currency")
            fields = {"transfer_id": planned.id, **dict(zip(names, planned.content, strict=True))}
            if planned.kind == "hold":
                expires_at = (time.time_ns() + int(planned.expires_after * 1e9)) // 1000
                self._requests[planned.id] = HoldRequest.model_validate(fields | {"expires_at": expires_at})
            else:
                kind = ExpressRequest if planned.kind == "express" else TransferRequest
                self._requests[planned.id] = kind.model_validate(fields)
        return self._requests[planned.id]

    async def _rightful(self, number: int, planned: PlannedTransfer) -> None:
        ask = Ask(f"caller-{number}", self.request(planned))
        for attempt in range(ATTEMPTS):
            if planned.by_starter:
                answer = await self._by_starter(ask, planned.starter_killed_after if attempt == 0 else None)
            else:
                answer = await self.ask(number, ask, wait=not planned.is_left_alone)
            if answer is None or answer.exit_status != 5:
                return
            await asyncio.sleep(0.3 * (attempt + 1))

    async def _repeat(self, number: int, planned: PlannedTransfer, repeat: int, delay: float) -> None:
        await asyncio.sleep(delay)
        self._record.fault(Kind.CALLER_REPEATS, planned.id)
        await self.ask(number, Ask(f"repeat-{repeat}", self.request(planned)))

    async def _other_content(self, number: int, planned: PlannedTransfer, delay: float) -> None:
        await asyncio.sleep(delay)
        self._record.fault(Kind.CALLER_OTHER_CONTENT, planned.id)
        other = self.request(planned).model_copy(update={"amount_minor": planned.amount_minor + 1})
        await self.ask(number, Ask("other", other))

    async def _cancel(self, number: int, planned: PlannedTransfer, delay: float) -> None:
        await asyncio.sleep(delay)
        ask, submitter = Ask(f"canceller-{number}", self.request(planned)), self._bank.submitter(number)

        async def work() -> Answer | None:
            found = await submitter.find(planned.id)
            if found is None:
                return None
            if not found.replayed:
                self._record.fault(Kind.WORKFLOW_CANCEL, planned.id)
                await submitter.cancel(planned.id, "the storm's callers change their minds")
            return await self._outcome(submitter, found, ask, time.monotonic())

        await self._answered(ask, work, PATIENCE_SECONDS, is_asked_again=False)

    async def _decide(self, number: int, planned: PlannedTransfer, delay: float, captures: int | None) -> None:
        """Capture a hold, or void it. Whether it was in time is for the hold's own callers to hear."""
        await asyncio.sleep(delay)
        decision = Decision(captures=captures, reason=None if captures else "the storm's callers do not want it")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await decide(self._bank.submitter(number), planned.id, decision, PATIENCE_SECONDS)
        except UNKNOWN:
            pass
        except Exception as error:
            self.problems.append(f"{planned.id}: deciding it raised {type(error).__name__}: {error}"[:500])

    async def ask(self, number: int, ask: Ask, seconds: float = PATIENCE_SECONDS, wait: bool = True) -> Answer:
        """Submit a request and wait for its outcome, as `starter.py transfer` does. Never raises for a silence."""
        submitter = self._bank.submitter(number)

        async def work() -> Answer:
            asked_at = time.monotonic()
            submitted = await submitter.transfer(ask.request)
            if submitted.differences:
                await self._not_ours(ask.request)
                return self.answer(ask, asked_at, 4, reason="; ".join(submitted.differences))
            self.acknowledged.setdefault(ask.request.transfer_id, time.monotonic())
            if not wait:
                return self.answer(ask, asked_at, 0)
            return await self._outcome(submitter, submitted, ask, asked_at)

        answer = await self._answered(ask, work, seconds)
        assert answer is not None
        return answer

    async def _outcome(self, submitter: Submitter, submitted: Submitted, ask: Ask, asked_at: float) -> Answer:
        outcome = await submitter.outcome(submitted, TransferOutcome, PATIENCE_SECONDS)
        answer = self.answer(ask, asked_at, EXIT[outcome.status], outcome.status, outcome.reason)
        return replace(answer, replayed=outcome.replayed)

    async def _not_ours(self, request: TransferRequest) -> None:
        """As the starter does: raise Unanswered if only somebody else's running attempt is in the way."""
        try:
            async with Reader.open_read_only(self._bank.url) as books:
                state = await books.transfer(request.transfer_id)
        except Exception as error:
            raise Unanswered(f"the books did not answer: {type(error).__name__}") from error
        if state is not None and state.transfer == request.as_transfer():
            raise Unanswered("somebody else is trying to use the id right now")

    async def _answered(
        self, ask: Ask, work: Callable[[], Awaitable[Answer | None]], seconds: float, is_asked_again: bool = True
    ) -> Answer | None:
        asked_at, answer = time.monotonic(), None
        try:
            async with asyncio.timeout(seconds):
                answer = await work()
        except KeyReused as reused:
            answer = self.answer(ask, asked_at, 4, reason=str(reused))
        except UNKNOWN as silence:
            answer = self.answer(ask, asked_at, 5, error=type(silence).__name__, reason=str(silence)[:200])
        except Exception as error:
            self.problems.append(f"{ask.request.transfer_id}: unclassified {type(error).__name__}: {error}"[:500])
            answer = self.answer(ask, asked_at, 5, error=type(error).__name__)
        if answer is not None:
            self.note(ask, answer, is_asked_again)
        return answer

    def note(self, ask: Ask, answer: Answer, is_asked_again: bool) -> None:
        """Write an answer down. What `is_asked_again` is, as long as it is unknown."""
        self.answers.append(answer)
        if is_asked_again:
            self.last[(ask.caller, ask.request.transfer_id, ask.content)] = (ask, answer)

    def answer(
        self,
        ask: Ask,
        asked_at: float,
        exit_status: int,
        status: str | None = None,
        reason: str | None = None,
        error: str | None = None,
    ) -> Answer:
        """What somebody was told just now."""
        id, now = ask.request.transfer_id, time.monotonic()
        return Answer(ask.caller, id, ask.content, asked_at, now, exit_status, status, reason, error=error)

    async def _by_starter(self, ask: Ask, killed_after: float | None) -> Answer | None:
        """A real process. Its exit status must be one of the contract's, and fit what it said."""
        request, asked_at = ask.request, time.monotonic()
        amount = f"{request.amount_minor // 100}.{request.amount_minor % 100:02}"
        what = ("--id", request.transfer_id, "--from", request.source, "--to", request.destination)
        process = await self._bank.place.start(
            "starter.py", "transfer", *what, "--amount", amount, "--currency", CURRENCY, "--json", "--timeout", "8"
        )
        if killed_after is not None:
            await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=killed_after)
            if process.returncode is None:
                self._record.fault(Kind.CALLER_KILLED, request.transfer_id)
                process.kill()
        output, errors = await process.communicate()
        if process.returncode == -9:
            answer = self.answer(ask, asked_at, 5, error="Killed")
        else:
            answer = self._heard(ask, asked_at, process.returncode, output.decode(), errors.decode())
        self.note(ask, answer, True)
        return answer

    def _heard(self, ask: Ask, asked_at: float, exit: int | None, output: str, errors: str) -> Answer:
        try:
            said = json.loads(output)
        except ValueError:
            said = None
        if exit not in (0, 3, 4, 5) or said is None:
            self.problems.append(f"{ask.request.transfer_id}: starter.py ended with {exit}: {output} {errors}"[:1500])
            return self.answer(ask, asked_at, 5, error="RuntimeError")
        if exit != 5:
            self.acknowledged.setdefault(ask.request.transfer_id, time.monotonic())
        status = said["status"] if said["status"] in EXIT else None
        error = "Unanswered" if exit == 5 else None
        return replace(
            self.answer(ask, asked_at, exit, status, said["reason"], error), replayed=bool(said.get("replayed"))
        )
