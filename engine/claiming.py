"""Claiming: whose is an id whose run, right now, has other content than ours?

the run is over, and had an outcome     theirs: key_reused
the books know the id with other        theirs: key_reused, at once
the run is going on                     wait for its end: it may be a stranger's, to whom the ledger is about to
                                        say that the id is ours (Temporal has forgotten our own run)
    it ends with an outcome             theirs: key_reused
    it ends with KeyReused              ours: submit again
    it does not end in time             Unanswered
"""

import asyncio
from collections.abc import Awaitable, Callable

from engine.results import KeyReused, Unanswered
from engine.submitting import Ended, Submitted, Submitter
from ledger.errors import MalformedRequest


async def claim(
    submitter: Submitter,
    submit: Callable[[], Awaitable[Submitted]],
    outcome_type: type[Ended],
    is_theirs: Callable[[], Awaitable[bool]],
    timeout_seconds: float,
) -> Submitted:
    """Submit; if it has `differences`, they are final. `is_theirs` asks the books, and is False if they do not know.

    Raises Unanswered when the time is over before that is known.
    """
    now = asyncio.get_running_loop().time
    end = now() + timeout_seconds
    while True:
        submitted = await submit()
        if not submitted.differences or not submitted.running or await is_theirs():
            return submitted
        if now() >= end:
            raise Unanswered(f"somebody else is trying to use {submitted.workflow_id} for something else right now")
        try:
            await submitter.outcome(submitted, outcome_type, end - now())
        except (KeyReused, MalformedRequest):
            continue
        return submitted
