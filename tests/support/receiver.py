"""A receiver of notifications that remembers what it saw: the one hand-written fake at the outside edge."""

import asyncio
from collections.abc import Sequence

from activities.notifiers import Deliverable, DeliveryFailed, each


class RememberingNotifier:
    """Takes every notification, unless it is told to refuse the next ones, or to hang; counts effects by key."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.refusals = 0
        self.refused = 0
        self.answers = asyncio.Event()
        self.answers.set()
        self.hanging = 0
        self.most_hanging = 0

    async def deliver(self, key: str, body: str) -> None:
        """Remember a delivery, or refuse it; not before `answers` is set."""
        self.hanging += 1
        self.most_hanging = max(self.most_hanging, self.hanging)
        try:
            await self.answers.wait()
        finally:
            self.hanging -= 1
        if self.refusals:
            self.refusals -= 1
            self.refused += 1
            raise DeliveryFailed("the receiver is out for lunch")
        self.seen.append((key, body))

    async def deliver_many(self, pending: Sequence[Deliverable], arrived: list[str]) -> None:
        """Take many, as any other."""
        await each(self.deliver, pending, arrived)

    async def aclose(self) -> None:
        """Nothing to give back."""

    def keys(self, transfer_id: str) -> list[str]:
        """The keys delivered about one transfer, in order."""
        return [key for key, _ in self.seen if key.startswith(f"{transfer_id}/")]
