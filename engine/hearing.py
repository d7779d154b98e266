"""Hearing: what becomes of a rail's word. A payout that waits asks at once; one that ended otherwise is looked up."""

from enum import StrEnum

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.late_words import LateWord
from activities.messages import TransferOutcome
from activities.payouts import HEARD_BEFORE, Callback, Woken
from engine.approving import Refused, update
from engine.results import Unanswered, has_no_such_workflow, result_of
from engine.settings import TASK_QUEUE
from engine.submitting import Submitter, workflow_id
from ledger.keys import Leg, operation_key
from ledger.transfer import Status
from rails.callbacks import Spoken

PATIENCE_SECONDS = 5.0
"""How long a rail is kept waiting. It says again what was not taken."""


class Heard(StrEnum):
    """What became of it."""

    WOKEN = "its payout asks at once"
    LATE = "its payout is looked up: it may have ended otherwise"
    NO_NEWS = "no news"


async def hear(client: Client, said: Spoken, task_queue: str = TASK_QUEUE) -> Heard:
    """Wake the payout, or, if it has ended otherwise than the rail says now, see that it is looked up.

    Nothing is lost by a callback that is no news: a payout goes on asking by itself until it has ended. Raises
    Unanswered for what has to be said again.
    """
    ending = operation_key("", Leg.SUBMIT)
    if not said.payment_key.endswith(ending):
        return Heard.NO_NEWS
    id = workflow_id(said.payment_key.removesuffix(ending))
    callback = Callback(rail=said.rail, event_id=said.event_id)
    try:
        if await update(Submitter(client, task_queue), id, "hear", callback, Woken, PATIENCE_SECONDS) is not None:
            return Heard.WOKEN
    except Refused as refused:
        if str(refused) == HEARD_BEFORE:
            return Heard.NO_NEWS
    if await _ended(client, id) is (Status.SETTLED if said.accepted else Status.REFUNDED):
        return Heard.NO_NEWS
    word = LateWord(rail=said.rail, event_id=said.event_id, payment_key=said.payment_key, accepted=said.accepted)
    return Heard.LATE if await _look_up(client, word, task_queue) else Heard.NO_NEWS


async def _ended(client: Client, id: str) -> Status | None:
    """How the payout has ended, as far as Temporal remembers. One that is about to is waited for. Raises Unanswered."""
    handle = client.get_workflow_handle(id, result_type=TransferOutcome)
    try:
        status = (await handle.describe()).status
    except RPCError as error:
        if has_no_such_workflow(error):
            return None
        raise Unanswered(f"Temporal did not answer: {error}") from error
    if status not in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED):
        return None
    outcome: TransferOutcome = await result_of(handle, PATIENCE_SECONDS)
    return Status(outcome.status)


async def _look_up(client: Client, word: LateWord, task_queue: str) -> bool:
    """Start the workflow of a late word. False if it has been taken already. Raises Unanswered."""
    try:
        await client.start_workflow(
            "Contradicted",
            word,
            id=late_word_workflow_id(word),
            task_queue=task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
            static_summary=f"{word.rail} speaks of {word.transfer_id} after its end",
        )
    except WorkflowAlreadyStartedError:
        return False
    except RPCError as error:
        raise Unanswered(f"Temporal did not answer: {error}") from error
    return True


def late_word_workflow_id(word: LateWord) -> str:
    """The workflow id of a late word: `contradicted/<rail>/<event id>`."""
    return f"contradicted/{word.rail}/{word.event_id}"
