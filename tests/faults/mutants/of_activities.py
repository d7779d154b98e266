"""Mutants of the activities: a key that changes with every attempt, and telling before it is so."""

from dataclasses import replace

from temporalio import activity

from activities.ledger import LedgerActivities
from activities.messages import LegOutcome
from activities.notifiers import Notifier
from activities.notify import NotifyActivities
from ledger.book import Ledger
from ledger.operation import Operation, Request

_apply = LedgerActivities._apply


def key_of_the_attempt() -> None:
    """The key is run id + activity id, as Temporal's documentation suggests: both change when a workflow is reset."""

    async def apply(self: LedgerActivities, request: Request) -> LegOutcome:
        if isinstance(request, Operation):
            info = activity.info()
            owner, _, leg = request.key.partition("/")
            request = replace(request, key=f"{owner}/{leg}.{info.workflow_run_id}.{info.activity_id}")
        return await _apply(self, request)

    LedgerActivities._apply = apply  # type: ignore[method-assign]  # that is what a mutant is


def notification_before_commit() -> None:
    """The outside is told that a transfer has settled before its credit is in the books."""
    ways_out: dict[int, Notifier] = {}
    prepare = NotifyActivities.__init__

    def remember(self: NotifyActivities, ledger: Ledger, notifier: Notifier, at_once: int = 250) -> None:
        ways_out[id(ledger)] = notifier
        prepare(self, ledger, notifier, at_once)

    async def apply(self: LedgerActivities, request: Request) -> LegOutcome:
        if isinstance(request, Operation) and request.key.endswith("/credit"):
            key = request.key.replace("/credit", "/notify/settled")
            await ways_out[id(self._ledger)].deliver(key, "{}")
        return await _apply(self, request)

    NotifyActivities.__init__ = remember  # type: ignore[method-assign]  # that is what a mutant is
    LedgerActivities._apply = apply  # type: ignore[method-assign]  # that is what a mutant is
