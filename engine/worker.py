"""Worker: how this project's workers are set up, in one place, with a reason for every number."""

import gc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion
from temporalio.worker import Interceptor, Worker, WorkerDeploymentConfig

from activities import slots
from activities.approvals import ApprovalActivities
from activities.batching import BatchActivities
from activities.decisions import DecisionActivities
from activities.late_words import LateWordActivities
from activities.ledger import LedgerActivities
from activities.limits import LimitActivities
from activities.notifiers import Notifier
from activities.notify import NotifyActivities
from activities.payouts import PayoutActivities
from activities.recurring import RecurringActivities
from activities.sweeping import SweepActivities
from engine.recurring import submit_occurrence
from engine.settings import ROOT, TASK_QUEUE
from engine.sweeping import TemporalWorkflows
from ledger.book import Ledger
from rails.rail import Rail

DRAIN = timedelta(seconds=30)
"""How long running activities may take to finish when the worker stops. The SDK's default of zero would cancel them
in the middle of a commit, at every deploy."""


def all_activities(
    ledger: Ledger,
    notifier: Notifier,
    activity_slots: int = slots.ACTIVITIES,
    rails: Mapping[str, Rail] = MappingProxyType({}),
) -> list[Callable[..., Any]]:
    """Every activity, with the ledger and the ways out that it uses, for a worker with so many slots."""
    legs, outbox = LedgerActivities(ledger), NotifyActivities(ledger, notifier, slots.deliveries(activity_slots))
    limits, approvals = LimitActivities(ledger), ApprovalActivities(ledger)
    payouts = PayoutActivities(ledger, rails)
    batches = BatchActivities(ledger, notifier)
    return [
        batches.register_batch,
        batches.settle,
        legs.debit,
        legs.debit_on_terms,
        legs.credit,
        legs.capture,
        legs.refund,
        legs.cancel,
        legs.recall,
        legs.paid,
        legs.deposit,
        legs.enter,
        legs.withdraw,
        legs.open_account,
        legs.set_account_status,
        legs.next_setting,
        limits.set_limits,
        limits.next_limits,
        approvals.approve,
        approvals.standing,
        approvals.standing_of_any,
        outbox.notify,
        payouts.submit,
        payouts.take_return,
        DecisionActivities(ledger, rails).decide,
        LateWordActivities(ledger, rails).look_after_all,
        SweepActivities(ledger, TemporalWorkflows()).sweep,
        RecurringActivities(ledger, submit_occurrence).pay_occurrence,
    ]


def collect_seldom() -> None:
    """Make Python look for garbage seldom: among a bulk's many small rows, which are none, it took a fifth of the time.

    What is there by now (modules, mostly) is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)


def make_worker(
    client: Client,
    task_queue: str = TASK_QUEUE,
    interceptors: Sequence[Interceptor] = (),
    max_cached_workflows: int = 1000,
    activity_slots: int = slots.ACTIVITIES,
) -> Worker:
    """A worker for the client's plugin (`WorkerPlugin`), which brings the workflows and the activities."""
    return Worker(
        client,
        task_queue=task_queue,
        interceptors=interceptors,
        max_cached_workflows=max_cached_workflows,
        graceful_shutdown_timeout=DRAIN,
        # After a worker died, a transfer's next task waits this long for it before another may take it.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        max_concurrent_activities=activity_slots,
        max_concurrent_local_activities=activity_slots,  # of express transfers
        max_concurrent_workflow_tasks=100,
        # A label for operators, not a routing rule: workers of two versions share the queue during a deploy.
        deployment_config=WorkerDeploymentConfig(
            version=WorkerDeploymentVersion("durable-transfers", build_id()), use_worker_versioning=False
        ),
    )


def build_id() -> str:
    """A short hash of the code that workflows run: the same code has the same label everywhere."""
    digest = hashlib.sha256()
    for folder in ("workflows", "activities", "rails", "ledger"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode() + Path(path).read_bytes())
    return digest.hexdigest()[:12]
