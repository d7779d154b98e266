"""Notifiers: the ways a notification can leave. One interface, two real ones; tests bring their own receiver.

Settings: DURABLE_TRANSFERS_WEBHOOK_URL and DURABLE_TRANSFERS_WEBHOOK_SECRET (`whsec_...`). Without a URL,
notifications go to the log.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import httpx
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from ledger.errors import MalformedRequest

WEBHOOK_URL = "DURABLE_TRANSFERS_WEBHOOK_URL"
WEBHOOK_SECRET = "DURABLE_TRANSFERS_WEBHOOK_SECRET"
WEBHOOK_TIMEOUT_SECONDS = 5.0
TOGETHER = 20
"""How many of many notifications are on their way at once."""

_log = logging.getLogger("durable_transfers.notify")


class DeliveryFailed(Exception):
    """The receiver did not say that it took the notification. It may have: deliver it again with the same key."""


class Deliverable(Protocol):
    """A notification on its way: its key, and the JSON text to deliver."""

    @property
    def key(self) -> str:
        """The key it is delivered under."""

    @property
    def body(self) -> str:
        """What is delivered."""


class Notifier(Protocol):
    """Delivers a body (JSON text) under a key, at least once. Raises DeliveryFailed when it may not have arrived."""

    async def deliver(self, key: str, body: str) -> None:
        """Deliver, or raise DeliveryFailed."""

    async def deliver_many(self, pending: Sequence[Deliverable], arrived: list[str]) -> None:
        """Deliver many; the keys of those that arrive are added to `arrived`. Raises DeliveryFailed if one does not."""

    async def aclose(self) -> None:
        """Give back what it holds."""


class LogNotifier:
    """Writes notifications to the log."""

    async def deliver(self, key: str, body: str) -> None:
        """Write one line. Never fails."""
        _log.info("%s %s", key, body)

    async def deliver_many(self, pending: Sequence[Deliverable], arrived: list[str]) -> None:
        """Write one line for all of them, and each of them only at the level of debugging. Never fails."""
        if pending:
            _log.info("%s notifications, %s to %s", len(pending), pending[0].key, pending[-1].key)
        for notification in pending if _log.isEnabledFor(logging.DEBUG) else ():
            _log.debug("%s %s", notification.key, notification.body)
        arrived.extend(notification.key for notification in pending)

    async def aclose(self) -> None:
        """Nothing to give back."""


class WebhookNotifier:
    """Posts notifications to a URL, signed as the Standard Webhooks specification says.

    The key is the `webhook-id`: the receiver verifies the signature, then drops an id it has seen.
    """

    def __init__(self, url: str, secret: str, client: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._webhook = Webhook(secret)
        self._client = client or httpx.AsyncClient(timeout=WEBHOOK_TIMEOUT_SECONDS)

    async def deliver(self, key: str, body: str) -> None:
        """POST the body. Anything but a 2xx answer, no answer included, is DeliveryFailed."""
        now = datetime.now(UTC)
        headers = {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(key, now, body),
        }
        try:
            async with asyncio.timeout(WEBHOOK_TIMEOUT_SECONDS):  # the client's own is for each read, not for all
                response = await self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise DeliveryFailed(f"{self._url} did not answer: {type(error).__name__}: {error}") from error
        if not response.is_success:
            raise DeliveryFailed(f"{self._url} answered {response.status_code}")

    async def deliver_many(self, pending: Sequence[Deliverable], arrived: list[str]) -> None:
        """POST each of them, some at a time."""
        await each(self.deliver, pending, arrived)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()


async def each(
    deliver: Callable[[str, str], Awaitable[None]], pending: Sequence[Deliverable], arrived: list[str]
) -> None:
    """Deliver one after the other, `TOGETHER` at a time; stop at the first that fails, with its DeliveryFailed."""
    waiting, failed = deque(pending), list[DeliveryFailed]()

    async def work() -> None:
        while waiting and not failed:
            notification = waiting.popleft()
            try:
                await deliver(notification.key, notification.body)
            except DeliveryFailed as error:
                failed.append(error)
            else:
                arrived.append(notification.key)

    await asyncio.gather(*(work() for _ in range(TOGETHER)))
    if failed:
        raise failed[0]


def notifier_from_environment(environment: Mapping[str, str] = os.environ) -> Notifier:
    """The notifier that the settings ask for. Raises MalformedRequest for a URL without a usable secret."""
    url, secret = environment.get(WEBHOOK_URL), environment.get(WEBHOOK_SECRET)
    if not url:
        return LogNotifier()
    try:
        return WebhookNotifier(url, secret or "")
    except (EmptyWebhookSecretError, RuntimeError, ValueError) as error:
        raise MalformedRequest(f"{WEBHOOK_URL} is set, but {WEBHOOK_SECRET} is no secret: {error}") from error
