"""Notify: deliver what the ledger's outbox holds under a key, then note there that it was delivered.

The order makes it at least once: a crash in between delivers again, with the same key as the message's id, so that
the receiver can drop the repeat. A delivery that fails never changes the money's state, and one too many at once is
refused at once instead of waiting for its turn: waiting, it would hold a slot that money needs (`slots.py`).
"""

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities import slots
from activities.messages import NotificationRequest
from activities.notifiers import Notifier
from ledger.book import Ledger
from ledger.errors import OutOfOrder
from ledger.failpoints import passing
from ledger.operation import MarkDelivered


class NotifyActivities:
    """The outbox and the way out of it, for at most `at_once` deliveries at once."""

    def __init__(self, ledger: Ledger, notifier: Notifier, at_once: int = slots.deliveries(slots.ACTIVITIES)) -> None:
        self._ledger = ledger
        self._notifier = notifier
        self._free = at_once

    @activity.defn
    async def notify(self, request: NotificationRequest) -> bool:
        """Deliver one notification, unless it is known to be delivered. Returns whether this attempt delivered it.

        Raises DeliveryFailed when the receiver did not take it (retried), TooManyDeliveries when as many as may are
        being delivered (retried), OutOfOrder when the outbox has no such key: then the books do not say what the
        workflow thinks they say.
        """
        if self._free == 0:
            # Benign: Temporal's retry is how it waits, and no line in the log of every such attempt is needed.
            benign = ApplicationErrorCategory.BENIGN
            raise ApplicationError("as many as may are being delivered", type="TooManyDeliveries", category=benign)
        self._free -= 1
        try:
            return await self._deliver(request)
        finally:
            self._free += 1

    async def _deliver(self, request: NotificationRequest) -> bool:
        notification = await self._ledger.notification(request.key)
        if notification is None:
            raise OutOfOrder(f"the outbox has no notification {request.key!r}")
        if notification.delivered_at is not None:
            return False
        await passing("notify.before_delivery", [request.key])
        await self._notifier.deliver(notification.key, notification.body)
        await passing("notify.after_delivery", [request.key])
        await self._ledger.apply(MarkDelivered((request.key,)))
        return True
