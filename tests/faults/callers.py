"""Callers: ask for a transfer, in this process or by a real starter, and write down what was told and when.

Every asking becomes an Answer, also one that was killed before it heard anything: the invariants take a transfer that
nobody is known to have asked for as money that moved by itself.
"""

import json
import time
from dataclasses import dataclass

from activities.messages import TransferOutcome, TransferRequest
from engine.results import KeyReused
from engine.submitting import Submitter
from ledger.errors import MalformedRequest
from tests.faults.evidence import Answer
from tests.support.processes import Said

EXITS = {"settled": 0, "rejected": 3, "refunded": 3, "cancelled": 3}


@dataclass(frozen=True)
class Asking:
    """One asking that is under way: who asks for what, since when."""

    caller: str
    request: TransferRequest
    asked_at: float

    @classmethod
    def now(cls, caller: str, request: TransferRequest) -> "Asking":
        """Begin to ask."""
        return cls(caller, request, time.monotonic())

    def told(
        self,
        exit_status: int,
        status: str | None = None,
        reason: str | None = None,
        replayed: bool = False,
        error: str | None = None,
    ) -> Answer:
        """The answer, which came now."""
        request = self.request
        content = (request.source, request.destination, request.amount_minor, request.currency)
        times = (self.asked_at, time.monotonic())
        return Answer(self.caller, request.transfer_id, content, *times, exit_status, status, reason, replayed, error)

    def heard(self, said: Said) -> Answer:
        """The answer of a starter that was run with --json, however it ended."""
        if said.exit < 0:
            return self.told(5, error="Killed")
        try:
            answer = json.loads(said.output)
        except ValueError:
            return self.told(said.exit, error=_last_class(said.errors))
        error = None
        if said.exit == 5:
            error = "Interrupted" if str(answer["reason"]).startswith("interrupted") else "Unanswered"
        reason = answer["detail"] if said.exit == 4 else answer["reason"]
        return self.told(said.exit, answer["status"], reason, bool(answer.get("replayed")), error)


async def ask(submitter: Submitter, caller: str, request: TransferRequest, timeout_seconds: float = 60) -> Answer:
    """Submit a transfer as the starter does, and wait for its outcome. The answer's reason says what differs."""
    asking = Asking.now(caller, request)
    try:
        submitted = await submitter.transfer(request)
        if submitted.differences:
            return asking.told(4, "key_reused", "; ".join(submitted.differences))
        outcome = await submitter.outcome(submitted, TransferOutcome, timeout_seconds)
    except KeyReused as reused:
        return asking.told(4, "key_reused", str(reused))
    except MalformedRequest as malformed:
        return asking.told(2, "malformed", str(malformed))
    except Exception as error:
        return asking.told(5, "unknown", error=type(error).__name__)
    return asking.told(EXITS[outcome.status], outcome.status, outcome.reason, outcome.replayed)


def _last_class(errors: str) -> str:
    """The class of the exception that ended a program, from its traceback."""
    last = errors.strip().splitlines()[-1:] or ["nothing was said"]
    return last[0].partition(":")[0].rpartition(".")[2]
