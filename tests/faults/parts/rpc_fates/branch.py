"""A branch: books of its own that many cases use one after another, with all that was seen of them."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.notifiers import Deliverable, each
from ledger.audit import audit
from ledger.book import Ledger
from ledger.keys import notification_key
from tests.faults.evidence import Answer, Delivery, Evidence, Execution, read_rows
from tests.faults.invariants import violations
from tests.support.examples import balances, open_with

LOOKING_SECONDS = 60.0
"""How long a server that is short of time is asked again: it has been seen not to find its own namespace."""

_numbers = itertools.count(1)


@dataclass
class Receiver:
    """Takes every notification, and keeps the first of each key."""

    deliveries: list[Delivery] = field(default_factory=list)
    _keys: set[str] = field(default_factory=set)

    async def deliver(self, key: str, body: str) -> None:
        """Write a delivery down."""
        self.deliveries.append(Delivery(key, body, time.monotonic(), accepted=key not in self._keys))
        self._keys.add(key)

    async def deliver_many(self, pending: Sequence[Deliverable], arrived: list[str]) -> None:
        """Write many down."""
        await each(self.deliver, pending, arrived)

    async def aclose(self) -> None:
        """Nothing to give back."""


@dataclass
class Branch:
    """Books, and what the outside saw of them."""

    ledger: Ledger
    """The books, with nothing in the way."""
    url: str
    workers: Ledger
    """The same books as the worker has them."""
    receiver: Receiver = field(default_factory=Receiver)
    answers: list[Answer] = field(default_factory=list)
    executions: list[Execution] = field(default_factory=list)
    spoilt: bool = False
    """A case has found something wrong here: the next one is to be judged by other books."""

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str) -> "AsyncIterator[Branch]":
        """Open fresh books."""
        async with Ledger.open(url) as ledger:
            yield cls(ledger, url, ledger)

    async def new_customers(self) -> tuple[str, str]:
        """Two accounts that no other case uses: an Alice with 100.00 USD and a Bob with nothing."""
        number = next(_numbers)
        alice, bob = f"alice-{number}", f"bob-{number}"
        await open_with(self.ledger, "USD", **{alice: 100_00, bob: 0})
        return alice, bob

    async def balances(self, *account_ids: str) -> list[int]:
        """Balances in minor units."""
        return await balances(self.ledger, *account_ids)

    async def saw(self, client: Client, workflow_id: str) -> None:
        """Write down what Temporal knows of a workflow."""
        handle = client.get_workflow_handle(workflow_id)
        async with asyncio.timeout(LOOKING_SECONDS):
            while True:
                try:
                    there = await handle.describe()
                    break
                except RPCError:
                    await asyncio.sleep(0.5)
        status = there.status
        assert status is not None
        result = await handle.result() if status is WorkflowExecutionStatus.COMPLETED else None
        self.executions.append(Execution(workflow_id, there.run_id, there.workflow_type, status.name, result))

    async def told(self, transfer_id: str) -> None:
        """Wait until the outside has been told how a transfer ended, or that has taken too long."""
        state = await self.ledger.transfer(transfer_id)
        key = notification_key(transfer_id, state.status) if state else ""
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKING_SECONDS):
                while (told := await self.ledger.notification(key)) is not None and told.delivered_at is None:
                    await asyncio.sleep(0.2)

    async def wrong(self) -> list[str]:
        """What is wrong with the books and with all that was seen of them: by the invariants and by the audit."""
        evidence = Evidence(
            await read_rows(self.url), list(self.answers), list(self.receiver.deliveries), (), list(self.executions)
        )
        report = await audit(self.ledger)
        return [*map(str, violations(evidence)), *(f"audit: {violation}" for violation in report.violations)]
