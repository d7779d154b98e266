"""Notify: deliver what the ledger's outbox holds under a key, then note there that it was delivered.

The order makes it at least once: a crash in between delivers again, with the same key as the message's id, so that
the receiver can drop the repeat. A delivery that fails never changes the money's state.
"""

from temporalio import activity

from activities.messages import NotificationRequest
from activities.notifiers import Notifier
from ledger.book import Ledger
from ledger.errors import OutOfOrder
from ledger.failpoints import passing
from ledger.operation import MarkDelivered


class NotifyActivities:
    """The outbox and the way out of it."""

    def __init__(self, ledger: Ledger, notifier: Notifier) -> None:
        self._ledger = ledger
        self._notifier = notifier

    @activity.defn
    async def notify(self, request: NotificationRequest) -> bool:
        """Deliver one notification, unless it is known to be delivered. Returns whether this attempt delivered it.

        Raises DeliveryFailed when the receiver did not take it (retried), OutOfOrder when the outbox has no such
        key: then the books do not say what the workflow thinks they say.
        """
        notification = await self._ledger.notification(request.key)
        if notification is None:
            raise OutOfOrder(f"the outbox has no notification {request.key!r}")
        if notification.delivered_at is not None:
            return False
        await passing("notify.before_delivery", [request.key])
        await self._notifier.deliver(notification.key, notification.body)
        await passing("notify.after_delivery", [request.key])
        await self._ledger.apply(MarkDelivered(request.key))
        return True
